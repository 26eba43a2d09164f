"""What a table of scores says at face value: regret, cost and sensitivity with the best chosen where it is reported.

So one would read a published table; with noise in it, all of these are too large (see `crossfit` for what is not).
"""
# B tables, E environments, L lambdas

import numpy as np

from dashboards.statistics.crossfit import Floats, spread
from dashboards.statistics.regret import mean_of


def regret_at(scores_BEL: Floats, index: int) -> Floats:
    """Mean over environments of the best score less that of one λ; environments without it are left out.

    Args:
        scores_BEL: NaN where missing.
        index: Of the λ.

    Returns:
        (B,), in the scores' unit.
    """
    return mean_of(_best(scores_BEL) - scores_BEL[..., index], axis=-1)


def shared_regret(scores_BEL: Floats) -> Floats:
    """`regret_at` of the one λ that loses least; (B,)."""
    lost = _best(scores_BEL)[..., None] - scores_BEL
    n_BL = np.isfinite(lost).sum(axis=-2)
    # A λ measured in easy environments only would look cheap.
    widely = n_BL == n_BL.max(axis=-1, keepdims=True)
    return np.asarray(np.where(widely, mean_of(lost, axis=-2), np.inf).min(axis=-1))


def worst_cost(scores_BEL: Floats) -> Floats:
    """Mean over environments of the best score less the worst; (B,)."""
    low = np.where(np.isnan(scores_BEL), np.inf, scores_BEL).min(axis=-1)
    return mean_of(np.where(np.isfinite(low), _best(scores_BEL) - low, np.nan), axis=-1)


def sensitivity(scores_BEL: Floats) -> Floats:
    """Hyperparameter sensitivity Φ of Adkins, Bowling and White (NeurIPS 2024, arXiv 2412.07165).

    Φ = mean_e max_λ G(e, λ) - max_λ mean_e G(e, λ), with G the score scaled in each environment so that the
    5th percentile of its scores over λ is 0 and the 95th is 1, linear between order statistics, not clipped.
    0: one λ is best everywhere. With few λ and noise alone it is about 0.6.

    Args:
        scores_BEL: NaN where missing; the shared λ is one of those measured in most environments.

    Returns:
        (B,); an environment where all λ score alike counts 0.
    """
    wide = spread(scores_BEL)[..., None]
    # Only differences within an environment count, so that the 5th percentile need not be subtracted.
    scaled = np.where(wide > 0, scores_BEL / np.where(wide > 0, wide, 1.0), np.where(np.isnan(scores_BEL), np.nan, 0.0))
    return shared_regret(scaled)


def _best(scores: Floats) -> Floats:
    high = np.where(np.isnan(scores), -np.inf, scores).max(axis=-1)
    return np.where(np.isfinite(high), high, np.nan)
