"""The compiled kernels: float32 on a CPU. The same functions as in `portable`."""

# R rows (a slice of a batch), N samples, K knots after the one at 0, D dims, S slices
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

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
    """Σ_n cos(t_k u_n) and Σ_n sin(t_k u_n) as float64 (2, K, R)."""
    rows, samples = u_RN.shape
    sums = torch.empty(rows, 2, quadrature.knots - 1, dtype=torch.float64)
    function, spacing = _library(quadrature).lejepa_moments, ctypes.c_float(quadrature.spacing)
    _in_threads(rows, samples, lambda f, n, s: function(_p(u_RN), f, n, _l(samples), spacing, s, _p(sums)))
    return sums.permute(1, 2, 0)


def gradient(u_RN: Tensor, coefficients_2KR: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element, in place of u."""
    rows, samples = u_RN.shape
    c = coefficients_2KR.permute(2, 0, 1).contiguous()
    function, spacing = _library(quadrature).lejepa_gradient, ctypes.c_float(quadrature.spacing)
    _in_threads(rows, samples, lambda f, n, s: function(_p(u_RN), f, n, _l(samples), spacing, s, _p(c)))
    return u_RN


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row, in float64; where wanted, u is replaced by `scale` times its gradient."""
    rows, samples = u_RN.shape
    out = torch.empty(rows, dtype=torch.float64)
    function, spacing = _library(quadrature).lejepa_statistic, ctypes.c_float(quadrature.spacing)
    phi, weight, factor = _p(quadrature.phi_K), _p(quadrature.weight_K), ctypes.c_double(scale)
    _in_threads(
        rows,
        samples,
        lambda f, n, s: function(
            _p(u_RN), f, n, _l(samples), spacing, s, phi, weight, factor, int(want_gradient), _p(out)
        ),
    )
    return out


def directions(quadrature: Quadrature, slices: int, dims: int, seed: int, step: int) -> Tensor:
    """Unit rows (S, D), those of `portable.directions`."""
    out = torch.empty(slices, dims)
    words = [ctypes.c_uint32(word) for word in (seed & WORD, seed >> 32, step & WORD, (step >> 32) & WORD)]
    function = _library(quadrature).lejepa_directions
    _in_threads(slices, dims, lambda f, n, s: function(_p(out), f, n, _l(dims), *words, s))
    return out


def _library(quadrature: Quadrature) -> ctypes.CDLL:
    library = load_library(quadrature.knots - 1)
    assert library is not None
    return library


def _p(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _l(number: int) -> ctypes.c_long:
    return ctypes.c_long(number)


def _in_threads(rows: int, width: int, call: Callable[[ctypes.c_long, ctypes.c_long, ctypes.c_void_p], Any]) -> None:
    """Run `call(first row, rows, scratch)` on shares of the rows; ctypes lets go of the interpreter's lock."""
    shares = max(1, min(torch.get_num_threads(), rows * width // WORTH_A_THREAD, rows))
    scratch = torch.empty(shares * (2 * width + 8 * LANES))
    address, size = scratch.data_ptr(), scratch.nbytes // shares
    cuts = [rows * i // shares for i in range(shares + 1)]
    waiting = [
        _pool().submit(call, _l(cuts[i]), _l(cuts[i + 1] - cuts[i]), ctypes.c_void_p(address + i * size))
        for i in range(1, shares)
    ]
    call(_l(0), _l(cuts[1]), ctypes.c_void_p(address))
    for future in waiting:
        future.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sigreg")


os.register_at_fork(after_in_child=_pool.cache_clear)
