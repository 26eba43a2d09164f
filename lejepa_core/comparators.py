"""VICReg and SimCLR on the same projections: what LeJEPA's stability over λ is held against.

Their published losses, as lightly has them, take two views. Here they are the mean over all pairs of a global view and
another view, each pair once: with two global views the published loss itself, with 2 global and 6 local ones 13 pairs.
λ is the one dial of each:

    vicreg    (1 - λ) · invariance + λ · (variance + covariance / 25)     (arXiv 2105.04906)
    simclr    NT-Xent with temperature λ                                  (arXiv 2002.05709)

VICReg's published weights 25, 25 and 1 are those of λ = 0.5, divided by 50, and the ratio of variance to covariance
stays the published one. AdamW's steps do not depend on a loss's scale, but for its eps, and weight decay is decoupled
from the loss: the factor 50 matters only where gradients are as small as eps, 1e-8. SimCLR's published temperatures are
0.1 (ImageNet, batches of 4096) and 0.5 (CIFAR-10).

Both are of the samples of all ranks, whatever number each holds: every rank gathers all projections and has the same
loss, see `lejepa_core.distributed`.
"""

# V views, G global views (the first G of V), N samples of all ranks, D dims, P pairs
from collections.abc import Callable
from importlib.util import find_spec
from itertools import chain
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.distributed import gather_samples
from lejepa_core.errors import SettingError
from lejepa_core.methods import LEJEPA, Objective
from lejepa_core.objective import LossTerms

VARIANCE_TO_COVARIANCE: Final = 25.0
"""VICReg's published μ : ν."""

Pairs = list[tuple[int, int]]


class PairwiseLoss(nn.Module):
    """A loss of two views, as the mean over pairs of a global view and another view."""

    def __init__(self, objective: Objective, lambda_: float) -> None:
        """Choose the loss and its dial.

        Args:
            objective: vicreg or simclr.
            lambda_: λ of this objective.

        Raises:
            SettingError: If lightly is not installed.
        """
        super().__init__()
        check_objective(objective)
        self.lambda_ = lambda_
        self._terms: Callable[[Tensor, Pairs, float], LossTerms] = {"vicreg": vicreg, "simclr": simclr}[objective]

    def forward(self, z: Float[Tensor, "v n d"], *, views_global: int, step: int | Tensor) -> LossTerms:
        """The loss of one step.

        Args:
            z: Projections of this rank's samples, global views first.
            views_global: How many of the views are global.
            step: Global step; of no consequence.

        Returns:
            The loss, what draws views to each other, and what keeps samples apart; the same on every rank.
        """
        z_VND = gather_samples(z if z.dtype.itemsize > 4 else z.float())
        with torch.autocast(z.device.type, enabled=False):
            return self._terms(z_VND, pairs_of(z.shape[0], views_global), self.lambda_)


def check_objective(objective: Objective) -> None:
    """Make sure that the loss of an objective is installed.

    Raises:
        SettingError: If it is not.
    """
    if objective != LEJEPA and find_spec("lightly") is None:
        raise SettingError(
            f"--objective {objective} takes its loss from lightly, which is not installed: "
            "pip install 'lejepa-sweeps[comparators]'"
        )


def pairs_of(views: int, views_global: int) -> Pairs:
    """Every pair of a global view, of the first so many, and another view, each once."""
    return [(g, v) for g in range(views_global) for v in range(g + 1, views)]


def vicreg(z_VND: Float[Tensor, "v n d"], pairs: Pairs, lambda_: float) -> LossTerms:
    """Total, invariance, and variance + covariance / 25."""
    from lightly.loss.vicreg_loss import covariance_loss, invariance_loss, variance_loss

    invariance = _mean([invariance_loss(z_VND[a], z_VND[b]) for a, b in pairs])
    # Published and in lightly, a pair's variance is the mean of its two views, its covariance the sum.
    spread_V = [variance_loss(z_ND) + 2 / VARIANCE_TO_COVARIANCE * covariance_loss(z_ND) for z_ND in z_VND]
    spread = _mean([spread_V[view] for view in chain.from_iterable(pairs)])
    return LossTerms((1 - lambda_) * invariance + lambda_ * spread, invariance, spread)


def simclr(z_VND: Float[Tensor, "v n d"], pairs: Pairs, lambda_: float) -> LossTerms:
    """Total, alignment: minus the cosine of positives over λ, and log-sum-exp of the cosines of all others over λ."""
    from lightly.loss.ntx_ent_loss import NTXentLoss

    contrast = NTXentLoss(temperature=lambda_)
    total = _mean([contrast(z_VND[a], z_VND[b]) for a, b in pairs])
    unit_VND = nn.functional.normalize(z_VND, dim=-1)
    alignment = -_mean([(unit_VND[a] * unit_VND[b]).sum(-1).mean() for a, b in pairs]) / lambda_
    return LossTerms(total, alignment, total - alignment)


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()
