"""The kernels in torch operations: for every device, dtype and number of knots.

With uniform knots t_k = k·h, θ = h·u and m a multiple of B ≈ √K,

    cos (m + l)θ = 2 cos mθ cos lθ - cos (m - l)θ,      sin (m + l)θ = 2 cos mθ sin lθ + sin (m - l)θ,

so the moments follow from the products of K / B group terms with 2B base terms, summed over samples by one matrix
product, and the gradient, a trigonometric polynomial, from another: about 3B tensors instead of 2K.
"""

# R rows (a slice of a batch), N samples, K knots after the one at 0, D dims, S slices
import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lejepa_core.kernels.quadrature import Quadrature, wide
from lejepa_core.random import WORD, philox4x32

CHUNK = 2**17
"""Elements that are worked on at a time: what the processor's cache holds."""
SUMMED = 128
"""Samples summed in their own dtype before they are added up in float64."""
DRAWN = 2**20
"""Random numbers drawn at a time."""
LANES = 16
"""Width of the vectors in the C source; it decides which random word becomes which direction's entry."""


def moments(u_RN: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_n cos(t_k u_n), then Σ_n sin(t_k u_n), as float64 (R, 2K)."""
    return _moments(*_terms(u_RN, quadrature), quadrature)


def gradient(u_RN: Tensor, coefficients_R2K: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element; the a_k come first in a row."""
    return _polynomial(coefficients_R2K, *_terms(u_RN, quadrature), quadrature)


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row; where wanted, u is replaced by `scale` times its gradient."""
    terms = _terms(u_RN, quadrature)
    statistic_R, coefficients = quadrature.finish(_moments(*terms, quadrature), u_RN.shape[-1], scale)
    if want_gradient:
        u_RN.copy_(_polynomial(coefficients, *terms, quadrature))
    return statistic_R


def _terms(u_RN: Tensor, quadrature: Quadrature) -> tuple[Tensor, Tensor]:
    """Cos lθ, then sin lθ, l = 1..B, as (R, 2B, N), and cos gBθ, g = 0..G-1, as (R, G, N)."""
    base, groups = _grouping(quadrature.knots - 1)
    t_K = torch.nn.functional.pad(quadrature.on(u_RN)[0], (1, 0))
    base_R2BN = u_RN.new_empty(len(u_RN), 2 * base, u_RN.shape[-1])
    angles_RBN, sines_RBN = base_R2BN.split(base, 1)
    torch.mul(u_RN[:, None], t_K[1 : base + 1, None], out=angles_RBN)
    torch.sin(angles_RBN, out=sines_RBN)
    angles_RBN.cos_()
    return base_R2BN, (u_RN[:, None] * t_K[: groups * base : base, None]).cos_()


def _moments(base_R2BN: Tensor, group_RGN: Tensor, quadrature: Quadrature) -> Tensor:
    """In float64, since the harmonics of a near-Gaussian batch sum up to almost nothing."""
    unfold, offset, _ = _unfolding(quadrature, wide(base_R2BN), base_R2BN.device)
    pieces = zip(group_RGN.split(SUMMED, -1), base_R2BN.split(SUMMED, -1), strict=True)
    products_RP = torch.stack([group @ base.mT for group, base in pieces]).sum(0, dtype=unfold.dtype).flatten(1)
    return torch.addmm(offset, products_RP, unfold.T, beta=base_R2BN.shape[-1])


def _polynomial(coefficients_R2K: Tensor, base_R2BN: Tensor, group_RGN: Tensor, quadrature: Quadrature) -> Tensor:
    dtype = base_R2BN.dtype
    _, offset, unfold = _unfolding(quadrature, coefficients_R2K.dtype, base_R2BN.device)
    weights = (coefficients_R2K @ unfold).to(dtype).view(*group_RGN.shape[:2], base_R2BN.shape[1])
    constant_R = (coefficients_R2K @ offset.roll(len(offset) // 2)).to(dtype)
    return (weights @ base_R2BN).mul_(group_RGN).sum(1).add_(constant_R[:, None])


def _grouping(knots: int) -> tuple[int, int]:
    base = max(1, round(math.sqrt(knots)))
    return base, -(-knots // base)


def _unfolding(quadrature: Quadrature, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Harmonics from products, as the identities above have it.

    Returns:
        A matrix (2K, P) from the G·2B products to cosines, then sines; what cosines have besides (2K,), to be
        multiplied by cos 0; and the matrix with sines first.
    """
    cosines, sines, offset = _harmonics(quadrature.knots - 1)
    made = np.concatenate([cosines, sines]), np.concatenate([offset, 0 * offset]), np.concatenate([sines, cosines])
    return quadrature.kept(("unfolding", dtype, device), *made, dtype=dtype, device=device)


@cache
def _harmonics(knots: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    base, groups = _grouping(knots)
    cosines, sines = np.zeros((2, groups * base + 1, groups, 2, base))
    offset = np.zeros(groups * base + 1)
    offset[0] = 1
    for g in range(groups):
        for index in range(base):
            k, mirrored = g * base + index + 1, g * base - index - 1
            cosines[k, g, 0, index] = sines[k, g, 1, index] = 2 if g else 1
            if g:
                cosines[k] -= cosines[mirrored]
                sines[k] += sines[mirrored]
                offset[k] = -offset[mirrored]
    rows = slice(1, knots + 1)
    return cosines[rows].reshape(knots, -1), sines[rows].reshape(knots, -1), offset[rows]


def directions(slices: int, dims: int, seed: int, step: int | Tensor, like: Tensor) -> Tensor:
    """Unit rows (S, D): normal numbers by Philox4x32-10 and Box-Muller, normalised.

    A tensor as step stays on its device, so that a captured graph draws anew at each replay.
    """
    a_SD = torch.empty(slices, dims, dtype=like.dtype, device=like.device)
    rows = max(1, DRAWN // dims)
    for first in range(0, slices, rows):
        block_SD = a_SD[first : first + rows]
        block_SD.copy_(_normal_rows(first, len(block_SD), dims, seed, step, like.device))
        block_SD /= block_SD.norm(dim=1, keepdim=True)
    return a_SD


def _normal_rows(first: int, slices: int, dims: int, seed: int, step: int | Tensor, device: torch.device) -> Tensor:
    blocks = -(-dims // (4 * LANES))
    counter = torch.empty(slices, blocks * LANES, 4, dtype=torch.int64, device=device)
    counter[..., 0] = torch.arange(blocks * LANES, device=device)
    counter[..., 1] = torch.arange(first, first + slices, device=device)[:, None]
    counter[..., 2], counter[..., 3] = step & WORD, (step >> 32) & WORD
    w0, w1, w2, w3 = philox4x32(counter, (seed & WORD, seed >> 32)).unbind(-1)
    numbers = torch.stack([*_box_muller(w0, w1), *_box_muller(w2, w3)], 1).view(slices, 4, blocks, LANES)
    return numbers.transpose(1, 2).reshape(slices, -1)[:, :dims]


def _box_muller(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    radius = (-2 * (((first >> 9).float() + 0.5) * 2.0**-23).log()).sqrt()
    signed = torch.where(second >= 2**31, second - 2**32, second) >> 9
    angle = (signed.float() + 0.5) * 2.0**-23 * (2 * math.pi)
    return radius * angle.cos(), radius * angle.sin()
