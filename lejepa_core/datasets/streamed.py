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

Ragged = tuple[UInt8[torch.Tensor, " bytes"], Int64[torch.Tensor, "n 2"]]
"""Red, green and blue plane of each image, one image after another, and each image's (height, width), in pixels."""


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

    @property
    def streamed(self) -> bool:
        """Its images are decoded each time they are asked for."""
        return True

    def batch(self, indices: Int64[np.ndarray, " n"]) -> Batch:
        """Decode images in this process; as `ImageDataset.batch`."""
        return _padded(*self.ragged(indices))

    def ragged(self, indices: Int64[np.ndarray, " n"]) -> Ragged:
        """Decode images in this process, without padding; arguments and errors are those of `batch`."""
        with quiet():
            images = [_planes(read_image(self.name, self.items, place)) for place in self.places[indices].tolist()]
        sizes = np.array([image.shape[1:] for image in images], dtype=np.int64).reshape(-1, 2)
        pixels = np.concatenate([np.empty(0, dtype=np.uint8), *(image.reshape(-1) for image in images)])
        return torch.from_numpy(pixels), torch.from_numpy(sizes)

    def batches(self, batches: Sequence[Int64[np.ndarray, " n"]], *, pinned: bool = False) -> Iterator[Batch]:
        """Decode batch after batch, each by one of the workers, in the order asked for; as `ImageDataset.batches`.

        The workers end with the iterator.
        """
        # A batch is one item of the loader's: it neither shuffles nor collates, and draws from no generator of ours.
        loader: DataLoader[Ragged | str] = DataLoader(
            _Batches(self, batches),
            batch_size=None,
            num_workers=min(self.workers, len(batches)),
            generator=torch.Generator(),
        )
        for found in loader:
            if isinstance(found, str):
                raise DataError(found)
            pixels, sizes = found
            yield _padded(pixels, sizes, pinned=pinned)


class _Batches(Dataset[Ragged | str]):
    """The batches of one pass, as a map-style dataset.

    They pass through shared memory, several of each worker: without padding, which one panorama beside one portrait
    would make a multiple of the pixels.
    """

    def __init__(self, data: StreamedDataset, batches: Sequence[Int64[np.ndarray, " n"]]) -> None:
        self._data, self._batches = data, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Ragged | str:
        # An exception of a worker would arrive as a page of traceback; its line is what people need.
        try:
            return self._data.ragged(self._batches[index])
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


def _planes(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "3 h w"]:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def _padded(pixels: torch.Tensor, sizes: torch.Tensor, *, pinned: bool = False) -> Batch:
    largest = sizes.amax(0).tolist() if len(sizes) else [0, 0]
    if bool((sizes == sizes[:1]).all()) and not pinned:
        return pixels.view(len(sizes), 3, *largest), sizes
    images = torch.zeros(len(sizes), 3, *largest, dtype=torch.uint8, pin_memory=pinned)
    planes = pixels.split((3 * sizes.prod(1)).tolist())
    for image, plane, (height, width) in zip(images, planes, sizes.tolist(), strict=True):
        image[:, :height, :width] = plane.view(3, height, width)
    return images, sizes
