"""Train, val and test: carving out missing splits by content, and refusing unusable ones."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Int64

from lejepa_core.errors import DataError

SPLITS: Final = ("train", "val", "test")
"""The splits; their order gives the codes 0, 1, 2 in the cache."""

_TRAIN = SPLITS.index("train")


def carve(
    labels: Int64[np.ndarray, " n"],
    codes: Int64[np.ndarray, " n"],
    digests: Sequence[str],
    shares: Mapping[str, float],
) -> Int64[np.ndarray, " n"]:
    """Move train images into missing splits.

    In each class the distinct contents are sorted by their hash, and the first ones go to test, the next to
    val: the result depends on content alone, and identical images stay together, across classes as well. A
    class of three or more distinct images gives at least one to each split.

    Args:
        labels: Class of each image.
        codes: Split of each image, as indices into `SPLITS`.
        digests: Content hash of each image.
        shares: Share of each class's train images to move, by split.

    Returns:
        New split codes.
    """
    moved: dict[str, int] = {}
    names = np.asarray(digests)
    for label in np.unique(labels[codes == _TRAIN]):
        contents = np.unique(names[(labels == label) & (codes == _TRAIN)]).tolist()
        free = [digest for digest in contents if digest not in moved]
        for split in sorted(shares):
            code, least = SPLITS.index(split), 1 if len(contents) >= 3 else 0
            quota = max(round(shares[split] * len(contents)), least)
            quota = max(quota - sum(moved.get(digest) == code for digest in contents), 0)
            moved.update(dict.fromkeys(free[:quota], code))
            free = free[quota:]
        moved.update(dict.fromkeys(free, _TRAIN))
    return np.array(
        [moved[d] if code == _TRAIN else code for d, code in zip(digests, codes, strict=True)], dtype=np.int64
    )


def check_splits(
    name: str,
    labels: Int64[np.ndarray, " n"],
    codes: Int64[np.ndarray, " n"],
    classes: Sequence[str],
) -> None:
    """Refuse splits that nothing can be learned from or measured on.

    Args:
        name: Name of the dataset, for the message.
        labels: Class of each image.
        codes: Split of each image, as indices into `SPLITS`.
        classes: Class names, empty if unlabelled.

    Raises:
        DataError: Only one class; a class that train lacks (a probe could not learn it); an empty split.
    """
    if len(classes) == 1:
        raise DataError(f"{name} has one class, {classes[0]!r}; wanted two or more. Without classes: --unlabelled")
    for code, split in enumerate(SPLITS):
        if not np.any(codes == code):
            raise DataError(
                f"{name}: split {split!r} is empty ({len(codes)} images in all); wanted one or more images. "
                "Add some: three different ones of a class are enough to fill train, val and test"
            )
    lacking = sorted(set(range(len(classes))) - set(labels[codes == _TRAIN].tolist()))
    if lacking:
        raise DataError(
            f"{name}: class {classes[lacking[0]]!r} has no image in train ({len(lacking)} such classes); "
            "wanted some of every class there. Add them, or remove the class's folder from val and test"
        )
