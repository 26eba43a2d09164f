"""What is known about a named dataset before it is read, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

VAL_SHARES: Final = {"val": 0.1}
"""Carved out of a dataset that was published with train and test."""
ALL_SHARES: Final = {"val": 0.1, "test": 0.2}
"""Carved out of a dataset that was published in one piece."""


def carved(shares: Mapping[str, float]) -> dict[str, str]:
    """Say which images serve what.

    Args:
        shares: As in `DatasetSpec`.

    Returns:
        As `DatasetSpec.uses`.
    """
    train = f"train less {' and '.join(shares)}" if shares else "train"
    val, test = (
        f"{shares[split]:.0%} of each class of train, by hash" if split in shares else split
        for split in ("val", "test")
    )
    return {"pretraining": train, "probe training": train, "validation": val, "test": test}


GIVEN_SPLITS: Final = carved({})
"""Uses of a dataset that was published with train, val and test."""
VAL_CARVED: Final = carved(VAL_SHARES)
"""Uses with `VAL_SHARES`."""
ALL_CARVED: Final = carved(ALL_SHARES)
"""Uses with `ALL_SHARES`."""

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
        mean: What red, green and blue are centred on, pixels in 0..1: the mean over train, or that of ImageNet.
        std: Standard deviation likewise.
        flip: Whether a horizontal flip leaves the class unchanged.
        photographic: Whether the images are photographs, which colour jitter, blur and solarising leave what they are;
            others are only cropped and flipped.
        probe_per_class: Labelled train images per class that probes learn from, None for all. Fewer where, with
            all of them, even an untrained network leaves nothing to gain.
        made_of: Collection that the images were chosen from, "" if none that another set here was chosen from. Sets of
            one collection may share images, those of one's test with those of another's train.
        bundled: Whether the images come with the installed packages.
        licence: Licence of the images.
        source: Who made them.
        how_to_get: What to do when they are absent; DIR stands for the data root.
        shares: Splits that were not published, and the share of each class of train that is carved out for each, by
            hash.
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
    made_of: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    uses: Mapping[str, str] = field(default_factory=lambda: GIVEN_SPLITS)
