"""The kernels in torch operations: for every device, dtype and number of knots.

With uniform knots t_k = k·h, θ = h·u and m a multiple of B ≈ √K,

    cos (m + l)θ = 2 cos mθ cos lθ - cos (m - l)θ,      sin (m + l)θ = 2 cos mθ sin lθ + sin (m - l)θ,

so the moments follow from the products of K / B group terms with 2B base terms, summed over samples by one matrix
product, and the gradient, a trigonometric polynomial, from another: about 3B tensors instead of 2K.
"""

# R rows (a slice of a batch), N samples, K knots after the one at 0, D dims, S slices
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lejepa_core.kernels.quadrature import Quadrature
from lejepa_core.random import WORD, philox4x32

CHUNK = 2**17
"""Elements that are worked on at a time: what the processor's cache holds."""
LANES = 16
"""Width of the vectors in the C source; it decides which random word becomes which direction's entry."""


def moments(u_RN: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_n cos(t_k u_n) and Σ_n sin(t_k u_n) as (2, K, R)."""
    return _unfold(*_terms(u_RN, quadrature))[:, : quadrature.knots - 1]


def gradient(u_RN: Tensor, coefficients_2KR: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element."""
    return _polynomial(coefficients_2KR, *_terms(u_RN, quadrature))


def _terms(u_RN: Tensor, quadrature: Quadrature) -> tuple[Tensor, Tensor]:
    """Cos lθ and sin lθ for l = 1..B as (R, 2, B, N), and cos gBθ for g = 0..G-1 as (R, G, N)."""
    base = _base(quadrature.knots - 1)
    groups = -(-(quadrature.knots - 1) // base)
    theta = u_RN * quadrature.spacing
    base_R2BN = u_RN.new_empty(len(u_RN), 2, base, u_RN.shape[-1])
    cosines, sines = base_R2BN[:, 0].unbind(1), base_R2BN[:, 1].unbind(1)
    _powers(theta.cos(), theta.sin(), cosines, sines)
    group_RGN = torch.ones(len(u_RN), groups, u_RN.shape[-1], dtype=u_RN.dtype, device=u_RN.device)
    if groups > 1:
        _powers(cosines[-1], sines[-1], group_RGN.unbind(1)[1:])
    return base_R2BN, group_RGN


def _base(knots: int) -> int:
    return max(1, round(math.sqrt(knots)))


def _powers(c: Tensor, s: Tensor, cosines: Sequence[Tensor], sines: Sequence[Tensor] | None = None) -> None:
    """Fill in cos lθ and sin lθ, l = 1, 2, ..., by complex products, whose rounding errors only add up."""
    x, y = c, s
    for index, cosine in enumerate(cosines):
        if index:
            x, y = torch.addcmul(x * c, y, s, value=-1), torch.addcmul(y * c, x, s)
        cosine.copy_(x)
        if sines is not None:
            sines[index].copy_(y)


def _unfold(base_R2BN: Tensor, group_RGN: Tensor) -> Tensor:
    """Moments as (2, G·B, R) from the sums of products."""
    rows, _, base, samples = base_R2BN.shape
    products = (group_RGN @ base_R2BN.view(rows, 2 * base, samples).transpose(1, 2)).view(rows, -1, 2, base)
    sign = products.new_tensor([-1.0, 1.0])[:, None]
    at_multiple = products.new_tensor([float(samples), 0.0])[:, None].expand(rows, 2, 1)
    found = [products[:, 0]]
    for g in range(1, products.shape[1]):
        mirrored = torch.cat([found[-1].flip(-1)[..., 1:], at_multiple], -1)
        at_multiple = found[-1][..., -1:]
        found.append(2 * products[:, g] + sign * mirrored)
    return torch.cat(found, -1).permute(1, 2, 0)


def _polynomial(coefficients_2KR: Tensor, base_R2BN: Tensor, group_RGN: Tensor) -> Tensor:
    """The trigonometric polynomial with coefficients of sines and of cosines, for each element."""
    rows, _, base, samples = base_R2BN.shape
    groups = group_RGN.shape[1]
    # Index k along the last dim, from 0; cosines first, as in the base terms.
    folded = base_R2BN.new_zeros(rows, 2, groups * base + 1)
    folded[..., 1 : 1 + coefficients_2KR.shape[1]] = coefficients_2KR.flip(0).permute(2, 0, 1)
    sign = folded.new_tensor([-1.0, 1.0])[:, None]
    for g in range(groups - 1, 0, -1):
        part = folded[..., g * base + 1 : (g + 1) * base + 1]
        folded[..., (g - 1) * base : g * base] += sign * part.flip(-1)
        part *= 2
    weights = folded[..., 1:].view(rows, 2, groups, base).transpose(1, 2).reshape(rows, groups, 2 * base)
    inner_RGN = weights @ base_R2BN.view(rows, 2 * base, samples)
    return (inner_RGN * group_RGN).sum(1) + folded[:, 0, :1]


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row; where wanted, u is replaced by `scale` times its gradient."""
    terms = _terms(u_RN, quadrature)
    sums_2KR = _unfold(*terms)[:, : quadrature.knots - 1]
    statistic_R, coefficients = quadrature.finish(sums_2KR, u_RN.shape[-1], scale)
    if want_gradient:
        u_RN.copy_(_polynomial(coefficients, *terms))
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
