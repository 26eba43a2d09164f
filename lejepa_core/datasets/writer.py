"""Decoding a source into the three files of a cache folder."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.splits import SPLITS, carve, check_splits
from lejepa_core.errors import DataError

_Triple = tuple[float, float, float]

_LEAST_STD = 1 / 255  # images of a single colour would be divided by 0


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
    if not recorder.shapes:
        first = f"; the first: {recorder.skipped[0]}" if recorder.skipped else ""
        raise DataError(f"{source.name} has no readable image ({len(recorder.skipped)} left out{first})")
    classes = sorted(set(recorder.labels)) if source.labelled else []
    index = recorder.index(source, classes)
    np.savez(folder / "index.npz", allow_pickle=False, **index)
    mean, std = source.mean, source.std
    if mean is None or std is None:
        mean, std = recorder.mean_and_std(index["split"])
    told = (mean, std, source.flip, source.photographic, source.probe_per_class)
    meta = {
        "name": source.name,
        "fingerprint": _fingerprint(recorder.pixels_sha256.digest(), index, told),
        "classes": classes,
        "mean": mean,
        "std": std,
        "flip": source.flip,
        "photographic": source.photographic,
        "probe_per_class": source.probe_per_class,
        "skipped": recorder.skipped,
        "pixels_bytes": int(index["offset"][-1] + 3 * index["height"][-1] * index["width"][-1]),
        "pixels_sha256": recorder.pixels_sha256.hexdigest(),
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


class _Recorder:
    """What is remembered of each image while its pixels go to disk."""

    def __init__(self, *, with_moments: bool) -> None:
        self.skipped: list[str] = []
        self.labels: list[str] = []
        self.shapes: list[tuple[int, int]] = []
        self.pixels_sha256 = hashlib.sha256()
        self._splits: list[int] = []
        self._digests: list[str] = []
        self._with_moments = with_moments
        self._moments: list[Float64[np.ndarray, "2 3"]] = []

    def add(self, item: Item) -> bytes:
        data = item.pixels.tobytes()
        self.pixels_sha256.update(data)
        self.labels.append(item.label)
        self.shapes.append((item.pixels.shape[0], item.pixels.shape[1]))
        self._splits.append(SPLITS.index(item.split))
        self._digests.append(item.digest)
        if self._with_moments:
            self._moments.append(_moments(item.pixels))
        return data

    def index(self, source: Source, classes: Sequence[str]) -> dict[str, Int64[np.ndarray, " n"]]:
        # Splits are carved by class even if the classes are then dropped: the images stay comparable.
        strata = _codes(self.labels, sorted(set(self.labels)))
        split = carve(strata, np.array(self._splits, dtype=np.int64), self._digests, source.shares)
        check_splits(source.name, strata, split, classes)
        height, width = np.array(self.shapes, dtype=np.int64).T
        offset = np.cumsum(3 * height * width) - 3 * height * width
        label = strata if source.labelled else np.full_like(strata, -1)
        return {"offset": offset, "height": height, "width": width, "label": label, "split": split}

    def mean_and_std(self, split: Int64[np.ndarray, " n"]) -> tuple[_Triple, _Triple]:
        mean, square = np.stack(self._moments)[split == SPLITS.index("train")].mean(axis=0)
        std = np.sqrt(np.maximum(square - mean**2, _LEAST_STD**2))
        return _triple(mean), _triple(std)


def _moments(pixels: UInt8[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "2 3"]:
    unit = pixels.reshape(-1, 3) / 255
    return np.stack([unit.mean(axis=0), (unit**2).mean(axis=0)])


def _triple(values: Float64[np.ndarray, " 3"]) -> _Triple:
    red, green, blue = values.tolist()
    return red, green, blue


def _codes(names: Iterable[str], known: Sequence[str]) -> Int64[np.ndarray, " n"]:
    position = {name: code for code, name in enumerate(known)}
    return np.array([position[name] for name in names], dtype=np.int64)


def _fingerprint(pixels: bytes, index: dict[str, Int64[np.ndarray, " n"]], told: tuple[object, ...]) -> str:
    state = hashlib.sha256(pixels + repr(told).encode())
    for name in ("height", "width", "label", "split"):
        state.update(index[name].astype("<i8").tobytes())
    return state.hexdigest()[:16]
