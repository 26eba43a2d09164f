"""The named datasets, as plain data."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.datasets.spec import DatasetSpec

_BUNDLED = "comes with the installation"

_SPECS = (
    DatasetSpec(
        name="digits",
        title="handwritten digits, 8x8 grey",
        classes=10,
        native_size=8,
        images={"train": 1078, "val": 269, "test": 450},
        mean=(0.3056, 0.3056, 0.3056),
        std=(0.3760, 0.3760, 0.3760),
        flip=False,
        photographic=False,
        probe_per_class=20,
        bundled=True,
        licence="CC BY 4.0 (UCI), shipped with scikit-learn (BSD-3-Clause)",
        source="Alpaydin and Kaynak 1998, test half of UCI Optical Recognition of Handwritten Digits",
        how_to_get=_BUNDLED,
    ),
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
        how_to_get=_BUNDLED,
    ),
    DatasetSpec(
        name="cifar10",
        title="CIFAR-10: tiny photographs of 10 kinds of things",
        classes=10,
        native_size=32,
        images={"train": 45_000, "val": 5_000, "test": 10_000},
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        flip=True,
        bundled=False,
        licence="none stated; free for research",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        how_to_get="lejepa datasets get cifar10 --root DIR",
    ),
    DatasetSpec(
        name="cifar100",
        title="CIFAR-100: tiny photographs of 100 kinds of things",
        classes=100,
        native_size=32,
        images={"train": 45_000, "val": 5_000, "test": 10_000},
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        flip=True,
        bundled=False,
        licence="none stated; free for research",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        how_to_get="lejepa datasets get cifar100 --root DIR",
    ),
)

DATASETS: Final[Mapping[str, DatasetSpec]] = {spec.name: spec for spec in _SPECS}
"""Every dataset that has a name of its own; `folder:PATH` stands for a person's own images."""
