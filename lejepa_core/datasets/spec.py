"""What is known of a data set before its images are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """One data set that a study can name."""

    name: str
    title: str
    classes: int
    mean: Triple
    """Mean of the channels in [0, 1]."""
    std: Triple
    """Standard deviation of the channels."""
    flip: bool
    """Whether a mirrored image is as good as the image."""
    native_size: int
    """Side of the images, in pixels."""
    images: Mapping[str, int]
    """Split -> images."""
    licence: str
    source: str
    how_to_get: str


_GREY_WORLD: Final = ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))

DATASETS: Final[Mapping[str, DatasetSpec]] = {
    "digits": DatasetSpec(
        name="digits",
        title="Handwritten digits, 8x8 grey",
        classes=10,
        mean=(0.305, 0.305, 0.305),
        std=(0.376, 0.376, 0.376),
        flip=False,
        native_size=8,
        images={"train": 1077, "val": 270, "test": 450},
        licence="CC BY 4.0",
        source="UCI Optical Recognition of Handwritten Digits, in the scikit-learn wheel",
        how_to_get="comes with scikit-learn",
    ),
    "patches": DatasetSpec(
        name="patches",
        title="Patches of photographs, which photograph?",
        classes=12,
        mean=_GREY_WORLD[0],
        std=_GREY_WORLD[1],
        flip=True,
        native_size=32,
        images={"train": 1440, "val": 360, "test": 720},
        licence="BSD-3-Clause and CC0; see the wheels' README files",
        source="photographs in the scikit-image and scikit-learn wheels",
        how_to_get="comes with scikit-image and scikit-learn",
    ),
    "cifar10": DatasetSpec(
        name="cifar10",
        title="CIFAR-10",
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        flip=True,
        native_size=32,
        images={"train": 45000, "val": 5000, "test": 10000},
        licence="none stated",
        source="Krizhevsky 2009, through torchvision",
        how_to_get="lejepa datasets get cifar10",
    ),
    "cifar100": DatasetSpec(
        name="cifar100",
        title="CIFAR-100",
        classes=100,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        flip=True,
        native_size=32,
        images={"train": 45000, "val": 5000, "test": 10000},
        licence="none stated",
        source="Krizhevsky 2009, through torchvision",
        how_to_get="lejepa datasets get cifar100",
    ),
}
