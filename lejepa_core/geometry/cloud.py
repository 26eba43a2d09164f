"""The shape of a cloud of held-out projections: what tells a collapsed encoder from a live one."""

# N samples, D dims
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

MIN_SPREAD = 0.1
"""Spread below which projections count as collapsed; SIGReg asks for 1."""
MIN_RANK_SHARE = 0.01
"""Effective rank, as a share of the way from 1 to D, below which projections count as collapsed."""

MIN_SAMPLES = 8
"""Fewer samples than this tell nothing about collapse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Scale and dimension of a cloud."""

    effective_rank: float
    """exp(entropy of the normalised singular values), in [1, D] (RankMe, arXiv 2210.02885); blind to scale."""
    spread: float
    """Root of the mean variance over dims; 1 at N(0, I)."""
    dims: int
    """D."""
    samples: int
    """N."""

    @property
    def collapse(self) -> str:
        """Why the cloud counts as collapsed; empty if it does not, or is too small to tell."""
        if self.samples < MIN_SAMPLES:
            return ""
        if not self.spread >= MIN_SPREAD:
            return f"spread of held-out projections {self.spread:.2g} < {MIN_SPREAD}"
        least = 1 + MIN_RANK_SHARE * (self.dims - 1)
        if self.effective_rank < least:
            return f"effective rank of held-out projections {self.effective_rank:.2f} < {least:.2f} of {self.dims}"
        return ""


def measure_geometry(z: Float[Tensor, "n d"]) -> Geometry:
    """Scale and dimension of centred samples, in float64.

    Args:
        z: At least 2 samples.
    """
    z_ND = z.double()
    z_ND = z_ND - z_ND.mean(0)
    return Geometry(
        effective_rank=effective_rank(z_ND),
        spread=float(z_ND.square().mean().sqrt()),
        dims=z.shape[1],
        samples=len(z),
    )


def effective_rank(z: Float[Tensor, "n d"]) -> float:
    """Exp of the entropy of the singular values' shares; 1 for a cloud without extent."""
    values = torch.linalg.svdvals(z)
    total = values.sum()
    if not total > 0:
        return 1.0
    shares = values / total
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))
