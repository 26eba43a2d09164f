"""Decoded images on disk, mapped into memory, so that all trials of a node share one copy."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from lejepa_core.datasets.spec import Triple
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.errors import DataError

FORMAT = 1
"""Raised when the files of the cache change their meaning."""

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """Images fresh from their source, in any order."""

    name: str
    images: Sequence[Pixels]
    """Each (height, width, 3)."""
    labels: Sequence[int] | None
    splits: Sequence[str]
    """train, val or test, for each image."""
    classes: tuple[str, ...]
    flip: bool
    mean: Triple | None = None
    """None = of the training images."""
    std: Triple | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDataset:
    """A data set whose pixels are mapped from the cache."""

    name: str
    fingerprint: str
    """16 hexadecimal digits, of pixels, labels and splits; not of where they came from."""
    classes: tuple[str, ...]
    """Names of the classes; empty for images without."""
    mean: Triple
    """Mean of the channels in [0, 1]."""
    std: Triple
    """Standard deviation of the channels."""
    flip: bool
    """Whether a mirrored image is as good as the image."""
    skipped: tuple[str, ...]
    """One line per file that could not be read."""
    splits: Mapping[str, Indices]
    """train, val and test -> indices."""
    labels: Indices | None
    """Class of each image; None without classes."""
    pixels: Pixels
    """All images' bytes, one after another."""
    offsets: Indices
    """Where each image begins."""
    sizes: Indices
    """(height, width) of each image."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.offsets)

    def batch(self, indices: Indices) -> tuple[UInt8[Tensor, "n 3 h w"], Int[Tensor, "n 2"]]:
        """Images by index, padded with zeros on the right and below to the largest of them.

        Returns:
            The images, and the true (height, width) of each.
        """
        sizes = self.sizes[indices]
        height, width = (int(side) for side in sizes.max(0))
        if (sizes == sizes[0]).all():
            steps = np.arange(height * width * 3)
            flat = self.pixels[self.offsets[indices][:, None] + steps]
            images = flat.reshape(len(indices), height, width, 3)
        else:
            images = np.zeros((len(indices), height, width, 3), np.uint8)
            for row, (offset, (h, w)) in enumerate(zip(self.offsets[indices], sizes, strict=True)):
                images[row, :h, :w] = self.pixels[offset : offset + h * w * 3].reshape(h, w, 3)
        return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(sizes)


def open_or_build(folder: Path, build: Callable[[], Decoded]) -> ImageDataset:
    """The data set of a cache folder, decoded first if the folder is not there or not whole.

    Args:
        folder: Names the source and everything that the decoding depends on.
        build: Decodes; called at most once, by at most one process at a time.

    Raises:
        DataError: If the cache cannot be written, or a split is empty.
    """
    data = _open(folder)
    if data is not None:
        return data
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            data = _open(folder)
            if data is None:
                _write(folder, build())
                data = _open(folder)
    except OSError as error:
        raise DataError(f"cannot write the data cache {folder.parent}: {error.strerror}") from error
    assert data is not None
    return data


def _write(folder: Path, decoded: Decoded) -> None:
    missing = [split for split in SPLITS if split not in decoded.splits]
    if missing:
        raise DataError(f"{decoded.name}: no image for {' and '.join(missing)}; more images were wanted")
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        sizes = np.array([image.shape[:2] for image in decoded.images], np.int64)
        lengths = sizes.prod(1) * 3
        index = {
            "sizes": sizes,
            "offsets": np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
            "splits": np.array([SPLITS.index(split) for split in decoded.splits], np.int64),  # type: ignore[arg-type]
            "labels": np.array(decoded.labels if decoded.labels is not None else [], np.int64),
        }
        with (temporary / "pixels.bin").open("wb") as file:
            for image in decoded.images:
                file.write(np.ascontiguousarray(image, np.uint8).tobytes())
        for name, values in index.items():
            np.save(temporary / f"{name}.npy", values, allow_pickle=False)
        meta = _meta(decoded, index, int(lengths.sum()))
        (temporary / "meta.json").write_text(json.dumps(meta, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _meta(decoded: Decoded, index: Mapping[str, Indices], length: int) -> dict[str, Any]:
    mean, std = decoded.mean, decoded.std
    if mean is None or std is None:
        train = [
            image for image, split in zip(decoded.images, decoded.splits, strict=True) if split == "train"
        ]
        mean, std = _channel_statistics(train)
    digest = hashlib.sha256()
    for image in decoded.images:
        digest.update(np.ascontiguousarray(image).data)
    for values in index.values():
        digest.update(values.tobytes())
    digest.update(repr((mean, std, decoded.flip)).encode())
    return {
        "format": FORMAT,
        "name": decoded.name,
        "bytes": length,
        "fingerprint": digest.hexdigest()[:16],
        "classes": decoded.classes,
        "mean": mean,
        "std": std,
        "flip": decoded.flip,
        "skipped": decoded.skipped,
        "labelled": decoded.labels is not None,
    }


def _channel_statistics(images: Sequence[Pixels]) -> tuple[Triple, Triple]:
    sums, squares, count = np.zeros(3), np.zeros(3), 0
    for image in images:
        values = image.reshape(-1, 3).astype(np.float64) / 255
        sums, squares, count = sums + values.sum(0), squares + np.square(values).sum(0), count + len(values)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-4))
    r, g, b = (round(float(m), 4) for m in mean)
    sr, sg, sb = (round(float(s), 4) for s in std)
    return (r, g, b), (sr, sg, sb)


def _open(folder: Path) -> ImageDataset | None:
    """The data set of a folder; None if anything about it is missing or damaged."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        names = ("sizes", "offsets", "splits", "labels")
        sizes, offsets, splits, labels = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in names
        )
        if meta["format"] != FORMAT or (folder / "pixels.bin").stat().st_size != meta["bytes"]:
            return None
        pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")
    except (OSError, ValueError, KeyError):
        return None
    return ImageDataset(
        name=meta["name"],
        fingerprint=meta["fingerprint"],
        classes=tuple(meta["classes"]),
        mean=tuple(meta["mean"]),
        std=tuple(meta["std"]),
        flip=meta["flip"],
        skipped=tuple(meta["skipped"]),
        splits={name: np.flatnonzero(splits == i) for i, name in enumerate(SPLITS)},
        labels=labels if meta["labelled"] else None,
        pixels=pixels,
        offsets=offsets,
        sizes=sizes,
    )
