"""The kernels in C: float32 on a CPU. The same functions as in `portable`."""

# R rows (a slice of a batch), N samples, K knots after the one at 0, D dims, S slices
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import torch
from torch import Tensor

from lejepa_core.kernels.build import load_library
from lejepa_core.kernels.portable import LANES
from lejepa_core.kernels.quadrature import Quadrature
from lejepa_core.random import WORD

CHUNK = 2**20
"""Elements that are worked on at a time: less makes the products slow, more gains nothing."""
WORTH_A_THREAD = 2**16
"""Elements below which handing work to a thread takes longer than doing it."""


def available(quadrature: Quadrature) -> bool:
    """Whether the kernels can be had on this machine; compiles them if need be."""
    return load_library(quadrature.knots - 1) is not None


def moments(u_RN: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_n cos(t_k u_n), then Σ_n sin(t_k u_n), as float64 (R, 2K)."""
    sums = torch.empty(len(u_RN), 2 * (quadrature.knots - 1), dtype=torch.float64, device="cpu")
    _in_threads(_library(quadrature).lejepa_moments, u_RN, quadrature.spacing, sums.data_ptr())
    return sums


def gradient(u_RN: Tensor, coefficients_R2K: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element, in place of u; the a_k come first in a row."""
    coefficients = coefficients_R2K.contiguous()
    _in_threads(_library(quadrature).lejepa_gradient, u_RN, quadrature.spacing, coefficients.data_ptr())
    return u_RN


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row, in float64; where wanted, u is replaced by `scale` times its gradient."""
    out = torch.empty(len(u_RN), dtype=torch.float64, device="cpu")
    arguments = quadrature.spacing, *quadrature.addresses, scale, want_gradient, out.data_ptr()
    _in_threads(_library(quadrature).lejepa_statistic, u_RN, *arguments)
    return out


def directions(quadrature: Quadrature, slices: int, dims: int, seed: int, step: int) -> Tensor:
    """Unit rows (S, D), those of `portable.directions`."""
    out = torch.empty(slices, dims, dtype=torch.float32, device="cpu")
    words = seed & WORD, seed >> 32, step & WORD, (step >> 32) & WORD
    _in_threads(_library(quadrature).lejepa_directions, out, *words)
    return out


def _library(quadrature: Quadrature) -> ctypes.CDLL:
    library = load_library(quadrature.knots - 1)
    assert library is not None
    return library


def _in_threads(function: Callable[..., None], rows_RN: Tensor, *arguments: float) -> None:
    """Run `function(data, first row, rows, width, scratch, ...)` on shares of the rows, without the GIL."""
    rows, width = rows_RN.shape
    shares = max(1, min(torch.get_num_threads(), rows * width // WORTH_A_THREAD, rows))
    scratch = torch.empty(shares, 2 * width + 8 * LANES, dtype=torch.float32, device="cpu")
    data, address, size = rows_RN.data_ptr(), scratch.data_ptr(), scratch.nbytes // shares
    if shares == 1:
        function(data, 0, rows, width, address, *arguments)
        return
    cuts = [rows * i // shares for i in range(shares + 1)]
    waiting = [
        _pool().submit(function, data, cuts[i], cuts[i + 1] - cuts[i], width, address + i * size, *arguments)
        for i in range(1, shares)
    ]
    try:
        function(data, 0, cuts[1], width, address, *arguments)
    finally:
        # Also if the user interrupts: they write into memory of ours.
        wait(waiting)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sigreg")


os.register_at_fork(after_in_child=_pool.cache_clear)
