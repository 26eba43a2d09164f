"""A decoded dataset: pixels in a memory-mapped file that all processes of a node share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageDataset:
    """Images in memory-mapped form, with labels and splits. Pickles as the path of its cache.

    Attributes:
        name: "digits", or "folder:flowers" (the folder's own name, not its path).
        fingerprint: 16 hex digits: hash of decoded pixels, labels and splits, in order; not of any path.
        classes: Class names, () if unlabelled.
        mean: Mean of red, green and blue over the train split, pixels in 0..1, each image with equal weight.
        std: Standard deviation likewise; at least 1/255.
        flip: Whether a horizontal flip leaves the class unchanged.
        photographic: Whether colour jitter, blur and solarising leave the class unchanged.
        probe_per_class: Labelled train images per class that probes learn from, None for all.
        skipped: One line per file that was left out: its relative name and the reason.
        splits: Indices of the images in "train", "val" and "test", ascending.
        labels: Index into `classes` of each image, None if unlabelled.
        heights: Height of each image, in pixels.
        widths: Width of each image, in pixels.
        offsets: Where each image begins in `pixels`.
        pixels: The bytes of all images one after another: rows, columns, then red, green, blue.
        folder: The cache that it was opened from.
    """

    name: str
    fingerprint: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip: bool
    photographic: bool
    probe_per_class: int | None
    skipped: tuple[str, ...]
    splits: Mapping[str, Int64[np.ndarray, " n"]]
    labels: Int64[np.ndarray, " n"] | None
    heights: Int64[np.ndarray, " n"]
    widths: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n"]
    pixels: UInt8[np.ndarray, " bytes"]
    folder: Path

    def __len__(self) -> int:
        return len(self.heights)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(indices)}" for split, indices in self.splits.items())
        return f"ImageDataset({self.name}, {len(self.classes)} classes, {sizes}, {self.fingerprint})"

    def __reduce__(self) -> tuple[Callable[[Path], "ImageDataset"], tuple[Any, ...]]:
        from lejepa_core.datasets.cache import open_cache  # the cache builds this class

        return open_cache, (self.folder,)

    def batch(
        self, indices: Int64[np.ndarray, " n"]
    ) -> tuple[UInt8[torch.Tensor, "n 3 height width"], Int64[torch.Tensor, "n 2"]]:
        """Copy images out of the cache.

        Args:
            indices: Which images, in which order; repeats are allowed.

        Returns:
            RGB pixels, padded with zeros on the right and at the bottom to the largest height and width among
            them, and each image's own (height, width), in pixels.

        Raises:
            IndexError: An index outside -len..len-1.
        """
        heights, widths = self.heights[indices], self.widths[indices]
        sizes = torch.from_numpy(np.stack([heights, widths], axis=1))
        if self._uniform():
            images = self.pixels.reshape(len(self), self.heights[0], self.widths[0], 3)[indices]
        else:
            images = self._padded(indices)
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), sizes

    def _uniform(self) -> bool:
        return bool(np.all(self.heights == self.heights[0]) and np.all(self.widths == self.widths[0]))

    def _padded(self, indices: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n height width 3"]:
        heights, widths, offsets = self.heights[indices], self.widths[indices], self.offsets[indices]
        shape = (len(indices), heights.max(initial=0), widths.max(initial=0), 3)
        images = np.zeros(shape, dtype=np.uint8)
        for image, height, width, offset in zip(images, heights, widths, offsets, strict=True):
            count = height * width * 3
            image[:height, :width] = self.pixels[offset : offset + count].reshape(height, width, 3)
        return images
