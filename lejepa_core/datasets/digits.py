"""The `digits` dataset: scikit-learn's 1,797 handwritten digits."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.specs import DATASETS

_INK = 16  # the darkest value in scikit-learn's copy


def digits_source() -> Source:
    """Describe `digits`: its grey levels 0..16 become 0..255 in three equal channels, splits are carved.

    Returns:
        The source; 15 % of each class go to val and 25 % to test.
    """
    spec = DATASETS["digits"]
    return Source(
        name=spec.name,
        key=f"1-{version('scikit-learn')}",
        flip=spec.flip,
        photographic=spec.photographic,
        probe_per_class=spec.probe_per_class,
        items=_items,
        shares={"val": 0.15, "test": 0.25},
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
