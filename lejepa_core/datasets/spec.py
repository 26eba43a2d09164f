"""What is known about a named dataset before it is read, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_ROLES = ("pretraining", "probe training", "validation", "test")

GIVEN_SPLITS: Final = dict(zip(_ROLES, ("train", "train", "val", "test"), strict=True))
"""Uses of a dataset that comes with all three splits."""
VAL_CARVED: Final = dict(
    zip(_ROLES, ("train less val", "train less val", "10 % of each class of train, by hash", "test"), strict=True)
)
"""Uses of a dataset that comes without val."""
ALL_CARVED: Final = dict(
    zip(_ROLES, ("the rest", "the rest", "10 % of each class, by hash", "20 % of each class, by hash"), strict=True)
)
"""Uses of a dataset that comes in one piece."""

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
"""Channel means over ImageNet, the custom where a dataset has none of its own."""
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
"""Standard deviations likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """What is known about a dataset before it is read.

    Attributes:
        name: What a person types.
        title: One line for a listing.
        classes: Number of classes.
        native_size: Height and width of every image, in pixels; None if they differ.
        images: Number of images of train, val and test. Of a carved split it is right up to the rounding of each
            class; the sum is exact.
        mean: Mean of red, green, blue over the train split, pixels in 0..1.
        std: Standard deviation likewise.
        flip: Whether a horizontal flip leaves the class unchanged.
        photographic: Whether the images are photographs, which colour jitter, blur and solarising leave what they are;
            others are only cropped and flipped.
        probe_per_class: Labelled train images per class that probes learn from, None for all. Fewer where, with
            all of them, even an untrained network leaves nothing to gain.
        bundled: Whether the images come with the installed packages.
        licence: Licence of the images.
        source: Who made them.
        how_to_get: What to do when they are absent; DIR stands for the data root.
        uses: Which of the published images serve pretraining, probe training, validation and test.
    """

    name: str
    title: str
    classes: int
    native_size: int | None
    images: Mapping[str, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip: bool
    bundled: bool
    licence: str
    source: str
    how_to_get: str
    photographic: bool = True
    probe_per_class: int | None = None
    uses: Mapping[str, str] = field(default_factory=lambda: GIVEN_SPLITS)
