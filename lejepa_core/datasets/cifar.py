"""The `cifar10` and `cifar100` datasets, read by torchvision after its md5 check."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from lejepa_core.datasets.decoding import quiet
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.specs import DATASETS
from lejepa_core.errors import DataError

_READERS: dict[str, Callable[..., Any]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
_CLASSES_FILES = {"cifar10": ("batches.meta", "label_names"), "cifar100": ("meta", "fine_label_names")}


def cifar_source(name: str, root: Path) -> Source:
    """Describe a CIFAR set; its files are first read when it is decoded.

    Args:
        name: "cifar10" or "cifar100".
        root: The folder that holds `cifar-10-batches-py` or `cifar-100-python`.

    Returns:
        The source; 10 % of each class's train images are carved out as val.
    """
    spec, reader = DATASETS[name], _READERS[name]
    return Source(
        name=name,
        key=f"1-{hashlib.sha256(repr(_files(reader)).encode()).hexdigest()}",
        classes=tuple(CLASSES[name]),
        flip=spec.flip,
        items=partial(_items, name, root),
        shares={"val": 0.1},
        mean=spec.mean,
        std=spec.std,
    )
