"""Tests that correlate the ordered sample with the normal scores it should follow: N·(1 - W).

W is a squared correlation: it knows no location and no scale, so by default an anchor adds them. N·(1 - W) grows at
N(0, 1) very slowly with N (like log log N), so there is no closed floor. Across ranks: samples are gathered.
"""

# N samples, S columns; L leading dims
import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from lejepa_core.normality.base import GatheringTest, anchor, floored

# Royston, AS R94: corrections of the two outermost weights, polynomials in 1/√N from the constant term up.
_OUTERMOST = (0.0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056)
_SECOND = (0.0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633)


class CorrelationTest(GatheringTest):
    """N·(1 - W), W = (Σ a_i u_(i))² / Σ (u - mean)² with unit weights a that sum to 0.

    1 - W is taken as the share of the squares that the weights leave unexplained, which has no cancellation. Below a
    standard deviation of √eps of the dtype the shape fades to 0, and a constant column has W = 1.
    """

    minimum = 3

    def __init__(self, *, anchored: bool = True) -> None:
        """Choose what is tested.

        Args:
            anchored: Add N·(mean² + (std - 1)²), std with divisor N; without it the value is the textbook's, which
                every normal distribution pleases.
        """
        super().__init__()
        self.anchored = anchored

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """N·(1 - W) of each column, and the anchor."""
        n, mean_L1S = u_LNS.shape[-2], u_LNS.mean(-2, keepdim=True)
        centred_LNS = (u_LNS - mean_L1S).sort(dim=-2).values
        a_N1 = torch.as_tensor(self.weights(n), dtype=u_LNS.dtype, device=u_LNS.device)[:, None]
        rest_LNS = centred_LNS - a_N1 * (a_N1 * centred_LNS).sum(-2, keepdim=True)
        variance_LS = centred_LNS.square().mean(-2)
        value = rest_LNS.square().sum(-2) / floored(variance_LS)
        return value + anchor(n, mean_L1S.squeeze(-2), variance_LS) if self.anchored else value

    @staticmethod
    def weights(n: int) -> NDArray[np.float64]:
        """The unit weights of n ordered samples."""
        raise NotImplementedError


class ShapiroFrancia(CorrelationTest):
    """N·(1 - W'), weights proportional to Blom's scores Φ⁻¹((i - 3/8)/(N + 1/4)) (Shapiro & Francia 1972)."""

    @staticmethod
    @lru_cache(maxsize=64)
    def weights(n: int) -> NDArray[np.float64]:
        """Blom's scores, normalised."""
        scores = _blom_scores(n)
        return scores / np.linalg.norm(scores)


class ShapiroWilk(CorrelationTest):
    """N·(1 - W) with Royston's approximate weights (Shapiro & Wilk 1965; Royston 1995, AS R94).

    For N above 5000 the weights are an extrapolation: Royston fitted them to 3 <= N <= 5000.
    """

    @staticmethod
    @lru_cache(maxsize=64)
    def weights(n: int) -> NDArray[np.float64]:
        """Blom's scores with the two outermost weights corrected, unit length kept."""
        if n == 3:
            return np.array([-math.sqrt(0.5), 0.0, math.sqrt(0.5)])
        scores, x = _blom_scores(n), 1 / math.sqrt(n)
        length = np.linalg.norm(scores)
        corrections = np.array([polyval(x, _SECOND), polyval(x, _OUTERMOST)][0 if n > 5 else 1 :])
        outer = scores[-len(corrections) :] / length + corrections
        inner = scores[len(outer) : -len(outer)]
        inner = inner * math.sqrt((1 - 2 * (outer**2).sum()) / (inner**2).sum())
        return np.concatenate([-outer[::-1], inner, outer])


def _blom_scores(n: int) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    return (scores - scores[::-1]) / 2
