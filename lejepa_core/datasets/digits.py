"""The `digits` dataset: scikit-learn's 1,797 handwritten digits."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.spec import DatasetSpec, carved

_SHARES = {"val": 0.15, "test": 0.25}

SPECS: Final = (
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
        how_to_get="comes with the installation",
        shares=_SHARES,
        uses=carved(_SHARES),
    ),
)

_INK = 16  # the darkest value in scikit-learn's copy


def _source(root: Path, image_size: int) -> Source:
    # Grey levels 0..16 become 0..255 in three equal channels.
    spec = SPECS[0]
    return Source(
        name=spec.name,
        key=f"1-{version('scikit-learn')}",
        flip=spec.flip,
        photographic=spec.photographic,
        probe_per_class=spec.probe_per_class,
        items=_items,
        shares=spec.shares,
        mean=spec.mean,
        std=spec.std,
    )


def _items() -> Iterator[Item | str]:
    from sklearn.datasets import load_digits  # takes seconds, and most runs find the cache filled

    bunch = load_digits()
    grey = np.round(bunch.images * (255 / _INK)).astype(np.uint8)
    for image, label in zip(grey, bunch.target, strict=True):
        pixels = np.repeat(image[:, :, None], 3, axis=2)
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        yield Item(pixels=pixels, label=str(label), split="train", digest=digest)


READERS: Final = {"digits": Reader(source=_source, check=lambda root: None, download=None)}
