"""A dataset too large to be decoded beforehand: worker processes read its files a little ahead of training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch.utils.data import DataLoader, Dataset

from lejepa_core.datasets.decoding import Undecodable, quiet
from lejepa_core.datasets.image_dataset import Batch, ImageDataset
from lejepa_core.datasets.source import LazyItems
from lejepa_core.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class StreamedDataset(ImageDataset):
    """Images that are decoded each time they are asked for, to the same pixels as in `DecodedDataset`.

    Attributes:
        items: The images, and those that are left out.
        places: Place of each image in `items`.
        workers: Processes that decode ahead in `batches`; 0 decodes in the calling one.
    """

    items: LazyItems
    places: Int64[np.ndarray, " n"]
    workers: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def cached_bytes(self) -> int:
        """None of its pixels are in the cache."""
        return 0

    def batch(self, indices: Int64[np.ndarray, " n"]) -> Batch:
        """Decode images in this process; as `ImageDataset.batch`."""
        with quiet():
            return _padded([read_image(self.name, self.items, place) for place in self.places[indices].tolist()])

    def batches(self, batches: Sequence[Int64[np.ndarray, " n"]], *, pinned: bool = False) -> Iterator[Batch]:
        """Decode batch after batch, each by one of the workers, in the order asked for; as `ImageDataset.batches`.

        The workers end with the iterator.
        """
        # A batch is one item of the loader's: it neither shuffles nor collates, and draws from no generator of ours.
        loader: DataLoader[Batch | str] = DataLoader(
            _Batches(self, batches),
            batch_size=None,
            num_workers=min(self.workers, len(batches)),
            pin_memory=pinned,
            generator=torch.Generator(),
        )
        for found in loader:
            if isinstance(found, str):
                raise DataError(found)
            images, sizes = found
            yield images, sizes


class _Batches(Dataset[Batch | str]):
    """The batches of one pass, as a map-style dataset."""

    def __init__(self, data: StreamedDataset, batches: Sequence[Int64[np.ndarray, " n"]]) -> None:
        self._data, self._batches = data, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch | str:
        # An exception of a worker would arrive as a page of traceback; its line is what people need.
        try:
            return self._data.batch(self._batches[index])
        except DataError as error:
            return str(error)


def read_image(name: str, items: LazyItems, place: int) -> UInt8[np.ndarray, "h w 3"]:
    """Decode one image that was readable, as far as its header told.

    Args:
        name: Name of the dataset, for the message.
        items: Its images.
        place: Which of them.

    Returns:
        RGB pixels.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return items.read(place)
    except (Undecodable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{name}: {items.names[place]} cannot be read ({reason}); wanted a whole image, since streamed files are "
            "checked by their headers alone. Restore it, or remove it and start another study"
        ) from error


def _padded(images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Batch:
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int64).reshape(-1, 2)
    pixels = np.zeros((len(images), *sizes.max(axis=0, initial=0), 3), dtype=np.uint8)
    for row, image in zip(pixels, images, strict=True):
        row[: image.shape[0], : image.shape[1]] = image
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(sizes)
