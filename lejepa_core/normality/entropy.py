"""A test by entropy: the estimated Kullback-Leibler divergence from N(0, 1). Across ranks: samples are gathered."""

# N samples, S columns; L leading dims, M window
import math

import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.normality.base import GatheringTest, require_samples


class Vasicek(GatheringTest):
    """N·KL, KL = -H + ½·log 2π + ½·mean u², H = mean of log(N/2M·(u_(i+M) - u_(i-M))) (Vasicek 1976).

    Indices beyond the ends stand for the ends. By the term mean u² it holds location and scale by itself. H is biased
    downwards, so at N(0, 1) the value is far from 0: about 8 to 10 for N of 32 to 512 with the default window, with no
    closed form. A spacing x enters as √(x² + eps), so that ties stay finite.
    """

    minimum = 3

    def __init__(self, *, window: int | None = None) -> None:
        """Choose the window.

        Args:
            window: M, ordered samples to each side; ⌊√N + ½⌋ if None, as scipy has it, and always below N/2.

        Raises:
            SettingError: If `window` < 1.
        """
        super().__init__()
        if window is not None and window < 1:
            raise SettingError(f"window = {window} came, at least 1 was wanted; leave it out for about √N")
        self.window = window

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """N·KL of each column.

        Raises:
            SettingError: If a window was given and N is below 2·window + 1.
        """
        n = u_LNS.shape[-2]
        m = self.window or min(int(math.sqrt(n) + 0.5), (n - 1) // 2)
        require_samples(self, n, 2 * m + 1)
        index = torch.arange(n, device=u_LNS.device)
        ordered = u_LNS.sort(dim=-2).values
        above = ordered.index_select(-2, (index + m).clamp_max(n - 1))
        below = ordered.index_select(-2, (index - m).clamp_min(0))
        squares = (above - below).square() + torch.finfo(u_LNS.dtype).eps
        entropy = squares.log().mean(-2) / 2 + math.log(n / (2 * m))
        return n * (u_LNS.square().mean(-2) / 2 + math.log(2 * math.pi) / 2 - entropy)
