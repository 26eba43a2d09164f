"""Sets that were published as arrays: few files, each with a checksum, images of one size."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.datasets.published import refusing, verify
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import DatasetSpec

Pixels = UInt8[ndarray, "height width 3"]
Labelled = tuple[str, str, Pixels]
"""Split, class and RGB pixels of an image."""


def array_reader(
    spec: DatasetSpec,
    *,
    folder: str,
    checksums: Mapping[str, str],
    images: Callable[[Path, Mapping[str, str]], Iterable[Labelled]],
    archives: Sequence[Archive],
) -> Reader:
    """Make the reader of a set of arrays.

    Args:
        spec: The dataset.
        folder: Name of the dataset's folder below the data root.
        checksums: MD5 of every file in it that is read.
        images: From that folder and the checksums to the images; raises `Unusable` on a damaged file.
        archives: What to download.

    Returns:
        The reader.
    """

    def source(root: Path, _: int) -> Source:
        return Source(
            name=spec.name,
            key=f"2-{hashlib.sha256(repr(sorted(checksums.items())).encode()).hexdigest()[:16]}",
            flip=spec.flip,
            photographic=spec.photographic,
            probe_per_class=spec.probe_per_class,
            items=partial(items, root),
            shares=spec.shares,
            mean=spec.mean,
            std=spec.std,
        )

    def items(root: Path) -> Iterator[Item | str]:
        check(root)
        with refusing(spec, root, folder):
            for split, label, pixels in images(root / folder, checksums):
                digest = hashlib.sha256(pixels.tobytes()).hexdigest()
                yield Item(pixels=pixels, label=label, split=split, digest=digest)

    def check(root: Path) -> None:
        with refusing(spec, root, folder):
            verify(root / folder, checksums)

    def get(root: Path) -> None:
        download(spec, archives, root=root, folder=folder, check=check)

    return Reader(source=source, check=check, download=get)
