"""Decoding a source into the three files of a cache folder."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from lejepa_core.datasets.meta import Scale, arrange, moments, scale_of, told, write_meta
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.errors import DataError


def write_cache(source: Source, folder: Path) -> None:
    """Decode a dataset one image at a time, carve out missing splits and write the cache files.

    Args:
        source: The dataset.
        folder: An empty folder.

    Raises:
        DataError: No readable image, fewer than two classes, a class without train images, an empty split.
        OSError: The folder cannot be written.
    """
    with (folder / "pixels.bin").open("wb") as file:
        recorder = _Recorder(with_moments=source.mean is None)
        for item in source.items():
            if isinstance(item, str):
                recorder.skipped.append(item)
            else:
                file.write(recorder.add(item))
    refuse_empty(source, len(recorder.shapes), recorder.skipped)
    classes = sorted(set(recorder.labels)) if source.labelled else []
    label, split = arrange(source, recorder.labels, recorder.splits, recorder.digests, classes)
    index = {**recorder.places(), "label": label, "split": split}
    np.savez(folder / "index.npz", allow_pickle=False, **index)
    scale = (source.mean, source.std) if source.mean and source.std else recorder.scale(split)
    write_meta(
        folder,
        source,
        scale,
        fingerprint=_fingerprint(recorder.pixels_sha256.digest(), index, told(source, scale)),
        classes=classes,
        skipped=recorder.skipped,
        pixels_bytes=int(index["offset"][-1] + 3 * index["height"][-1] * index["width"][-1]),
        pixels_sha256=recorder.pixels_sha256.hexdigest(),
    )


def refuse_empty(source: Source, readable: int, skipped: list[str]) -> None:
    """Refuse a dataset of which nothing is left.

    Args:
        source: The dataset.
        readable: How many images it has.
        skipped: One line about each that was left out.

    Raises:
        DataError: No readable image.
    """
    if not readable:
        first = f"; the first: {skipped[0]}" if skipped else ""
        raise DataError(f"{source.name} has no readable image ({len(skipped)} left out{first})")


class _Recorder:
    """What is remembered of each image while its pixels go to disk."""

    def __init__(self, *, with_moments: bool) -> None:
        self.skipped: list[str] = []
        self.labels: list[str] = []
        self.splits: list[str] = []
        self.digests: list[str] = []
        self.shapes: list[tuple[int, int]] = []
        self.pixels_sha256 = hashlib.sha256()
        self._with_moments = with_moments
        self._moments: list[Float64[np.ndarray, "2 3"]] = []

    def add(self, item: Item) -> bytes:
        data = item.pixels.tobytes()
        self.pixels_sha256.update(data)
        self.labels.append(item.label)
        self.splits.append(item.split)
        self.digests.append(item.digest)
        self.shapes.append((item.pixels.shape[0], item.pixels.shape[1]))
        if self._with_moments:
            self._moments.append(moments(item.pixels))
        return data

    def places(self) -> dict[str, Int64[np.ndarray, " n"]]:
        height, width = np.array(self.shapes, dtype=np.int64).T
        return {"offset": np.cumsum(3 * height * width) - 3 * height * width, "height": height, "width": width}

    def scale(self, split: Int64[np.ndarray, " n"]) -> Scale:
        return scale_of([self._moments[i] for i in np.flatnonzero(split == SPLITS.index("train"))])


def _fingerprint(pixels: bytes, index: dict[str, Int64[np.ndarray, " n"]], told: tuple[object, ...]) -> str:
    state = hashlib.sha256(pixels + repr(told).encode())
    for name in ("height", "width", "label", "split"):
        state.update(index[name].astype("<i8").tobytes())
    return state.hexdigest()[:16]
