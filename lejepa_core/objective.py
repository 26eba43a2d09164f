"""LeJEPA's loss: the one definition of λ in this project.

    (1 - λ) · prediction + λ · SIGReg          (arXiv 2511.08544, Algorithm 2)

prediction = mean over views, samples and dims of (projection - centre)², centre = mean projection of the global
views; SIGReg is taken per view, on the samples of all ranks and with the factor N of the global batch, and
averaged over views.

Two options, off by default, stand for rows of the paper's Table 4. A predictor: (predictor(projection) - centre)² in
place of (projection - centre)², for every view, global ones too; centre and SIGReg are of projections that did not pass
it, and gradients flow through both sides. The paper does not say what its predictor predicts from what: this reading is
ours. And a centre that is given, see `lejepa_core.averaging`.
"""

# V views, G global views (the first G of V), N samples, D dims
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.distributed import all_reduce_sum
from lejepa_core.errors import SettingError
from lejepa_core.sigreg import SIGReg


class LossTerms(NamedTuple):
    """The loss and what it is made of; each a scalar, the same on every rank."""

    total: Tensor
    prediction: Tensor
    sigreg: Tensor
    """Or what stands in its place: another regularizer, or the other term of another objective."""


class LeJEPALoss(nn.Module):
    """The convex combination of prediction and SIGReg."""

    def __init__(self, lambda_: float, *, sigreg: nn.Module | None = None, predictor: nn.Module | None = None) -> None:
        """Fix the trade-off.

        Args:
            lambda_: λ in [0, 1].
            sigreg: What λ weighs, called as SIGReg is: `SIGReg()` if None, or one of `lejepa_core.normality`.
            predictor: (samples, dims) -> the same, in the type of the projections; trained along. None = no predictor.

        Raises:
            SettingError: If λ is not in [0, 1].
        """
        super().__init__()
        if not (math.isfinite(lambda_) and 0 <= lambda_ <= 1):
            raise SettingError(f"λ = {lambda_} came, a number in [0, 1] was wanted")
        self.lambda_ = lambda_
        self.sigreg: nn.Module = sigreg if sigreg is not None else SIGReg()
        self.predictor = predictor

    def forward(
        self,
        z: Float[Tensor, "v n d"],
        *,
        views_global: int,
        step: int | Tensor,
        centre: Float[Tensor, "n d"] | None = None,
    ) -> LossTerms:
        """The loss of one step.

        Args:
            z: Projections of this rank's samples, global views first.
            views_global: How many of the views are global.
            step: Global step, for SIGReg's directions.
            centre: What views are compared with, if not the mean of the global ones.

        Raises:
            SettingError: If `views_global` is not in 1..V.
        """
        if z.dim() != 3 or not 1 <= views_global <= z.shape[0]:
            raise SettingError(
                f"z of shape {tuple(z.shape)} with views_global={views_global} came, (V, N, D) with V >= "
                "views_global >= 1 was wanted"
            )
        prediction = self.prediction(z, views_global, centre)
        sigreg: Tensor = self.sigreg(z, step=step).mean().to(prediction.dtype)
        return LossTerms((1 - self.lambda_) * prediction + self.lambda_ * sigreg, prediction, sigreg)

    def prediction(
        self, z: Float[Tensor, "v n d"], views_global: int, centre: Float[Tensor, "n d"] | None = None
    ) -> Float[Tensor, ""]:
        """Mean squared distance of every view's projection from the centre, by default the mean of the global ones."""
        z_VND = z if z.dtype.itemsize > 4 else z.float()
        centre_ND = z_VND[:views_global].mean(0) if centre is None else centre.to(z_VND.dtype)
        if self.predictor is not None:
            z_VND = self.predictor(z_VND.flatten(0, 1)).view_as(z_VND)
        squares = (z_VND - centre_ND).square().sum()
        # Filled on the device: a number brought there from the host cannot be part of a CUDA graph.
        total, count = all_reduce_sum(torch.stack([squares, squares.new_full((), z.numel())])).unbind()
        return total / count
