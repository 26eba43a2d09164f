"""SIGReg's value and gradient along given directions, with any of the kernels, in one process or over ranks."""

# L leading dims as one, N samples, D dims, S slices; M = L·N, R rows (a slice of a batch)
from types import ModuleType

import torch
from torch import Tensor

from lejepa_core.distributed import all_reduce_sum
from lejepa_core.kernels.quadrature import Quadrature

LEAST_SLICES = 32
"""Slices worked on at a time, at least: products with fewer rows are slow."""


def evaluate_here(
    kernel: ModuleType, z_LND: Tensor, a_SD: Tensor, quadrature: Quadrature, want_gradient: bool
) -> tuple[Tensor, Tensor]:
    """The mean statistic over slices of each batch, (L,), and its gradient, empty unless wanted.

    Args:
        kernel: `native`, `compiled` or `portable`.
        z_LND: The samples, in float32 or float64.
        a_SD: Unit directions.
        quadrature: Of the integral.
        want_gradient: Whether the gradient is computed.
    """
    batches, samples, dims = z_LND.shape
    z_MD = z_LND.reshape(batches * samples, dims)
    gradient_MD = z_MD.new_empty(z_MD.shape if want_gradient else 0)
    slices = min(len(a_SD), _slices(kernel, len(z_MD)))
    # The same memory for every chunk: fresh pages cost more than the products.
    buffer_SM = z_MD.new_empty(slices, len(z_MD))
    parts = []
    for first in range(0, len(a_SD), slices):
        chunk_SD = a_SD[first : first + slices]
        u_SM = torch.mm(chunk_SD, z_MD.T, out=buffer_SM[: len(chunk_SD)])
        rows_RN = u_SM.view(len(chunk_SD) * batches, samples)
        parts.append(kernel.statistic(rows_RN, quadrature, 1 / len(a_SD), want_gradient))
        if want_gradient:
            gradient_MD.addmm_(u_SM.T, chunk_SD, beta=min(first, 1))
    statistic_R = parts[0] if len(parts) == 1 else torch.cat(parts)
    return statistic_R.view(len(a_SD), batches).mean(0, dtype=z_LND.dtype), gradient_MD


def evaluate_over_ranks(
    kernel: ModuleType, z_LND: Tensor, a_SD: Tensor, quadrature: Quadrature, want_gradient: bool
) -> tuple[Tensor, Tensor]:
    """As `evaluate_here` for the samples of all ranks, by one reduction; the projections are kept until it is done."""
    batches, samples, dims = z_LND.shape
    z_MD = z_LND.reshape(batches * samples, dims)
    rows_RN = torch.mm(a_SD, z_MD.T).view(len(a_SD) * batches, samples)
    step = max(1, batches * _slices(kernel, len(z_MD)))
    sums = torch.cat([kernel.moments(rows, quadrature) for rows in rows_RN.split(step)])
    packed = all_reduce_sum(torch.cat([sums.flatten(), sums.new_full((1,), samples)]))
    statistic_R, coefficients = quadrature.finish(packed[:-1].view_as(sums), packed[-1], 1 / len(a_SD))
    statistic_L = statistic_R.view(len(a_SD), batches).mean(0).to(z_LND.dtype)
    if not want_gradient:
        return statistic_L, z_MD.new_empty(0)
    for rows, part in zip(rows_RN.split(step), coefficients.split(step), strict=True):
        rows.copy_(kernel.gradient(rows, part, quadrature))
    return statistic_L, torch.mm(rows_RN.view(len(a_SD), len(z_MD)).T, a_SD)


def _slices(kernel: ModuleType, width: int) -> int:
    return max(LEAST_SLICES, int(kernel.CHUNK) // max(1, width))
