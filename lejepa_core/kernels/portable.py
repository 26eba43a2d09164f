"""The kernels in torch operations: for every device, dtype and number of knots.

With uniform knots t_k = k·h the values cos(t_k u), sin(t_k u) follow from one cosine and one sine by the
Chebyshev recurrence, and the gradient is a trigonometric polynomial that Clenshaw's recurrence evaluates, so that
nothing of size slices x samples x knots is ever stored.
"""

# R rows (a slice of a batch), N samples, K knots after the one at 0, D dims, S slices
import math

import torch
from torch import Tensor

from lejepa_core.kernels.quadrature import Quadrature
from lejepa_core.random import WORD, philox4x32

CHUNK = 2**17
"""Elements that are worked on at a time: what the processor's cache holds."""
LANES = 16


def moments(u_RN: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_n cos(t_k u_n) and Σ_n sin(t_k u_n) as (2, K, R)."""
    theta = u_RN * quadrature.spacing
    c, s = theta.cos(), theta.sin()
    two_c = 2 * c
    before = torch.ones_like(c), torch.zeros_like(s)
    now = c, s
    sums = [now[0].sum(-1), now[1].sum(-1)]
    for _ in range(quadrature.knots - 2):
        before, now = now, (torch.addcmul(-before[0], two_c, now[0]), torch.addcmul(-before[1], two_c, now[1]))
        sums += [now[0].sum(-1), now[1].sum(-1)]
    return torch.stack(sums).view(-1, 2, len(u_RN)).transpose(0, 1)


def gradient(u_RN: Tensor, coefficients_2KR: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element."""
    theta = u_RN * quadrature.spacing
    c, s = theta.cos(), theta.sin()
    two_c = 2 * c
    y1 = y2 = z1 = z2 = torch.zeros_like(c)
    for a, b in coefficients_2KR.flip(1).unsqueeze(-1).unbind(1):
        y1, y2 = torch.addcmul(a - y2, two_c, y1), y1
        z1, z2 = torch.addcmul(b - z2, two_c, z1), z1
    return y1 * s + z1 * c - z2


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row; where wanted, u is replaced by `scale` times its gradient."""
    statistic_R, coefficients = quadrature.finish(moments(u_RN, quadrature), u_RN.shape[-1], scale)
    if want_gradient:
        u_RN.copy_(gradient(u_RN, coefficients, quadrature))
    return statistic_R


def directions(slices: int, dims: int, seed: int, step: int | Tensor, like: Tensor) -> Tensor:
    """Unit rows (S, D): normal numbers by Philox4x32-10 and Box-Muller, normalised.

    A tensor as step stays on its device, so that a captured graph draws anew at each replay.
    """
    blocks = -(-dims // (4 * LANES))
    counter = torch.empty(slices, blocks * LANES, 4, dtype=torch.int64, device=like.device)
    counter[..., 0] = torch.arange(blocks * LANES, device=like.device)
    counter[..., 1] = torch.arange(slices, device=like.device)[:, None]
    counter[..., 2], counter[..., 3] = step & WORD, (step >> 32) & WORD
    w0, w1, w2, w3 = philox4x32(counter, (seed & WORD, seed >> 32)).unbind(-1)
    numbers = torch.stack([*_box_muller(w0, w1), *_box_muller(w2, w3)], 1).view(slices, 4, blocks, LANES)
    normal_SD = numbers.transpose(1, 2).reshape(slices, -1)[:, :dims].to(like.dtype)
    return torch.nn.functional.normalize(normal_SD, dim=1)


def _box_muller(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    radius = (-2 * (((first >> 8) + 1).float() * 2.0**-24).log()).sqrt()
    signed = torch.where(second >= 2**31, second - 2**32, second) >> 8
    angle = signed.float() * 2.0**-24 * (2 * math.pi)
    return radius * angle.cos(), radius * angle.sin()
