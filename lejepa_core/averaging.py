"""Averaged weights that make the centre: the paper's "SWA on the encoder producing μ", rows of its Table 4.

The paper (arXiv 2511.08544v3, "Removal of popular heuristics") calls this a teacher-student configuration that helps
ViTs a little, and says no more: neither a decay nor which encoder is evaluated. This reading is ours. The average is
exponential, θ̄ <- d·θ̄ + (1 - d)·θ after each step, from the initial weights on, as in the teacher of the library that
the reference trains with (stable-pretraining, whose decay rises from 0.996 to 1; ours stays). An equal average over all
steps would have no decay to choose, and would make centres of weights that are long outlived.

The averaged encoder projects the global views of each step; their mean is the centre that all views of the trained
encoder are drawn to, without a gradient. SIGReg tests the trained encoder alone. What is evaluated, watched between
epochs and kept is the averaged encoder. Only weights are averaged: its BatchNorm sees global views in training mode, so
that batch statistics, and the running averages that evaluation uses, are of its own activations. They are of global
views alone, also in the projector, where those of the trained encoder are of all views.
"""

# G global views, N samples of this rank, D dims
import copy

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lejepa_core.accumulation import embed_in_parts
from lejepa_core.encoder import Encoder
from lejepa_core.precision import autocast
from lejepa_core.settings import PretrainSettings


class AveragedEncoder:
    """An encoder that follows another one, which is trained in its place."""

    def __init__(self, encoder: Encoder, settings: PretrainSettings, micro_batch: int | None) -> None:
        """Begin both at the same weights.

        Args:
            encoder: The one that will hold the averages; its BatchNorm is synchronised already.
            settings: Give the decay, the global views and the precision.
            micro_batch: Images that the backbone sees at a time, at most; None = all at once.
        """
        self.encoder = encoder
        self.trained: Encoder = copy.deepcopy(encoder)
        self._settings, self._micro_batch = settings, micro_batch
        self._average = get_ema_multi_avg_fn(settings.weight_average)

    @torch.no_grad()
    def centre(self, views: list[Tensor]) -> Float[Tensor, "n d"]:
        """Mean projection of the global views, which come first of all."""
        precision = self._settings.precision
        views_GN = views[0][: self._settings.views_global]
        embeddings = embed_in_parts(self.encoder, views_GN, self._micro_batch or views_GN.shape[1], precision)
        with autocast(precision, views_GN.device):
            return self.encoder.project(embeddings.flatten(0, 1), views_GN.shape[1]).mean(0)

    def follow(self) -> None:
        """Take in the weights after a step."""
        own, other = (list(module.parameters()) for module in (self.encoder, self.trained))
        self._average(own, other, None)
