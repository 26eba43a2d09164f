"""What an encoder makes of plain images: embeddings and projections, in batches."""

# N samples, F features
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.evaluation.probes import Labels
from lejepa_core.random import derive_seed
from lejepa_core.views import plain_view

_CHUNK: Final = 256


def held_out_sample(indices: Labels, count: int) -> Labels:
    """A fixed random sample in random order: indices come sorted by class, and a batch should hold all classes."""
    generator = torch.Generator().manual_seed(derive_seed("held-out"))
    order: Labels = indices[torch.randperm(len(indices), generator=generator).numpy()]
    return order[:count]


@contextmanager
def batch_statistics(encoder: Encoder) -> Iterator[None]:
    """BatchNorm as the loss saw it: after few steps its running averages lag behind, and would look like collapse."""
    layers = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    averages = [(layer.running_mean, layer.running_var) for layer in layers]
    for layer in layers:
        # Without averages the batch's own are taken. In training mode other processes would have to take part.
        layer.running_mean = layer.running_var = None
    try:
        yield
    finally:
        for layer, (mean, variance) in zip(layers, averages, strict=True):
            layer.running_mean, layer.running_var = mean, variance


def embed(encoder: Encoder, data: ImageDataset, indices: Labels, image_size: int, *, projected: bool = False) -> Tensor:
    """Embeddings, or projections, of plain images.

    Args:
        encoder: As it is: in evaluation mode, or the embeddings depend on the batch.
        data: The images.
        indices: Which of them, in which order.
        image_size: Side of the images that the encoder sees, in pixels.
        projected: Whether to return projections.

    Returns:
        (N, F) on the CPU, in the encoder's precision.
    """
    look = partial(_project, encoder) if projected else encoder.embed
    return look_at(look, encoder, data, indices, image_size)


@torch.inference_mode()
def look_at(
    look: Callable[[Tensor], Tensor], encoder: Encoder, data: ImageDataset, indices: Labels, image_size: int
) -> Tensor:
    """What a function makes of plain images.

    Args:
        look: (n, 3, S, S), on the encoder's device and in its precision -> (n, ...).
        encoder: Where and in which precision.
        data: The images.
        indices: Which of them, in which order.
        image_size: S, in pixels.

    Returns:
        (N, ...) on the CPU.
    """
    parameter = next(encoder.parameters())
    parts = []
    # Equal chunks: a last one of a single image would have no batch statistics.
    chunks = np.array_split(indices, -(-len(indices) // _CHUNK))
    for images, sizes in data.batches(chunks, pinned=parameter.is_cuda):
        view = plain_view(
            images.to(parameter.device),
            sizes.to(parameter.device),
            size=image_size,
            mean=data.mean,
            std=data.std,
        ).to(parameter.dtype)
        parts.append(look(view).cpu())
    return torch.cat(parts)


def _project(encoder: Encoder, view: Tensor) -> Tensor:
    projections: Tensor = encoder([view[None]])[0]
    return projections
