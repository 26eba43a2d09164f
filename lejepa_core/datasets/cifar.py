"""The `cifar10` and `cifar100` datasets, read by torchvision after its md5 check."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from lejepa_core.datasets.decoding import quiet
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.specs import DATASETS
from lejepa_core.errors import DataError

CIFAR_READERS: Final[Mapping[str, Any]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
"""torchvision's class for each of the two names."""


def cifar_source(name: str, root: Path) -> Source:
    """Describe a CIFAR set; its files are not touched before it is decoded.

    Args:
        name: A key of `CIFAR_READERS`.
        root: The folder that holds `cifar-10-batches-py` or `cifar-100-python`.

    Returns:
        The source; 10 % of each class's train images are carved out as val.
    """
    spec = DATASETS[name]
    checksums = repr(_checksums(name)).encode()
    return Source(
        name=name,
        key=f"1-{hashlib.sha256(checksums).hexdigest()[:16]}",
        flip=spec.flip,
        items=partial(_items, name, root),
        shares={"val": 0.1},
        mean=spec.mean,
        std=spec.std,
    )


def check_cifar(name: str, root: Path) -> None:
    """Compare the md5 of every file with the list that torchvision holds.

    Args:
        name: A key of `CIFAR_READERS`.
        root: Where `cifar_source` would read.

    Raises:
        DataError: Absent, or not the published files.
    """
    folder = root / CIFAR_READERS[name].base_folder
    get = f"lejepa datasets get {name} --root {root}"
    for file, md5 in _checksums(name).items():
        if not (folder / file).is_file():
            raise DataError(f"{name} is not in {root} (no {folder.name}/{file}); get it: {get}")
        if not check_integrity(str(folder / file), md5):
            raise DataError(f"{folder / file} is damaged (its md5 is not {md5}); delete {folder}, then: {get}")


def download_cifar(name: str, root: Path) -> None:
    """Let torchvision download and unpack a set, unless intact files are there already.

    Args:
        name: A key of `CIFAR_READERS`.
        root: Folder to put it in; created if absent.

    Raises:
        DataError: No connection, no room, no permission, or a download that does not match its md5.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with quiet():
            CIFAR_READERS[name](str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name} was not downloaded to {root} ({error}); check the network and try again") from error
    check_cifar(name, root)


def _checksums(name: str) -> dict[str, str]:
    reader = CIFAR_READERS[name]
    return dict([*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])])


def _items(name: str, root: Path) -> Iterator[Item | str]:
    check_cifar(name, root)
    for split, train in (("train", True), ("test", False)):
        # The published pickles use names that newer versions of numpy warn about.
        with quiet():
            part = CIFAR_READERS[name](str(root), train=train, download=False)
        for pixels, target in zip(part.data, part.targets, strict=True):
            digest = hashlib.sha256(pixels.tobytes()).hexdigest()
            yield Item(pixels=pixels, label=part.classes[target], split=split, digest=digest)
