"""What every form of a dataset keeps besides its images: splits, labels, scale and `meta.json`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from lejepa_core.datasets.source import Source
from lejepa_core.datasets.splits import SPLITS, carve, check_splits

Scale = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of red, green and blue."""

_LEAST_STD = 1 / 255  # images of a single colour would be divided by 0


def arrange(
    source: Source, labels: Sequence[str], splits: Iterable[str], digests: Sequence[str], classes: Sequence[str]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Turn names into numbers, and carve out missing splits.

    Args:
        source: The dataset.
        labels: Class of each image.
        splits: Declared split of each.
        digests: As `Item.digest`.
        classes: Class names, empty if unlabelled.

    Returns:
        Label of each image, -1 if unlabelled, and its split as an index into `SPLITS`.

    Raises:
        DataError: As `check_splits`.
    """
    # Splits are carved by class even if the classes are then dropped: the images stay comparable.
    strata = _codes(labels, sorted(set(labels)))
    split = carve(strata, _codes(splits, SPLITS), digests, source.shares)
    check_splits(source.name, strata, split, classes)
    return strata if source.labelled else np.full_like(strata, -1), split


def moments(pixels: UInt8[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "2 3"]:
    """Mean of the channels of an image, and of their squares, in 0..1."""
    unit = pixels.reshape(-1, 3) / 255
    return np.stack([unit.mean(axis=0), (unit**2).mean(axis=0)])


def scale_of(found: Sequence[Float64[np.ndarray, "2 3"]]) -> Scale:
    """Mean and standard deviation of images that count alike, from the `moments` of each; at least 1/255."""
    mean, square = np.stack(found).mean(axis=0)
    std = np.sqrt(np.maximum(square - mean**2, _LEAST_STD**2))
    return _triple(mean), _triple(std)


def told(source: Source, scale: Scale) -> tuple[object, ...]:
    """What is known of a dataset besides its images and changes what is learned from it."""
    return (*scale, source.flip, source.photographic, source.probe_per_class)


def write_meta(
    folder: Path,
    source: Source,
    scale: Scale,
    *,
    fingerprint: str,
    classes: Sequence[str],
    skipped: Sequence[str],
    **more: object,
) -> None:
    """Write `meta.json`.

    Args:
        folder: Where to.
        source: The dataset.
        scale: Of its train split.
        fingerprint: As in `ImageDataset`.
        classes: As in `ImageDataset`.
        skipped: As in `ImageDataset`.
        **more: Further entries.

    Raises:
        OSError: The folder cannot be written.
    """
    mean, std = scale
    meta = {
        "name": source.name,
        "fingerprint": fingerprint,
        "classes": list(classes),
        "mean": mean,
        "std": std,
        "flip": source.flip,
        "photographic": source.photographic,
        "probe_per_class": source.probe_per_class,
        "skipped": list(skipped),
        **more,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def fields_of(meta: Mapping[str, Any], index: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The fields of `ImageDataset`, from `meta.json` and the labels and splits of an index."""
    return {
        "name": meta["name"],
        "fingerprint": meta["fingerprint"],
        "classes": tuple(meta["classes"]),
        "mean": tuple(meta["mean"]),
        "std": tuple(meta["std"]),
        "flip": meta["flip"],
        "photographic": meta["photographic"],
        "probe_per_class": meta["probe_per_class"],
        "skipped": tuple(meta["skipped"]),
        "splits": {split: np.flatnonzero(index["split"] == code) for code, split in enumerate(SPLITS)},
        "labels": index["label"] if meta["classes"] else None,
        "folder": folder,
    }


def _codes(names: Iterable[str], known: Sequence[str]) -> Int64[np.ndarray, " n"]:
    position = {name: code for code, name in enumerate(known)}
    return np.array([position[name] for name in names], dtype=np.int64)


def _triple(values: Float64[np.ndarray, " 3"]) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue
