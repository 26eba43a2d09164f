"""The `patches` dataset: which of twelve photographs is this 32x32 patch from?

The photographs come inside the scikit-image and scikit-learn wheels, so this set of real colour images needs
no network. Each photograph is cut into blocks of 56x56 pixels that do not overlap; a block belongs to one
split, so no pixel is shared between splits. Patches lie within a block: 8 pixels apart in train, 24 apart
(a quarter of an edge in common) in val and test. Patches without structure (sky, a black border) are left
out. Mean colour and contrast are made equal in all patches: they would give the photograph away.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import DatasetSpec
from lejepa_core.errors import DataError

SPECS: Final = (
    DatasetSpec(
        name="patches",
        title="32x32 patches of 12 photographs; which one is each from?",
        classes=12,
        native_size=32,
        images={"train": 1440, "val": 360, "test": 720},
        mean=(0.5, 0.5, 0.5),
        std=(0.1722, 0.1781, 0.1788),
        flip=True,
        bundled=True,
        licence="public domain, CC0 or CC BY, per photograph: README.txt of each package's image folder",
        source="photographs shipped with scikit-image and scikit-learn",
        how_to_get="comes with the installation",
    ),
)

PATCH: Final = 32
"""Height and width of a patch, in pixels."""
PER_CLASS: Final[Mapping[str, int]] = {"train": 120, "val": 30, "test": 60}
"""Patches of each photograph, by split."""

_BLOCK = 56
_STEP = {"train": 8, "val": 24, "test": 24}
_SHARES = {"test": 0.42, "val": 0.22}
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_STRUCTURE, _LOCAL_STRUCTURE = 5.0, 1.5  # grey levels of 0..255
_CONTRAST = 45.0
_ROUNDS = 16  # of normalising and clipping, until the channel means agree within half a grey level


@dataclass(frozen=True, kw_only=True, slots=True)
class Photograph:
    """A class of `patches`.

    Attributes:
        name: Class name.
        package: Where the file is.
        file: Name of the file.
        reduce: Side of the pixel blocks that are averaged first; 1 keeps the photograph as it is.
    """

    name: str
    package: str
    file: str
    reduce: int = 1


_SKIMAGE, _SKLEARN = "skimage.data", "sklearn.datasets.images"

PHOTOGRAPHS: Final = (
    Photograph(name="astronaut", package=_SKIMAGE, file="astronaut.png"),
    Photograph(name="brick", package=_SKIMAGE, file="brick.png"),
    Photograph(name="cat", package=_SKIMAGE, file="chelsea.png"),
    Photograph(name="coffee", package=_SKIMAGE, file="coffee.png"),
    Photograph(name="flower", package=_SKLEARN, file="flower.jpg"),
    Photograph(name="galaxies", package=_SKIMAGE, file="hubble_deep_field.jpg"),
    Photograph(name="grass", package=_SKIMAGE, file="grass.png"),
    Photograph(name="gravel", package=_SKIMAGE, file="gravel.png"),
    Photograph(name="motorcycle", package=_SKIMAGE, file="motorcycle_left.png"),
    Photograph(name="pagoda", package=_SKLEARN, file="china.jpg"),
    Photograph(name="retina", package=_SKIMAGE, file="retina.jpg", reduce=2),
    Photograph(name="tissue", package=_SKIMAGE, file="ihc.png"),
)
"""The classes."""


def _source(root: Path, image_size: int) -> Source:
    spec = SPECS[0]
    packages = "-".join(version(package) for package in ("scikit-image", "scikit-learn", "pillow"))
    return Source(
        name=spec.name,
        key=f"1-{packages}",
        flip=spec.flip,
        items=_items,
        shares={},
        mean=spec.mean,
        std=spec.std,
    )


def read_photograph(photograph: Photograph) -> UInt8[np.ndarray, "h w 3"]:
    """Read a photograph from its wheel.

    Args:
        photograph: Which one.

    Returns:
        RGB pixels.

    Raises:
        DataError: The installed package came without it.
    """
    try:
        with (files(photograph.package) / photograph.file).open("rb") as file:
            return np.asarray(Image.open(file).convert("RGB").reduce(photograph.reduce))
    except (OSError, ModuleNotFoundError) as error:
        raise DataError(
            f"patches needs {photograph.file} of {photograph.package}, which is missing ({error}); "
            "reinstall scikit-image and scikit-learn from their wheels"
        ) from error


def corners(photograph: Photograph, pixels: UInt8[np.ndarray, "h w 3"]) -> dict[str, list[tuple[int, int]]]:
    """Choose where the patches of a photograph lie.

    Args:
        photograph: Which one.
        pixels: Its pixels.

    Returns:
        For each split, (top, left) of its `PER_CLASS` patches, in pixels.

    Raises:
        DataError: The photograph has too few structured patches (another file than the one expected).
    """
    grey, shuffled = pixels @ _LUMINANCE, partial(_shuffled, photograph.name)
    tops, lefts = (range(0, side - _BLOCK + 1, _BLOCK) for side in grey.shape)
    blocks = [(top, left) for top in tops for left in lefts]
    blocks = shuffled([block for block in blocks if len(_structured(grey, [block], _STEP["test"])) >= 2])
    chosen, start = {}, 0
    for split in ("test", "val", "train"):
        stop = start + round(_SHARES.get(split, 1.0) * len(blocks))
        found = shuffled(_structured(grey, blocks[start:stop], _STEP[split]))
        if len(found) < PER_CLASS[split]:
            raise DataError(
                f"patches: {photograph.file} gives {len(found)} {split} patches; wanted "
                f"{PER_CLASS[split]}. Reinstall scikit-image and scikit-learn from their wheels"
            )
        chosen[split], start = found[: PER_CLASS[split]], stop
    return chosen


def normalise(patch: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Give a patch the mean colour and the contrast that all patches have.

    Args:
        patch: RGB pixels.

    Returns:
        Pixels with channel means near 127.5 and an overall standard deviation of about 45 grey levels.
    """
    centred = patch.astype(np.float64)
    for _ in range(_ROUNDS):
        centred = centred - centred.mean(axis=(0, 1))
        centred = np.clip(centred * (_CONTRAST / centred.std()), -127.5, 127.5)
    return np.round(centred + 127.5).astype(np.uint8)


def _items() -> Iterator[Item | str]:
    for photograph in PHOTOGRAPHS:
        pixels = read_photograph(photograph)
        for split, places in corners(photograph, pixels).items():
            for top, left in places:
                patch = normalise(pixels[top : top + PATCH, left : left + PATCH])
                digest = hashlib.sha256(patch.tobytes()).hexdigest()
                yield Item(pixels=patch, label=photograph.name, split=split, digest=digest)


def _structured(grey: Float64[np.ndarray, "h w"], blocks: list[tuple[int, int]], step: int) -> list[tuple[int, int]]:
    inside = range(0, _BLOCK - PATCH + 1, step)
    places = [(top + y, left + x) for top, left in blocks for y in inside for x in inside]
    return [(y, x) for y, x in places if _has_structure(grey[y : y + PATCH, x : x + PATCH])]


def _has_structure(grey: Float64[np.ndarray, "h w"]) -> bool:
    # Means of 4x4 pixels, so that the noise of a sensor is no structure; it must show in three quadrants.
    coarse = grey.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    quadrants = coarse.reshape(2, 4, 2, 4).std(axis=(1, 3))
    return bool(coarse.std() >= _STRUCTURE and np.sort(quadrants, axis=None)[1] >= _LOCAL_STRUCTURE)


def _shuffled(name: str, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(places, key=lambda place: hashlib.sha256(f"{name}:{place}".encode()).digest())


READERS: Final = {"patches": Reader(source=_source, check=lambda root: None, download=None)}
