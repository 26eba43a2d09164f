"""The `mnist` and `kmnist` datasets: four IDX files each, gzipped.

ROOT/mnist and ROOT/kmnist, or torchvision's ROOT/MNIST/raw and ROOT/KMNIST/raw.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from lejepa_core.datasets.idx import idx_reader, unzipped, zipped_archives
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

CHECKSUMS: Final[Mapping[str, Mapping[str, str]]] = {
    "mnist": {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "kmnist": {
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    },
}
"""MD5 of the files as they were published, gzipped; torchvision holds the same."""
MIRRORS: Final[Mapping[str, str]] = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
}
"""Where they are; torchvision takes them from there as well."""
CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "mnist": tuple("0123456789"),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}
"""Name of each label."""

_MNIST = DatasetSpec(
    name="mnist",
    title="MNIST: handwritten digits, 28x28 grey",
    classes=10,
    native_size=28,
    images={"train": 54_000, "val": 6_000, "test": 10_000},
    mean=(0.1307, 0.1307, 0.1307),
    std=(0.3081, 0.3081, 0.3081),
    flip=False,
    photographic=False,
    bundled=False,
    licence="CC BY-SA 3.0",
    source="LeCun, Cortes and Burges 1998, The MNIST database of handwritten digits",
    how_to_get="lejepa datasets get mnist --root DIR",
    shares=VAL_SHARES,
    uses=VAL_CARVED,
)

SPECS: Final = (
    _MNIST,
    replace(
        _MNIST,
        name="kmnist",
        title="Kuzushiji-MNIST: cursive Japanese characters, 28x28 grey",
        mean=(0.1918, 0.1918, 0.1918),
        std=(0.3483, 0.3483, 0.3483),
        licence="CC BY-SA 4.0",
        source="Clanuwat et al. 2018, Deep Learning for Classical Japanese Literature",
        how_to_get="lejepa datasets get kmnist --root DIR",
    ),
)
"""What this module reads."""


def mnist_reader(spec: DatasetSpec, checksums: Mapping[str, str] | None = None, *, mirror: str | None = None) -> Reader:
    """Make the reader.

    Args:
        spec: One of `SPECS`.
        checksums: MD5 of the four files, gzipped; None for those published.
        mirror: Where to download them from; None for where they were published.

    Returns:
        The reader; 10 % of each class's train images are carved out as val.
    """
    name = spec.name
    md5s = CHECKSUMS[name] if checksums is None else checksums
    return idx_reader(
        spec,
        folder=name,
        classes=CLASSES[name],
        checksums=md5s,
        content=unzipped,
        elsewhere=(Path(name.upper(), "raw"),),
        archives=zipped_archives(mirror or MIRRORS[name], md5s, name),
    )


READERS: Final[Mapping[str, Reader]] = {spec.name: mnist_reader(spec) for spec in SPECS}
"""How they are read."""
