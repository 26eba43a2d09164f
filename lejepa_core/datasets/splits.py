"""Splits where a data set has none: by hashes of the images, so that equal images stay together."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
HELD_OUT = 0.15
"""Share of each class that a missing split takes from the training images."""


def carve(digests: Sequence[str], labels: Sequence[int], missing: Iterable[Split]) -> list[Split]:
    """Divide training images, class by class, into train and the missing splits.

    Images with the same digest land in the same split. The order of the images does not matter.

    Args:
        digests: Hash of each image's bytes, hexadecimal.
        labels: Class of each image.
        missing: Which of val and test to carve out; a class of fewer than 3 different images stays in train.
    """
    wanted = [split for split in ("test", "val") if split in set(missing)]
    by_class: dict[int, set[str]] = defaultdict(set)
    for digest, label in zip(digests, labels, strict=True):
        by_class[label].add(digest)
    home: dict[tuple[int, str], Split] = {}
    for label, members in by_class.items():
        # Hashed once more: the split must not follow from a digest that names the file elsewhere.
        ranked = sorted(members, key=lambda d: hashlib.sha256(b"split" + d.encode()).digest())
        count = max(1, round(HELD_OUT * len(ranked))) if len(ranked) >= 3 else 0
        for i, split in enumerate(wanted):
            home |= {(label, digest): split for digest in ranked[i * count : (i + 1) * count]}  # type: ignore[misc]
    return [home.get((label, digest), "train") for digest, label in zip(digests, labels, strict=True)]
