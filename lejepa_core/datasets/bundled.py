"""Real images that come with scikit-learn and scikit-image: nothing to download."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import skimage
import sklearn
from PIL import Image
from sklearn.datasets import load_digits

from lejepa_core.datasets.spec import DATASETS
from lejepa_core.datasets.splits import SPLITS, carve
from lejepa_core.datasets.store import Decoded, Pixels

BUNDLED_VERSION = 1
"""Raised when the builders below would give other images than before."""

PHOTOGRAPHS: Final = (
    "astronaut.png", "brick.png", "chelsea.png", "china.jpg", "coffee.png", "flower.jpg", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg",
)  # fmt: skip
"""Classes of `patches`: one photograph each."""
BLOCK, PATCH, STRIDE = 64, 32, 16
"""Side of the regions that go to one split, side of a patch, and steps between patches of a region; pixels."""
PER_CLASS: Final = {"train": 120, "val": 30, "test": 60}
"""Patches of each photograph."""
MIN_CONTRAST = 6.0
"""Least standard deviation of a patch's luminance, of 255; below lie empty sky and the rim of the retina."""
CONTRAST, MAX_GAIN = 40.0, 3.0
"""Standard deviation of luminance that patches are scaled to, and the most that one may be amplified."""


@dataclass(frozen=True, slots=True)
class PatchPlace:
    """Where a patch was cut."""

    photograph: str
    top: int
    left: int
    split: str


def digits() -> Decoded:
    """scikit-learn's handwritten digits, 0..16 stretched to 0..255; split by a hash of each image."""
    bunch = load_digits()
    grey = np.round(bunch.images / 16 * 255).astype(np.uint8)
    images = [np.repeat(image[:, :, None], 3, axis=2) for image in grey]
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in grey]
    labels = [int(label) for label in bunch.target]
    spec = DATASETS["digits"]
    return Decoded(
        name="digits",
        images=images,
        labels=labels,
        splits=carve(digests, labels, ("val", "test")),
        classes=tuple(str(digit) for digit in range(10)),
        flip=spec.flip,
        mean=spec.mean,
        std=spec.std,
    )


def patches() -> Decoded:
    """Patches of twelve photographs, free of their brightness and mean colour; the class is the photograph.

    Train, val and test are cut from disjoint regions of each photograph.
    """
    spec = DATASETS["patches"]
    places = patch_places()
    photographs = {name: read_photograph(name) for name in PHOTOGRAPHS}
    cut = (photographs[p.photograph][p.top : p.top + PATCH, p.left : p.left + PATCH] for p in places)
    return Decoded(
        name="patches",
        images=[normalise_patch(patch) for patch in cut],
        labels=[PHOTOGRAPHS.index(place.photograph) for place in places],
        splits=[place.split for place in places],
        classes=tuple(Path(name).stem for name in PHOTOGRAPHS),
        flip=spec.flip,
        mean=spec.mean,
        std=spec.std,
    )


def versions() -> str:
    """What the bundled images depend on."""
    return f"{BUNDLED_VERSION}-{sklearn.__version__}-{skimage.__version__}"


def read_photograph(name: str) -> Pixels:
    """One of `PHOTOGRAPHS`, (height, width, 3)."""
    folders = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"
    path = next(folder / name for folder in folders if (folder / name).exists())
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def patch_places() -> list[PatchPlace]:
    """Where every patch is cut, evenly over each photograph's regions; deterministic."""
    places = []
    for name in PHOTOGRAPHS:
        luminance = read_photograph(name).astype(np.float64).mean(-1)
        found: dict[str, list[PatchPlace]] = {split: [] for split in SPLITS}
        for place in _candidates(name, luminance.shape):
            patch = luminance[place.top : place.top + PATCH, place.left : place.left + PATCH]
            if patch.std() >= MIN_CONTRAST:
                found[place.split].append(place)
        for split, count in PER_CLASS.items():
            chosen = np.linspace(0, len(found[split]) - 1, min(count, len(found[split]))).round().astype(int)
            places += [found[split][i] for i in chosen]
    return places


def normalise_patch(patch: Pixels) -> Pixels:
    """A patch with mean 127.5 in each channel and a common contrast: neither may give the photograph away."""
    values = patch.astype(np.float64)
    values -= values.mean((0, 1))
    gain = min(CONTRAST / max(float(values.mean(-1).std()), 1e-9), MAX_GAIN)
    return np.clip(np.round(127.5 + gain * values), 0, 255).astype(np.uint8)


def _candidates(name: str, shape: tuple[int, ...]) -> Iterator[PatchPlace]:
    """All patches of all regions; a hash of its place decides which split a region belongs to."""
    for top in range(0, shape[0] - BLOCK + 1, BLOCK):
        for left in range(0, shape[1] - BLOCK + 1, BLOCK):
            lot = hashlib.sha256(f"{name}/{top}/{left}".encode()).digest()[0] / 256
            split = "train" if lot < 0.6 else "val" if lot < 0.75 else "test"
            for y in range(top, top + BLOCK - PATCH + 1, STRIDE):
                for x in range(left, left + BLOCK - PATCH + 1, STRIDE):
                    yield PatchPlace(name, y, x, split)
