"""The knots and weights of the Epps-Pulley integral."""

import math
from collections.abc import Hashable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lejepa_core.errors import SettingError


class Quadrature:
    """Trapezoidal rule on [0, t_max], doubled, with the weight φ(t) = exp(-t²/2).

    The knot at 0 is left out: both characteristic functions are 1 there.
    """

    def __init__(self, knots: int, t_max: float) -> None:
        """Place the knots.

        Raises:
            SettingError: If knots < 2 or t_max is not a positive number.
        """
        if knots < 2 or not 0 < t_max < math.inf:
            raise SettingError(f"knots={knots}, t_max={t_max} came; knots >= 2 and t_max > 0 were wanted")
        self.knots, self.t_max = knots, t_max
        self.spacing = t_max / (knots - 1)
        # Arrays, as tensors would follow torch's default device.
        t = np.linspace(0, t_max, knots)
        phi = np.exp(-np.square(t) / 2)
        trapezoid = np.full(knots, 2 * self.spacing)
        trapezoid[-1] = self.spacing
        self.t_K, self.phi_K, self.weight_K = t[1:], phi[1:], (trapezoid * phi)[1:]
        # numpy takes a microsecond to tell an address.
        self.addresses = self.phi_K.ctypes.data, self.weight_K.ctypes.data
        self._kept: dict[Hashable, tuple[Tensor, Tensor, Tensor]] = {}

    @cached_property
    def floor(self) -> float:
        """Σ w_k (1 - φ(t_k)²)."""
        return float((self.weight_K * (1 - np.square(self.phi_K))).sum())

    @cached_property
    def collapse(self) -> float:
        """Σ w_k (1 - φ(t_k))²."""
        return float((self.weight_K * np.square(1 - self.phi_K)).sum())

    def on(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Knots, φ and weights in the dtype and on the device of a tensor; copied there once."""
        name, constants = ("quadrature", like.dtype, like.device), (self.t_K, self.phi_K, self.weight_K)
        return self.kept(name, *constants, dtype=like.dtype, device=like.device)

    def kept(
        self, name: Hashable, *arrays: NDArray[np.float64], dtype: torch.dtype, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Three arrays as tensors, copied to a device once."""
        if name in self._kept:
            return self._kept[name]
        first, second, third = (torch.as_tensor(array, dtype=dtype, device=device) for array in arrays)
        # Not those without data, which torch makes to find out about shapes.
        if type(first) is Tensor:
            self._kept[name] = first, second, third
        return first, second, third

    def finish(self, sums_R2K: Tensor, count: Tensor | float, scale: float) -> tuple[Tensor, Tensor]:
        """Statistic of each row, and the coefficients of its gradient, from sums of cosines and sines.

        Args:
            sums_R2K: Σ cos(t_k u), then Σ sin(t_k u) over samples, for each row.
            count: Number of samples.
            scale: Factor of the gradient.

        Returns:
            N·Σ w_k |φ̂ - φ|² per row, and (R, 2K): a_k, then b_k of the gradient Σ a_k sin(t_k u) + b_k cos(t_k u).
        """
        t_K, phi_K, weight_K = self.on(sums_R2K)
        gap_RK, odd_RK = (sums_R2K / count).chunk(2, -1)
        gap_RK = gap_RK - phi_K
        statistic_R = count * ((gap_RK.square() + odd_RK.square()) @ weight_K)
        slope_K = 2 * scale * weight_K * t_K
        return statistic_R, torch.cat([-slope_K * gap_RK, slope_K * odd_RK], -1)


def wide(like: Tensor) -> torch.dtype:
    """Float64, where a device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64
