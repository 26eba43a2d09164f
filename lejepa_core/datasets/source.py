"""What a loader hands to the cache: where images come from, one decoded image at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One decoded image.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        label: Name of its class; anything if the source is unlabelled.
        split: "train", "val" or "test"; a "train" image may be carved into a missing split.
        digest: Hash of the image's content: identical images share it.
    """

    pixels: UInt8[ndarray, "height width 3"]
    label: str
    split: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A dataset that has not been decoded yet.

    Attributes:
        name: Name of the dataset as a person sees it.
        key: Changes whenever the decoded pixels might.
        flip: Whether a horizontal flip leaves the class unchanged.
        photographic: Whether colour jitter, blur and solarising leave the class unchanged.
        probe_per_class: Labelled train images per class that probes learn from, None for all.
        items: Starts the decoding; yields an image, or one line about a file that has to be left out.
        shares: Splits that are missing, and the share of train to carve out for each.
        mean: Channel means in 0..1, None to compute them from the train split.
        std: Channel standard deviations, likewise.
        labelled: Whether the labels count; if not, the dataset is stored without them.
    """

    name: str
    key: str
    flip: bool
    items: Callable[[], Iterator[Item | str]]
    shares: Mapping[str, float]
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    labelled: bool = True
    photographic: bool = True
    probe_per_class: int | None = None
