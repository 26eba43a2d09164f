"""Spearman's -ρ at many α, over many resamples or permutations at once.

Each α is ranked once; resamples are weights on trials, permutations are indices of ranks. Reported as
-ρ: 1 means that the lower the loss, the higher the accuracy.
"""
# A alphas, B resamples, P permutations, N trials

from typing import Final

import numpy as np
from scipy import stats

from dashboards.statistics.regret import Floats, Indices

BLOCK: Final = 2_000_000
"""Resamples x trials that are held at once."""
FLAT: Final = 1e-9
"""A variance of ranks below this share of its greatest possible one is none."""


def scaled_losses(loss_N: Floats, lambda_N: Floats, alphas_A: Floats) -> Floats:
    """Losses over λ^α, (A, N). Last digits are dropped, so that equal losses tie although they were computed apart.

    Args:
        loss_N: Any sign; +inf for a diverged trial stays +inf, so that all of them tie at the worst rank.
        lambda_N: Above 0.
        alphas_A: Exponents.
    """
    mantissa, exponent = np.frexp(loss_N / lambda_N ** alphas_A[:, None])
    rounded: Floats = np.ldexp(np.round(mantissa, 12), exponent)
    return rounded


def permuted_agreement(x_AN: Floats, y_N: Floats, orders_PN: Indices) -> Floats:
    """-ρ of each x with y and with permutations of it, (A, P).

    Args:
        x_AN: Losses.
        y_N: Accuracies.
        orders_PN: Row p puts `y_N[orders_PN[p]]` beside the losses.

    Returns:
        NaN where either side is constant.
    """
    unit_AN = _unit(stats.rankdata(x_AN, axis=1))
    unit_N = _unit(stats.rankdata(y_N)[None])[0]
    product: Floats = -unit_AN @ unit_N[orders_PN].T
    return product


def weighted_agreement(x_AN: Floats, y_N: Floats, weights_BN: Floats) -> Floats:
    """-ρ over resamples, (A, B): that of a table that holds trial n `weights_BN[b, n]` times.

    Args:
        x_AN: Losses.
        y_N: Accuracies.
        weights_BN: At least 0; need not be whole.

    Returns:
        NaN where a resample leaves either side constant.
    """
    rows = max(1, BLOCK // max(1, len(y_N)))
    blocks = [_weighted_block(x_AN, y_N, weights_BN[start : start + rows]) for start in range(0, len(weights_BN), rows)]
    return np.concatenate(blocks, axis=1)


def _weighted_block(x_AN: Floats, y_N: Floats, weights_BN: Floats) -> Floats:
    y_BN = _weighted_ranks(y_N, weights_BN)
    wy_BN = weights_BN * y_BN
    greatest_B = weights_BN.sum(axis=1) ** 3 / 12
    y_B = (wy_BN * y_BN).sum(axis=1)
    found_AB = np.full((len(x_AN), len(weights_BN)), np.nan)
    for a, x_N in enumerate(x_AN):
        x_BN = _weighted_ranks(x_N, weights_BN)
        x_B = (weights_BN * x_BN * x_BN).sum(axis=1)
        varies_B = np.minimum(x_B, y_B) > FLAT * greatest_B
        product_B = np.sqrt(np.where(varies_B, x_B * y_B, 1.0))
        found_AB[a] = np.where(varies_B, -(wy_BN * x_BN).sum(axis=1) / product_B, np.nan)
    return found_AB


def _weighted_ranks(values_N: Floats, weights_BN: Floats) -> Floats:
    """Mid-ranks about their mean, as if each value stood there as often as its weight says."""
    order_N = np.argsort(values_N, kind="stable")
    sorted_N = values_N[order_N]
    last_T = np.append(np.nonzero(sorted_N[1:] != sorted_N[:-1])[0], len(sorted_N) - 1)
    upper_BT = np.cumsum(weights_BN[:, order_N], axis=1)[:, last_T]
    lower_BT = np.concatenate([np.zeros((len(weights_BN), 1)), upper_BT[:, :-1]], axis=1)
    mid_BT = (upper_BT + lower_BT) / 2 - upper_BT[:, -1:] / 2
    tie_N = np.empty(len(values_N), dtype=np.intp)
    tie_N[order_N] = np.repeat(np.arange(len(last_T)), np.diff(last_T, prepend=-1))
    return mid_BT[:, tie_N]


def _unit(ranks_RN: Floats) -> Floats:
    centred = ranks_RN - ranks_RN.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.where(length > 0, centred / np.where(length > 0, length, 1), np.nan)
