"""The `galaxy10` dataset: ROOT/galaxy10/Galaxy10_DECals.h5, read with h5py (extra "galaxy")."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.datasets.published import parsing, refusing, verify
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import DatasetSpec, carved
from lejepa_core.errors import DataError

FILE: Final = "Galaxy10_DECals.h5"
"""Holds images (17736, 256, 256, 3) uint8 and ans, their labels."""
URL: Final = f"https://zenodo.org/records/10845026/files/{FILE}"
"""Where it was published."""
SHA256: Final = "19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571"
"""Of the file, as its authors publish it in astroNN."""
CLASSES: Final = (
    "Disturbed",
    "Merging",
    "Round Smooth",
    "In-between Round Smooth",
    "Cigar Shaped Smooth",
    "Barred Spiral",
    "Unbarred Tight Spiral",
    "Unbarred Loose Spiral",
    "Edge-on without Bulge",
    "Edge-on with Bulge",
)
"""Name of each label."""

_FOLDER = "galaxy10"
_SHARES = {"val": 0.15, "test": 0.2}
_CHUNK = 256  # images read at a time

SPECS: Final = (
    DatasetSpec(
        name="galaxy10",
        title="Galaxy10 DECaLS: shapes of galaxies",
        classes=10,
        native_size=256,
        images={"train": 11_528, "val": 2_659, "test": 3_549},
        mean=(0.1668, 0.1620, 0.1583),
        std=(0.1282, 0.1176, 0.1112),
        flip=True,
        # Volunteers voted on shapes: without its colour a galaxy keeps its class. The paper's recipe does the same.
        photographic=True,
        bundled=False,
        licence="MIT",
        source="Leung and Bovy 2024, zenodo 10845026; DESI Legacy Surveys, labels of Galaxy Zoo (Walmsley et al. 2022)",
        how_to_get="lejepa datasets get galaxy10 --root DIR",
        shares=_SHARES,
        uses=carved(_SHARES),
    ),
)
"""What this module reads."""


def galaxy10_reader(sha256: str = SHA256, url: str = URL) -> Reader:
    """Make the reader.

    Args:
        sha256: Of the file.
        url: Where to download it from.

    Returns:
        The reader; val and test are carved out by content, so that galaxies that are in the file twice stay together.
    """
    archive = Archive(url=url, sha256=sha256, into=_FOLDER)

    def source(root: Path, image_size: int) -> Source:
        spec = SPECS[0]
        side = min(2 * image_size, 256)
        return Source(
            name=spec.name,
            key=f"1-{side}px-{sha256[:16]}",
            flip=spec.flip,
            photographic=spec.photographic,
            probe_per_class=spec.probe_per_class,
            items=partial(_items, root, side, sha256),
            shares=spec.shares,
            mean=spec.mean,
            std=spec.std,
        )

    def check(root: Path) -> None:
        _h5py()
        with refusing(SPECS[0], root, _FOLDER):
            verify(root / _FOLDER, {FILE: sha256}, "sha256")

    def get(root: Path) -> None:
        _h5py()
        download(SPECS[0], [archive], root=root, folder=_FOLDER, check=check)

    return Reader(source=source, check=check, download=get)


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "galaxy10 is an HDF5 file; wanted h5py. Install it: pip install 'lejepa-sweeps[galaxy]'"
        ) from error
    return h5py


def _items(root: Path, side: int, sha256: str) -> Iterator[Item | str]:
    h5py = _h5py()
    file = root / _FOLDER / FILE
    with refusing(SPECS[0], root, _FOLDER):
        verify(file.parent, {FILE: sha256}, "sha256")
        with parsing(file), h5py.File(file, "r") as opened:
            images, labels = opened["images"], opened["ans"][:].tolist()
            for start in range(0, len(labels), _CHUNK):
                for pixels, label in zip(images[start : start + _CHUNK], labels[start : start + _CHUNK], strict=True):
                    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
                    yield Item(pixels=_shrunk(pixels, side), label=CLASSES[label], split="train", digest=digest)


def _shrunk(pixels: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    image = Image.fromarray(pixels)
    return np.asarray(image if image.width <= side else image.resize((side, side), Image.Resampling.BICUBIC))


READERS: Final[Mapping[str, Reader]] = {"galaxy10": galaxy10_reader()}
"""How it is read."""
