"""Sets of four IDX files, as MNIST was published and others after it."""

import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.datasets.published import Unusable, parsing, read_verified, remedy_for
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import DatasetSpec
from lejepa_core.errors import DataError

PARTS: Final = {"train": "train", "test": "t10k"}
"""Split and what the names of its files begin with."""

Content = Callable[[Path, str, str], bytes]
"""From a folder, the name of a file without `.gz` and its checksum to what it holds; raises `Unusable`."""


def idx_reader(
    spec: DatasetSpec,
    *,
    folder: str,
    classes: Sequence[str],
    checksums: Mapping[str, str],
    content: Content,
    elsewhere: Sequence[Path] = (),
    archives: Sequence[Archive],
) -> Reader:
    """Make the reader of such a set.

    Args:
        spec: The dataset.
        folder: Name of the dataset's folder below the data root.
        classes: Name of each label.
        checksums: Of the files, by name without `.gz`.
        content: Reads one of them.
        elsewhere: Where else to look, in this order; relative to the data root, or absolute.
        archives: What to download into `folder`.

    Returns:
        The reader; 10 % of each class's train images are carved out as val.
    """

    def source(root: Path, _: int) -> Source:
        return Source(
            name=spec.name,
            key=f"1-{hashlib.sha256(repr(sorted(checksums.items())).encode()).hexdigest()[:16]}",
            flip=spec.flip,
            photographic=spec.photographic,
            probe_per_class=spec.probe_per_class,
            items=partial(items, root),
            shares=spec.shares,
            mean=spec.mean,
            std=spec.std,
        )

    def place(root: Path) -> Path:
        places = [root / folder, *(root / other for other in elsewhere)]
        names = [file for name in checksums for file in (name, f"{name}.gz")]
        return next((place for place in places if any((place / name).exists() for name in names)), places[0])

    def items(root: Path) -> Iterator[Item | str]:
        with _refusing(spec, root, folder):
            for split, part in PARTS.items():
                images, labels = (
                    read_idx(content(place(root), name, checksums[name]))
                    for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
                )
                for image, label in zip(images, labels.tolist(), strict=True):
                    pixels = np.repeat(image[:, :, None], 3, axis=2)
                    digest = hashlib.sha256(image.tobytes()).hexdigest()
                    yield Item(pixels=pixels, label=classes[label], split=split, digest=digest)

    def check(root: Path) -> None:
        with _refusing(spec, root, folder):
            for name, checksum in checksums.items():
                content(place(root), name, checksum)

    def get(root: Path) -> None:
        with suppress(DataError):
            return check(root)
        download(spec, archives, root=root, folder=folder, check=check)

    return Reader(source=source, check=check, download=get, place=place)


def read_idx(data: bytes) -> UInt8[np.ndarray, "..."]:
    """Parse the IDX format of bytes.

    Args:
        data: Two zeros, 8 for bytes, the number of axes; then their lengths, big-endian; then the bytes.

    Returns:
        The array.
    """
    axes = data[3]
    shape = np.frombuffer(data, dtype=">u4", count=axes, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def unzipped(folder: Path, name: str, md5: str) -> bytes:
    """A `Content` of files as they were published, whose checksum is that of the gzipped file."""
    file = folder / f"{name}.gz"
    data = read_verified(file, md5)
    with parsing(file):
        return gzip.decompress(data)


def zipped_archives(mirror: str, md5s: Mapping[str, str], folder: str) -> tuple[Archive, ...]:
    """The gzipped files of a set.

    Args:
        mirror: Address of their folder, with a slash at its end.
        md5s: Of the gzipped files, by name without `.gz`.
        folder: Where they go, below the data root.
    """
    return tuple(Archive(url=f"{mirror}{name}.gz", md5=md5, into=folder) for name, md5 in md5s.items())


@contextmanager
def _refusing(spec: DatasetSpec, root: Path, folder: str) -> Iterator[None]:
    # Not `published.refusing`: such a set need not lie below the data root.
    try:
        yield
    except Unusable as error:
        remedy = remedy_for(spec, root)
        if error.file.parent == root / folder and error.file.parent.exists():
            remedy = f"remove {root / folder}, then: {remedy}"
        raise DataError(f"{spec.name}: {error.file}: {error.reason or 'absent'}; to get it: {remedy}") from error
