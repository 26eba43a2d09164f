"""How Gaussian a cloud is along single directions, beside what samples of N(0, 1) of the same size would show."""

# N samples, D dims, S slices, Q quantile levels, R simulated samples
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.directions import Directions
from lejepa_core.kernels import portable
from lejepa_core.kernels.quadrature import Quadrature
from lejepa_core.random import derive_seed

KNOTS: Final = 17
T_MAX: Final = 3.0
SIMULATIONS: Final = 2000
"""Samples of N(0, 1) behind an envelope."""
INSIDE: Final = 0.95
"""Share of samples of N(0, 1) that lie inside an envelope."""
LEVELS: Final = tuple((i + 0.5) / 40 for i in range(40))
"""Probabilities of the quantiles that are compared."""
_ROWS: Final = 256
"""Slices or samples worked on at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Envelope:
    """Where samples of N(0, 1) of one size lie."""

    statistic: float
    """Epps-Pulley statistic that 95 % of them stay below."""
    quantiles: Float[Tensor, "2 q"]
    """Ends of the interval that holds 95 % of their quantiles, level by level."""


def fresh_slices(z: Float[Tensor, "n d"], count: int) -> Float[Tensor, "s n"]:
    """Samples along directions that no training has seen, the same for every cloud of as many dims.

    Args:
        z: Float32 or float64.
        count: S.
    """
    directions = Directions(count, "gaussian", derive_seed("held-out slices"))
    return directions(z.shape[1], 0, z).T @ z.T


def slice_statistics(slices: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
    """Epps-Pulley statistic of each slice against N(0, 1), with 17 knots on [0, 3].

    Args:
        slices: One slice per row; float32 or float64, on the CPU.

    Returns:
        Float64; 1.05 on average for samples of N(0, 1), about 0.4·N where all are 0. Their mean is `SIGReg`'s value.
    """
    quadrature = _quadrature()
    parts = [portable.statistic(rows, quadrature, 1.0, False) for rows in slices.split(_ROWS)]
    return torch.cat(parts).double()


def quantiles(slices: Float[Tensor, "s n"]) -> Float[Tensor, "s q"]:
    """Quantiles of each slice at `LEVELS`."""
    levels = torch.tensor(LEVELS, dtype=slices.dtype)
    found: Tensor = torch.quantile(slices, levels, dim=1).T
    return found


@lru_cache(maxsize=32)
def simulated_envelope(samples: int) -> Envelope:
    """What so many samples of N(0, 1) show, from 2000 simulated ones; the same on every call.

    Args:
        samples: N.
    """
    generator = torch.Generator().manual_seed(derive_seed("envelope", samples))
    statistics, held = [], []
    for _ in range(-(-SIMULATIONS // _ROWS)):
        simulated_RN = torch.randn(_ROWS, samples, generator=generator)
        statistics.append(slice_statistics(simulated_RN))
        held.append(quantiles(simulated_RN))
    tail = (1 - INSIDE) / 2
    ends = torch.tensor([tail, 1 - tail])
    return Envelope(
        statistic=float(torch.cat(statistics).quantile(INSIDE)),
        quantiles=torch.quantile(torch.cat(held), ends, dim=0),
    )


@lru_cache(maxsize=1)
def _quadrature() -> Quadrature:
    return Quadrature(KNOTS, T_MAX)
