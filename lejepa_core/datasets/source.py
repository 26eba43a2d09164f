"""What a loader hands to the cache: where images come from, one decoded image at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
class Glance:
    """What is known of an image before it is decoded.

    Attributes:
        digest: What `Item.digest` of the same image is, so that both forms of a dataset are split alike.
        stored: Size of its file, in bytes.
        decoded: Size of its pixels, in bytes.
    """

    digest: str
    stored: int
    decoded: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LazyItems:
    """Images that can be decoded in any order, each when it is wanted.

    `glance` and `read` take an image's place in `names`, and raise `Undecodable` or OSError where there is no usable
    image. Processes that decode get a copy of them.

    Attributes:
        names: Name of each image, the same wherever the dataset is; for messages and the fingerprint.
        labels: Name of the class of each, as `Item.label`.
        splits: Split of each, as `Item.split`.
        glance: Opens an image as far as its header.
        read: Decodes it, to the very pixels that `Source.items` would give.
        left_out: One line about each file that is no part of the dataset.
    """

    names: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    glance: Callable[[int], Glance]
    read: Callable[[int], UInt8[ndarray, "height width 3"]]
    left_out: tuple[str, ...] = ()


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
        lazy: Lists the same images for decoding on demand, in the order of `items`; None where all come at once.
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
    lazy: Callable[[], LazyItems] | None = None
