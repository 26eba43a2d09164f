"""What an encoder is worth in the middle of its training, on few held-out images; training goes on as if nothing was.

Both figures are comparable between values of λ, as the loss is not: λ is no part of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from lejepa_core.datasets import ImageDataset
from lejepa_core.distributed import alone
from lejepa_core.encoder import Encoder
from lejepa_core.errors import DataError
from lejepa_core.evaluation.embedding import held_out_sample
from lejepa_core.evaluation.evaluate import held_out_geometry
from lejepa_core.evaluation.fresh_views import fresh_views
from lejepa_core.evaluation.retrieval import retrieval_top1
from lejepa_core.settings import PretrainSettings

RETRIEVAL_IMAGES: Final = 512
COLLAPSE_IMAGES: Final = 64


def collapse_midway(encoder: Encoder, data: ImageDataset, *, image_size: int) -> str:
    """Why held-out projections count as collapsed now, by the measure of the end; empty if they do not.

    Args:
        encoder: In any mode; left in it.
        data: The images.
        image_size: Side of the images that the encoder sees, in pixels.
    """
    with _looked_at(encoder):
        return held_out_geometry(encoder, data, image_size=image_size, count=COLLAPSE_IMAGES).collapse


def retrieval_midway(encoder: Encoder, data: ImageDataset, settings: PretrainSettings) -> float:
    """How often the embedding of a fresh global view of a validation image is nearest to that of its other view.

    Args:
        encoder: In any mode; left in it.
        data: The images.
        settings: Of the pretraining.

    Returns:
        In [0, 1]; by chance one over the number of images.

    Raises:
        DataError: If there are fewer than two validation images.
    """
    indices = held_out_sample(data.splits["val"], RETRIEVAL_IMAGES)
    if len(indices) < 2:
        raise DataError(f"{data.name} has {len(indices)} validation images, view retrieval wants at least 2")
    with _looked_at(encoder):
        views = fresh_views(encoder, data, indices, replace(settings, views_global=2, views_local=0))
    return retrieval_top1(*views.embeddings)


@contextmanager
def _looked_at(encoder: Encoder) -> Iterator[None]:
    """In evaluation mode, and without other processes, which do not take part."""
    training = encoder.training
    encoder.eval()
    try:
        with alone():
            yield
    finally:
        encoder.train(training)
