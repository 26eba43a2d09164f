"""Embeddings and projections of views of held-out images that no training has seen, the same for every trial."""

# V views, G global views, N images, F features, D dims
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.evaluation.embedding import batch_statistics
from lejepa_core.evaluation.probes import Labels
from lejepa_core.geometry import MIN_SAMPLES
from lejepa_core.pretrain import view_settings
from lejepa_core.random import derive_seed
from lejepa_core.settings import PretrainSettings
from lejepa_core.views import make_views

BATCH: Final = 256
"""Images projected at a time, at most: BatchNorm takes its statistics from these, so it is part of what is measured."""
VIEW_SEED: Final = derive_seed("held-out views")
"""Beyond every seed that a trial can have."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FreshViews:
    """What an encoder makes of them, on the CPU, in its precision."""

    embeddings: Float[Tensor, "g n f"]
    """Of the global views, at least two; BatchNorm by its running averages."""
    projections: list[Float[Tensor, "v _ d"]]
    """Of all views, the global ones first, batch by batch; BatchNorm by the batch, as the loss saw it."""
    views_global: int
    """G."""


@torch.inference_mode()
def fresh_views(
    encoder: Encoder, data: ImageDataset, indices: Labels, settings: PretrainSettings, *, batch: int = BATCH
) -> FreshViews:
    """Embed and project fresh views of images, made as those of training are.

    Args:
        encoder: In evaluation mode; left as it was.
        data: The images.
        indices: Which of them, in which order.
        settings: Of the pretraining; of a single global view, two are made.
        batch: Images at a time, at most.
    """
    settings = replace(settings, views_global=max(2, settings.views_global))
    embeddings, projections = [], []
    for views in _batches(encoder, data, indices, settings, batch):
        count = views[0].shape[:2]
        embeddings.append(encoder.embed(views[0].flatten(0, 1)).unflatten(0, count).cpu())
        if count[1] < MIN_SAMPLES:
            projections.append(encoder(views).cpu())
            continue
        with batch_statistics(encoder):
            projections.append(encoder(views).cpu())
    return FreshViews(embeddings=torch.cat(embeddings, 1), projections=projections, views_global=settings.views_global)


def _batches(
    encoder: Encoder, data: ImageDataset, indices: Labels, settings: PretrainSettings, batch: int
) -> Iterator[list[Tensor]]:
    parameter = next(encoder.parameters())
    # Equal batches: a last one of a few images would have poor statistics.
    chunks = np.array_split(indices, -(-len(indices) // batch))
    made = view_settings(settings, data)
    for chunk, (images, sizes) in zip(chunks, data.batches(chunks, pinned=parameter.is_cuda), strict=True):
        samples = torch.from_numpy(chunk).to(parameter.device)
        images, sizes = images.to(parameter.device), sizes.to(parameter.device)
        yield make_views(images, sizes, samples, made, seed=VIEW_SEED, epoch=0, dtype=parameter.dtype)
