"""Spectra of embeddings, and the numbers that stand for them: RankMe and α-ReQ."""

# N samples, D dims, R ranks of eigenvalues
import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON: Final = 1e-7
"""Added to each share of a spectrum, as RankMe and LiDAR have it."""
FIRST_RANK: Final = 4
LAST_RANK: Final = 100
"""Ranks of eigenvalues, counted from 1, that α-ReQ is fitted to."""
LEAST_RANKS: Final = 3
"""Fewer points than this make no slope."""
LEAST_SHARE: Final = 1e-8
"""Eigenvalues below this share of the largest one are rounding, and are left out of the fit."""


def rankme(z: Float[Tensor, "n d"]) -> float:
    """Effective rank: exp(entropy) of p_k = σ_k / Σ σ + 1e-7, σ the singular values of z as it is, not centred.

    Args:
        z: Embeddings.

    Returns:
        About 1 to min(N, D); blind to scale. 1 for a cloud of zeros.

    Source:
        Garrido et al., arXiv 2210.02885, equation 1. `effective_rank` is of centred samples and without the epsilon.
    """
    return entropic_rank(torch.linalg.svdvals(z.double()))


def entropic_rank(values: Float[Tensor, " r"]) -> float:
    """exp(-Σ p log p) of p = value / Σ values + 1e-7; 1 where all values are 0."""
    total = values.sum()
    if not total > 0:
        return 1.0
    shares = values / total + EPSILON
    return float(torch.exp(-(shares * shares.log()).sum()))


def covariance_spectrum(z: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Eigenvalues of the covariance of z, the largest first, in float64.

    Args:
        z: At least 2 samples.

    Returns:
        D values of at least 0; their sum is the variance of the cloud, with the factor 1 / (N - 1).
    """
    centred_ND = z.double() - z.double().mean(0)
    covariance_DD = centred_ND.T @ centred_ND / (len(z) - 1)
    spectrum: Tensor = torch.linalg.eigvalsh(covariance_DD).flip(0).clamp(min=0)
    return spectrum


def alpha_req(spectrum: Float[Tensor, " r"]) -> float:
    """How fast a spectrum falls: α of eigenvalue ∝ rank^-α.

    Weighted least squares of log eigenvalue on log rank over ranks 4 to 100, each with weight 1 / rank, so that every
    octave counts alike. Eigenvalues below 1e-8 of the largest are left out; where fewer than three are left, the fit
    begins at rank 1.

    Args:
        spectrum: Eigenvalues, the largest first, such as `covariance_spectrum` gives.

    Returns:
        α; NaN where fewer than three eigenvalues can be fitted.

    Source:
        Agrawal et al., arXiv 2202.05808; range and weights are those of its code, after Stringer et al. 2019.
    """
    usable = int((spectrum > LEAST_SHARE * spectrum[0]).sum())
    first = FIRST_RANK if min(usable, LAST_RANK) - FIRST_RANK + 1 >= LEAST_RANKS else 1
    last = min(usable, LAST_RANK)
    if last - first + 1 < LEAST_RANKS:
        return math.nan
    rank_R = torch.arange(first, last + 1, dtype=torch.float64)
    weight_R = 1 / rank_R / (1 / rank_R).sum()
    x_R, y_R = rank_R.log(), spectrum[first - 1 : last].double().log()
    dx_R, dy_R = x_R - (weight_R * x_R).sum(), y_R - (weight_R * y_R).sum()
    return float(-(weight_R * dx_R * dy_R).sum() / (weight_R * dx_R.square()).sum())
