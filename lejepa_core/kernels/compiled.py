"""The kernels through torch.compile, which fuses them: nothing of rows x samples x knots is kept. Meant for GPUs.

There the sines and cosines of all knots cost less than fetching what a recurrence would keep.
"""

# R rows (a slice of a batch), N samples, K knots after the one at 0
import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from lejepa_core.kernels.quadrature import Quadrature, wide

LOG = logging.getLogger("lejepa")
CHUNK = 2**24
"""Elements that are worked on at a time."""


@cache
def available(device: torch.device) -> bool:
    """Whether torch.compile works on a device; the first call compiles, and is what to do before a graph capture."""
    try:
        for samples in (48, 80):
            u_RN = torch.zeros(6, samples, device=device)
            statistic(u_RN, Quadrature(17, 3.0), 1.0, want_gradient=True)
    except Exception as error:  # compilers fail in ways of their own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        LOG.warning("SIGReg could not be compiled for %s, going on with slower kernels: %s", device, reason)
        return False
    return True


def moments(u_RN: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_n cos(t_k u_n), then Σ_n sin(t_k u_n), as float64 (R, 2K)."""
    return _fused()[0](u_RN, quadrature.on(u_RN)[0])


def gradient(u_RN: Tensor, coefficients_R2K: Tensor, quadrature: Quadrature) -> Tensor:
    """Σ_k a_k sin(t_k u) + b_k cos(t_k u) for each element; the a_k come first in a row."""
    return _fused()[1](u_RN, coefficients_R2K, quadrature.on(u_RN)[0])


def statistic(u_RN: Tensor, quadrature: Quadrature, scale: float, want_gradient: bool) -> Tensor:
    """The statistic of each row; where wanted, u is replaced by `scale` times its gradient."""
    statistic_R, coefficients = quadrature.finish(moments(u_RN, quadrature), u_RN.shape[-1], scale)
    if want_gradient:
        u_RN.copy_(gradient(u_RN, coefficients, quadrature))
    return statistic_R


@cache
def _fused() -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    # Not when this file is imported: torch.compile takes a second to import.
    return torch.compile(_moments, dynamic=True), torch.compile(_gradient, dynamic=True)


def _moments(u_RN: Tensor, t_K: Tensor) -> Tensor:
    angles_RKN = u_RN[:, None] * t_K[:, None]
    dtype = wide(u_RN)
    return torch.cat([angles_RKN.cos().sum(-1, dtype=dtype), angles_RKN.sin().sum(-1, dtype=dtype)], -1)


def _gradient(u_RN: Tensor, coefficients_R2K: Tensor, t_K: Tensor) -> Tensor:
    angles_RKN = u_RN[:, None] * t_K[:, None]
    of_sine, of_cosine = coefficients_R2K.to(u_RN.dtype)[..., None].chunk(2, 1)
    return (of_sine * angles_RKN.sin() + of_cosine * angles_RKN.cos()).sum(1)
