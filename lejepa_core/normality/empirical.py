"""Tests that compare the empirical distribution function F_N with Φ: exact for N(0, 1), no moment is fitted.

Across ranks: samples are gathered (`GatheringTest`), then sorted.
"""

# N samples, S columns; L leading dims
import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.normality.base import GatheringTest


class AndersonDarling(GatheringTest):
    """A² = N·∫ (F_N - Φ)² / (Φ (1 - Φ)) dΦ (Anderson & Darling 1952, case of a known distribution).

    With p_i = (i - ½)/N it is computed as 2·Σ KL(p_i ‖ Φ(u_(i))) between Bernoulli laws, plus a constant of N: the
    terms are small where the usual formula -N - Σ (2i - 1)/N·(...) subtracts two numbers of size N. The weight makes
    it see tails, and its gradient never saturates there. The floor is exact for every N.
    """

    floor = 1.0

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """A² of each column."""
        ordered = u_LNS.sort(dim=-2).values
        p_N1 = _positions(u_LNS, torch.float64)
        entropy = -(p_N1.xlogy(p_N1) + (1 - p_N1).xlogy(1 - p_N1)).sum() * 2 - len(p_N1)
        p, q = p_N1.to(u_LNS.dtype), (1 - p_N1).to(u_LNS.dtype)
        below = p * (p.log() - torch.special.log_ndtr(ordered))
        above = q * (q.log() - torch.special.log_ndtr(-ordered))
        return 2 * (below + above).sum(-2) + entropy.to(u_LNS.dtype)


class CramerVonMises(GatheringTest):
    """N·ω² = N·∫ (F_N - Φ)² dΦ = 1/(12 N) + Σ (Φ(u_(i)) - (i - ½)/N)² (Cramér 1928, von Mises 1931).

    Φ saturates: far outliers have no gradient. The floor is exact for every N.
    """

    floor = 1 / 6

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """N·ω² of each column."""
        return _squared_gaps(torch.special.ndtr(u_LNS.sort(dim=-2).values))


class Watson(GatheringTest):
    """N·U² = N·ω² - N·(mean Φ(u) - ½)² (Watson 1961): Cramér-von Mises on a circle, with no marked origin.

    It is less moved by a shift than Cramér-von Mises, and bounded by about N/12: far outliers have no
    gradient. The floor is exact for every N.
    """

    floor = 1 / 12

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """N·U² of each column."""
        f_LNS = torch.special.ndtr(u_LNS.sort(dim=-2).values)
        return _squared_gaps(f_LNS) - f_LNS.shape[-2] * (f_LNS.mean(-2) - 0.5).square()


def _positions(like: Tensor, dtype: torch.dtype) -> Tensor:
    """The middle (i - ½)/N of each step of F_N, as a column."""
    n = like.shape[-2]
    return ((torch.arange(n, device=like.device, dtype=dtype) + 0.5) / n)[:, None]


def _squared_gaps(f_LNS: Tensor) -> Tensor:
    return (f_LNS - _positions(f_LNS, f_LNS.dtype)).square().sum(-2) + 1 / (12 * f_LNS.shape[-2])
