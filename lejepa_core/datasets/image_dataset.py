"""A dataset as training and probing see it, and its usual form: pixels in memory that all processes of a node share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

Batch = tuple[UInt8[torch.Tensor, "n 3 height width"], Int64[torch.Tensor, "n 2"]]
"""RGB pixels, padded with zeros on the right and at the bottom to the largest height and width among the images, and
each image's own (height, width), in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ImageDataset(ABC):
    """Images with labels and splits.

    Attributes:
        name: "digits", or "folder:flowers" (the folder's own name, not its path).
        fingerprint: 16 hex digits: hash of images, labels and splits, in order; not of any path.
        classes: Class names, () if unlabelled.
        mean: Mean of red, green and blue over the train split, pixels in 0..1, each image with equal weight.
        std: Standard deviation likewise; at least 1/255.
        flip: Whether a horizontal flip leaves the class unchanged.
        photographic: Whether colour jitter, blur and solarising leave the class unchanged.
        probe_per_class: Labelled train images per class that probes learn from, None for all.
        skipped: One line per file that was left out: its relative name and the reason.
        splits: Indices of the images in "train", "val" and "test", ascending.
        labels: Index into `classes` of each image, None if unlabelled.
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
    folder: Path

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(indices)}" for split, indices in self.splits.items())
        return f"{type(self).__name__}({self.name}, {len(self.classes)} classes, {sizes}, {self.fingerprint})"

    @property
    @abstractmethod
    def cached_bytes(self) -> int:
        """Size of its pixels in the cache."""

    @property
    @abstractmethod
    def streamed(self) -> bool:
        """Whether its images are decoded each time they are asked for."""

    @abstractmethod
    def batch(self, indices: Int64[np.ndarray, " n"]) -> Batch:
        """Get images.

        Args:
            indices: Which images, in which order; repeats are allowed.

        Returns:
            Pixels and sizes.

        Raises:
            IndexError: An index outside -len..len-1.
            DataError: An image that was there cannot be read any more.
        """

    def batches(self, batches: Sequence[Int64[np.ndarray, " n"]], *, pinned: bool = False) -> Iterator[Batch]:
        """Get batch after batch, each when it is asked for or a little before.

        Args:
            batches: As `indices` of `batch`.
            pinned: Whether the batches are on their way to a GPU.

        Yields:
            What `batch` returns.

        Raises:
            IndexError: As `batch`.
            DataError: As `batch`.
        """
        yield from map(self.batch, batches)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class DecodedDataset(ImageDataset):
    """Images decoded beforehand, memory-mapped. Pickles as the path of its cache.

    Attributes:
        heights: Height of each image, in pixels.
        widths: Width of each image, in pixels.
        offsets: Where each image begins in `pixels`.
        pixels: The bytes of all images one after another: rows, columns, then red, green, blue.
    """

    heights: Int64[np.ndarray, " n"]
    widths: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n"]
    pixels: UInt8[np.ndarray, " bytes"]

    def __len__(self) -> int:
        return len(self.heights)

    def __reduce__(self) -> tuple[Callable[[Path], "DecodedDataset"], tuple[Any, ...]]:
        from lejepa_core.datasets.cache import open_cache  # the cache builds this class

        return open_cache, (self.folder,)

    @property
    def cached_bytes(self) -> int:
        """Size of its pixels in the cache."""
        return len(self.pixels)

    @property
    def streamed(self) -> bool:
        """Its images were decoded beforehand."""
        return False

    def batch(self, indices: Int64[np.ndarray, " n"]) -> Batch:
        """Copy images out of the cache; as `ImageDataset.batch`."""
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
