"""SIGReg: the sliced Epps-Pulley statistic (LeJEPA, arXiv 2511.08544, Algorithm 1), global over ranks.

With uniform knots t_k = k·h the values cos(t_k u), sin(t_k u) follow from one cosine and one sine by the
Chebyshev recurrence, and the gradient is a trigonometric polynomial that Clenshaw's recurrence evaluates, so that
nothing of size samples x slices x knots is ever stored.
"""

# N samples, D dims, S slices, K knots after the one at 0; L leading dims
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.distributed import all_reduce_sum, world_size
from lejepa_core.errors import SettingError
from lejepa_core.random import derive_seed


class SIGReg(nn.Module):
    """N·∫ |φ̂(t) - φ(t)|² φ(t) dt, averaged over random directions, φ(t) = exp(-t²/2).

    φ̂ is the empirical characteristic function of the projections of all N samples of all ranks. The integral
    over [-t_max, t_max] is twice the trapezoidal rule on [0, t_max]. At N(0, I) the expected value does not
    depend on N: see `floor`. At total collapse to 0 it is about 0.4·N.
    """

    phi_K: Tensor
    weight_K: Tensor

    def __init__(self, *, slices: int = 1024, knots: int = 17, t_max: float = 3.0, seed: int = 0) -> None:
        """Choose the quadrature.

        Args:
            slices: Directions per call.
            knots: Knots on [0, t_max], both ends included.
            t_max: Upper end of the integral.
            seed: Seed of the directions; together with the step it determines them, on every rank alike.

        Raises:
            SettingError: If slices < 1, knots < 2 or t_max <= 0.
        """
        super().__init__()
        if slices < 1 or knots < 2 or not 0 < t_max < math.inf:
            raise SettingError(
                f"slices={slices}, knots={knots}, t_max={t_max} came; slices >= 1, knots >= 2, t_max > 0 were wanted"
            )
        self.slices, self.knots, self.t_max, self.seed = slices, knots, t_max, seed
        t = torch.linspace(0, t_max, knots, dtype=torch.float64)
        phi = torch.exp(-t.square() / 2)
        trapezoid = torch.full_like(t, 2 * self.spacing)
        trapezoid[[0, -1]] = self.spacing
        # The knot at 0 adds nothing: both characteristic functions are 1 there.
        self.register_buffer("phi_K", phi[1:], persistent=False)
        self.register_buffer("weight_K", (trapezoid * phi)[1:], persistent=False)

    @property
    def spacing(self) -> float:
        """Distance of neighbouring knots."""
        return self.t_max / (self.knots - 1)

    @property
    def floor(self) -> float:
        """Expected value at N(0, I), for any N: Σ w_k (1 - φ(t_k)²); 1.0525 for 17 knots on [0, 3]."""
        return float((self.weight_K * (1 - self.phi_K.square())).sum())

    def ceiling(self, samples: int) -> float:
        """Value at total collapse to 0: N·Σ w_k (1 - φ(t_k))²; about 0.402·N for 17 knots on [0, 3]."""
        return samples * float((self.weight_K * (1 - self.phi_K).square()).sum())

    def forward(self, z: Float[Tensor, "*leading n d"], *, step: int) -> Float[Tensor, "*leading"]:
        """The statistic of each batch along the leading dims.

        Args:
            z: Projections, N samples of D dims per leading index; float64 is kept, anything else becomes float32.
            step: Global step; (seed, step) determine the directions.

        Returns:
            One value per leading index, averaged over slices; the same on every rank.
        """
        with torch.autocast(z.device.type, enabled=False):
            z_LND = z.double() if z.dtype == torch.float64 else z.float()
            u_LNS = z_LND @ self.directions(z.shape[-1], step, z_LND)
            phi, weight = self.phi_K.to(u_LNS), self.weight_K.to(u_LNS)
            statistic: Tensor = _EppsPulley.apply(u_LNS, phi, weight, self.spacing)
            return statistic.mean(-1)

    def directions(self, dims: int, step: int, like: Tensor) -> Float[Tensor, "d s"]:
        """Unit vectors for one step, uniform on the sphere."""
        generator = torch.Generator(like.device).manual_seed(derive_seed("slices", self.seed, step))
        a_DS = torch.randn(dims, self.slices, generator=generator, device=like.device, dtype=torch.float32)
        return nn.functional.normalize(a_DS, dim=0).to(like.dtype)


class _EppsPulley(torch.autograd.Function):
    """Statistic per slice, and its exact gradient, summed over ranks in both directions."""

    @staticmethod
    def forward(ctx: Any, u_LNS: Tensor, phi_K: Tensor, weight_K: Tensor, spacing: float) -> Tensor:
        sums = _trigonometric_moments(u_LNS, spacing, len(phi_K))
        count = u_LNS.new_full((1,), u_LNS.shape[-2])
        packed = all_reduce_sum(torch.cat([sums.flatten(), count]))
        n = packed[-1]
        c_KLS, s_KLS = (packed[:-1] / n).view_as(sums)
        column = (-1, *[1] * (c_KLS.dim() - 1))
        phi, weight = phi_K.view(column), weight_K.view(column)
        t = spacing * torch.arange(1, len(phi_K) + 1, device=phi.device, dtype=phi.dtype).view(column)
        d_KLS = c_KLS - phi
        ctx.save_for_backward(u_LNS, -2 * weight * t * d_KLS, 2 * weight * t * s_KLS)
        ctx.spacing = spacing
        return n * (weight * (d_KLS.square() + s_KLS.square())).sum(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        u_LNS, a_KLS, b_KLS = ctx.saved_tensors
        grad_LS = all_reduce_sum(grads[0].contiguous()) if world_size() > 1 else grads[0]
        return _trigonometric_sum(u_LNS, a_KLS * grad_LS, b_KLS * grad_LS, ctx.spacing), None, None, None


def _trigonometric_moments(u_LNS: Tensor, spacing: float, knots: int) -> Tensor:
    """Σ_n cos(k·h·u_n) and Σ_n sin(k·h·u_n) for k = 1..K, stacked as (2, K, L, S)."""
    theta = u_LNS * spacing
    c, s = theta.cos(), theta.sin()
    two_c = 2 * c
    before = torch.ones_like(c), torch.zeros_like(s)
    now = c, s
    sums = [torch.stack([c.sum(-2), s.sum(-2)])]
    for _ in range(knots - 1):
        before, now = now, (two_c * now[0] - before[0], two_c * now[1] - before[1])
        sums.append(torch.stack([now[0].sum(-2), now[1].sum(-2)]))
    return torch.stack(sums, dim=1)


def _trigonometric_sum(u_LNS: Tensor, a_KLS: Tensor, b_KLS: Tensor, spacing: float) -> Tensor:
    """Σ_k a_k sin(k·h·u) + b_k cos(k·h·u) for each element, by Clenshaw's recurrence."""
    theta = u_LNS * spacing
    c, s = theta.cos(), theta.sin()
    two_c = 2 * c
    y1 = y2 = z1 = z2 = torch.zeros_like(c)
    for a, b in zip(a_KLS.unsqueeze(-2).flip(0), b_KLS.unsqueeze(-2).flip(0), strict=True):
        y1, y2 = a + two_c * y1 - y2, y1
        z1, z2 = b + two_c * z1 - z2, z1
    return y1 * s + z1 * c - z2
