"""The `cifar10` and `cifar100` datasets: ROOT/cifar-10-batches-py, ROOT/cifar-100-python.

They were published as pickles, which could run any code: what is unpickled is the very bytes whose MD5 was compared.
"""

import pickle
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from lejepa_core.datasets.arrays import Labelled, array_reader
from lejepa_core.datasets.decoding import quiet
from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.published import parsing, read_verified
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

CHECKSUMS: Final[Mapping[str, Mapping[str, str]]] = {
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
}
"""MD5 of the published files; torchvision holds the same."""

_PAPER = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_NAMES = {"cifar10": ("batches.meta", "label_names"), "cifar100": ("meta", "fine_label_names")}
_LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}
_ARCHIVES = {
    "cifar10": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", md5="c58f30108f718f92721af3b95e74349a"
    ),
    "cifar100": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", md5="eb9058c3a382ffc7106e4002c42a8d85"
    ),
}

SPECS: Final = (
    DatasetSpec(
        name="cifar10",
        title="CIFAR-10: tiny photographs of 10 kinds of things",
        classes=10,
        native_size=32,
        images={"train": 45_000, "val": 5_000, "test": 10_000},
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        flip=True,
        bundled=False,
        licence="none stated; free for research",
        source=_PAPER,
        how_to_get="lejepa datasets get cifar10 --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
    DatasetSpec(
        name="cifar100",
        title="CIFAR-100: tiny photographs of 100 kinds of things",
        classes=100,
        native_size=32,
        images={"train": 45_000, "val": 5_000, "test": 10_000},
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        flip=True,
        bundled=False,
        licence="none stated; free for research",
        source=_PAPER,
        how_to_get="lejepa datasets get cifar100 --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)


def cifar_reader(spec: DatasetSpec, checksums: Mapping[str, str]) -> Reader:
    """Make the reader of one of the two.

    Args:
        spec: `cifar10` or `cifar100`.
        checksums: MD5 of its files.

    Returns:
        The reader.
    """
    return array_reader(
        spec,
        folder=_FOLDERS[spec.name],
        checksums=checksums,
        images=partial(_images, spec.name),
        archives=(_ARCHIVES[spec.name],),
    )


def _images(name: str, folder: Path, checksums: Mapping[str, str]) -> Iterator[Labelled]:
    meta, key = _NAMES[name]
    names = _unpickled(folder / meta, checksums[meta])[key]
    for file in (file for file in checksums if file != meta):
        batch = _unpickled(folder / file, checksums[file])
        with parsing(folder / file):
            images = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            labels = [names[label] for label in batch[_LABELS[name]]]
        for pixels, label in zip(images, labels, strict=True):
            yield "test" if file.startswith("test") else "train", label, pixels


def _unpickled(file: Path, md5: str) -> dict[str, Any]:
    data = read_verified(file, md5)
    # The published pickles use names that newer versions of numpy warn about.
    with parsing(file), quiet():
        return dict(pickle.loads(data, encoding="latin1"))  # noqa: S301 -- the published bytes and no others


READERS: Final = {spec.name: cifar_reader(spec, CHECKSUMS[spec.name]) for spec in SPECS}
