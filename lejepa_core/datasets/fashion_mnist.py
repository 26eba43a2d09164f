"""The `fashion-mnist` dataset: four IDX files, as they are or gzipped.

ROOT/fashion-mnist, or torchvision's ROOT/FashionMNIST/raw, or where Debian's package dataset-fashion-mnist puts them.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from lejepa_core.datasets.published import Unusable, parsing, read, remedy_for
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec
from lejepa_core.errors import DataError

DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the files."""
MIRROR: Final = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
"""Where they were published."""
CHECKSUMS: Final = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the files, gunzipped."""
CLASSES: Final = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))
"""Name of each label, as published."""

_PARTS = {"train": "train", "test": "t10k"}

SPECS: Final = (
    DatasetSpec(
        name="fashion-mnist",
        title="Fashion-MNIST: articles of clothing, 28x28 grey",
        classes=10,
        native_size=28,
        images={"train": 54_000, "val": 6_000, "test": 10_000},
        mean=(0.2860, 0.2860, 0.2860),
        std=(0.3530, 0.3530, 0.3530),
        flip=True,
        # Grey levels that were inverted and stretched on purpose; hue means nothing here.
        photographic=False,
        bundled=False,
        licence="MIT",
        source="Xiao, Rasul and Vollgraf 2017, Fashion-MNIST",
        how_to_get="apt-get install dataset-fashion-mnist, or: lejepa datasets get fashion-mnist --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)
"""What this module reads."""


def fashion_mnist_reader(
    checksums: Mapping[str, str] = CHECKSUMS, *, debian: Path = DEBIAN, mirror: str = MIRROR
) -> Reader:
    """Make the reader.

    Args:
        checksums: SHA-256 of the four files, gunzipped.
        debian: Where to look if the data root has none of them.
        mirror: Where to download them from, gzipped as published.

    Returns:
        The reader; 10 % of each class's train images are carved out as val.
    """

    def source(root: Path, _: int) -> Source:
        spec = SPECS[0]
        return Source(
            name=spec.name,
            key=f"1-{hashlib.sha256(repr(sorted(checksums.items())).encode()).hexdigest()[:16]}",
            flip=spec.flip,
            photographic=spec.photographic,
            probe_per_class=spec.probe_per_class,
            items=partial(_items, root, debian, checksums),
            shares=spec.shares,
            mean=spec.mean,
            std=spec.std,
        )

    def check(root: Path) -> None:
        with _refusing(root):
            folder = place(root)
            for name, sha256 in checksums.items():
                _content(folder, name, sha256)

    def place(root: Path) -> Path:
        return _folder(root, debian, checksums)

    def get(root: Path) -> None:
        with suppress(DataError):
            return check(root)
        _download(root, mirror)
        check(root)

    return Reader(source=source, check=check, download=get, place=place)


@contextmanager
def _refusing(root: Path) -> Iterator[None]:
    try:
        yield
    except Unusable as error:
        remedy = remedy_for(SPECS[0], root)
        raise DataError(f"fashion-mnist: {error.file}: {error.reason or 'absent'}; to get it: {remedy}") from error


def _folder(root: Path, debian: Path, checksums: Mapping[str, str]) -> Path:
    places = (root / "fashion-mnist", root / "FashionMNIST" / "raw", debian)
    names = [file for name in checksums for file in (name, f"{name}.gz")]
    return next((place for place in places if any((place / name).exists() for name in names)), places[0])


def _content(folder: Path, name: str, sha256: str) -> bytes:
    plain, zipped = folder / name, folder / f"{name}.gz"
    file = plain if plain.exists() else zipped
    data = read(file)
    if file == zipped:
        with parsing(file):
            data = gzip.decompress(data)
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise Unusable(file, f"damaged (the sha256 of its content is {found}, not {sha256})")
    return data


def _idx(data: bytes) -> UInt8[np.ndarray, "..."]:
    # Two zeros, 8 for bytes, the number of axes; then their lengths, big-endian.
    axes = data[3]
    shape = np.frombuffer(data, dtype=">u4", count=axes, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def _items(root: Path, debian: Path, checksums: Mapping[str, str]) -> Iterator[Item | str]:
    with _refusing(root):
        folder = _folder(root, debian, checksums)
        for split, part in _PARTS.items():
            images, labels = (
                _idx(_content(folder, name, checksums[name]))
                for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
            )
            for image, label in zip(images, labels.tolist(), strict=True):
                pixels = np.repeat(image[:, :, None], 3, axis=2)
                digest = hashlib.sha256(image.tobytes()).hexdigest()
                yield Item(pixels=pixels, label=CLASSES[label], split=split, digest=digest)


def _download(root: Path, mirror: str) -> None:
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import download_url

    folder = root / "fashion-mnist"
    try:
        for name, md5 in FashionMNIST.resources:
            download_url(f"{mirror}{name}", folder, name, md5)
    except (OSError, RuntimeError) as error:
        names = ", ".join(name for name, _ in FashionMNIST.resources)
        raise DataError(
            f"fashion-mnist was not downloaded to {root} ({' '.join(str(error).split())}); check the network and try "
            f"again, or put {names} in {folder}"
        ) from error


READERS: Final[Mapping[str, Reader]] = {"fashion-mnist": fashion_mnist_reader()}
"""How it is read."""
