"""Tests of a few moments. No finite number of moments identifies N(0, 1) (LeJEPA, Theorem 3): each says what it misses.

Across ranks: only sums are reduced, first those of the samples, then those of powers of the centred samples, so no
mean of squares is subtracted from a square of a mean. Variance has divisor N.
"""

# N samples, S columns; L leading dims
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.normality.base import UnivariateTest, anchor, floored, global_means


class VCReg(UnivariateTest):
    """N·(mean² + (std - 1)²), LeJEPA's B.14: sliced, it tends to VICReg's variance and covariance terms.

    It sees mean and variance alone: any distribution with mean 0 and variance 1 is as good as N(0, 1).
    """

    floor = 1.5

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The two gaps of each column."""
        n, mean, (variance,) = _central_moments(self, u_LNS, 2)
        return anchor(n, mean, variance)


class JarqueBera(UnivariateTest):
    """N/6·(skewness² + (kurtosis - 3)²/4) (Jarque & Bera 1980), asymptotically χ² of 2 degrees of freedom.

    It sees no more than four moments. At a constant column skewness and kurtosis are 0.
    """

    def __init__(self, *, anchored: bool = True) -> None:
        """Choose what is tested.

        Args:
            anchored: Add N·(mean² + (std - 1)²); without it the value is the textbook's, which every normal
                distribution pleases.
        """
        super().__init__()
        self.anchored = anchored
        self.floor = 3.5 if anchored else 2.0

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The statistic of each column, and the anchor."""
        n, mean, central = _central_moments(self, u_LNS, 4)
        shape = _shape_gaps(n, *central)
        return shape + anchor(n, mean, central[0]) if self.anchored else shape


class ExtendedJarqueBera(UnivariateTest):
    """N·(mean² + (variance - 1)²/2 + skewness²/6 + (kurtosis - 3)²/24), asymptotically χ² of 4 degrees of freedom.

    Jarque-Bera with the two moments that N(0, 1) also fixes, each in units of its variance at N(0, 1). It sees no
    more than four moments.
    """

    floor = 4.0

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The four gaps of each column."""
        n, mean, central = _central_moments(self, u_LNS, 4)
        return n * (mean.square() + (central[0] - 1).square() / 2) + _shape_gaps(n, *central)


class Moments(UnivariateTest):
    """N·Σ_k (mean of u^k - E Z^k)² / Var(Z^k) over k = 1..highest, Z from N(0, 1).

    The weight 1/Var(Z^k), that is 1, 1/2, 1/15, 1/96 for four moments, gives each an expected value of 1: the floor is
    `highest`, exactly and for every N. It sees no more than that many moments.
    """

    def __init__(self, *, highest: int = 4) -> None:
        """Choose the moments.

        Args:
            highest: Order of the last moment.

        Raises:
            SettingError: If `highest` < 2: the mean alone says nothing about the scale.
        """
        super().__init__()
        if highest < 2:
            raise SettingError(f"highest = {highest} came, at least 2 was wanted: the mean alone fixes no scale")
        self.highest = highest
        self.floor = float(highest)

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The weighted gaps of each column."""
        n, means = global_means(self, *(u_LNS**k for k in range(1, self.highest + 1)))
        gaps = [
            (mean - _normal_moment(k)).square() / (_normal_moment(2 * k) - _normal_moment(k) ** 2)
            for k, mean in enumerate(means, 1)
        ]
        return n * torch.stack(gaps).sum(0)


def _central_moments(test: UnivariateTest, u_LNS: Tensor, highest: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """N, the mean, and the central moments 2..highest of all ranks' samples."""
    n, (mean_LS,) = global_means(test, u_LNS)
    centred_LNS = u_LNS - mean_LS.unsqueeze(-2)
    return n, mean_LS, global_means(test, *(centred_LNS**k for k in range(2, highest + 1)))[1]


def _shape_gaps(n: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> Tensor:
    variance = floored(second)
    skewness, kurtosis = third / variance**1.5, fourth / variance.square()
    return n / 6 * (skewness.square() + (kurtosis - 3).square() / 4)


def _normal_moment(k: int) -> int:
    """E Z^k: 0 for odd k, (k - 1)!! for even."""
    return 0 if k % 2 else prod(range(1, k, 2))
