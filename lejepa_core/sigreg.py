"""SIGReg: the sliced Epps-Pulley statistic (LeJEPA, arXiv 2511.08544, Algorithm 1), global over ranks.

The gradient is known in closed form, so the forward pass computes both, a few slices at a time: nothing as large as
samples x slices is kept in a single process, and no tensor of samples x slices x knots ever exists.
"""

# N samples, D dims, S slices; L leading dims as one
import math
import operator
from functools import cache
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lejepa_core.directions import Directions
from lejepa_core.distributed import all_reduce_sum, world_size
from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.kernels import compiled, native, portable
from lejepa_core.kernels.build import MOST_KNOTS
from lejepa_core.kernels.evaluate import evaluate_here, evaluate_over_ranks
from lejepa_core.kernels.quadrature import Quadrature
from lejepa_core.settings import Sampler

Kernel = Literal["auto", "native", "compiled", "eager"]
KERNELS: tuple[str, ...] = get_args(Kernel)
_MODULES = {"native": native, "compiled": compiled, "eager": portable}


class SIGReg(nn.Module):
    """N·∫ |φ̂(t) - φ(t)|² φ(t) dt, averaged over random directions, φ(t) = exp(-t²/2).

    φ̂ is the empirical characteristic function of the projections of all N samples of all ranks. The integral
    over [-t_max, t_max] is twice the trapezoidal rule on [0, t_max]. At N(0, I) the expected value does not
    depend on N: see `floor`. At total collapse to 0 it is about 0.4·N.
    """

    def __init__(
        self,
        *,
        slices: int = 1024,
        knots: int = 17,
        t_max: float = 3.0,
        seed: int = 0,
        sampler: Sampler = "gaussian",
        kernel: Kernel = "auto",
    ) -> None:
        """Choose the quadrature.

        Args:
            slices: Directions per call.
            knots: Knots on [0, t_max], both ends included.
            t_max: Upper end of the integral.
            seed: Seed of the directions; together with the step it determines them, on every rank alike.
            sampler: How directions are drawn, see `Directions`.
            kernel: `native`: C, compiled once on this machine, for float32 on a CPU. `compiled`: torch.compile.
                `eager`: torch operations. `auto`: native on a CPU, compiled on a GPU; where these cannot be had, and
                for float64 on a CPU, eager.

        Raises:
            SettingError: If slices < 1, knots < 2 or t_max <= 0, or if native kernels are wanted and cannot be had.
            UnknownNameError: If there is no such sampler or kernel.
        """
        super().__init__()
        if kernel not in KERNELS:
            raise UnknownNameError("kernel", kernel, KERNELS, "auto, native, compiled or eager")
        self.draw = Directions(slices, sampler, seed)
        self.quadrature = Quadrature(knots, t_max)
        self.kernel = kernel
        if kernel == "native" and knots > MOST_KNOTS + 1:
            raise SettingError(f"kernel native and {knots} knots came, it takes at most {MOST_KNOTS + 1}")
        if kernel == "native" and not native.available(self.quadrature):
            raise SettingError("kernel native came, but no C compiler works here; use kernel auto or eager")

    @property
    def slices(self) -> int:
        """Directions per call."""
        return self.draw.slices

    @property
    def seed(self) -> int:
        """Seed of the directions."""
        return self.draw.seed

    @property
    def knots(self) -> int:
        """Knots on [0, t_max]."""
        return self.quadrature.knots

    @property
    def t_max(self) -> float:
        """Upper end of the integral."""
        return self.quadrature.t_max

    @property
    def floor(self) -> float:
        """Expected value at N(0, I), for any N: Σ w_k (1 - φ(t_k)²); 1.0525 for 17 knots on [0, 3]."""
        return self.quadrature.floor

    def ceiling(self, samples: int) -> float:
        """Value at total collapse to 0: N·Σ w_k (1 - φ(t_k))²; about 0.402·N for 17 knots on [0, 3]."""
        return samples * self.quadrature.collapse

    def forward(self, z: Float[Tensor, "*leading n d"], *, step: int | Tensor) -> Float[Tensor, "*leading"]:
        """The statistic of each batch along the leading dims.

        Args:
            z: Projections, N samples of D dims per leading index; float64 is kept, anything else becomes float32.
                NaN and infinity give NaN. Ranks may have different N, also none.
            step: Global step; (seed, step) determine the directions. A tensor on z's device where a CUDA graph is
                captured.

        Returns:
            One value per leading index, averaged over slices; the same on every rank. NaN if no rank has a sample.

        Raises:
            SettingError: If z has fewer than two dims or no dims to project, or no samples in a single process.
        """
        if z.dim() < 2 or z.shape[-1] < 1 or not z.is_floating_point():
            raise SettingError(f"z of shape {tuple(z.shape)} and {z.dtype} came, floating point (..., N, D) was wanted")
        if z.shape[-2] < 1 and world_size() == 1:
            raise SettingError(f"z of shape {tuple(z.shape)} came, at least one sample was wanted")
        if z.requires_grad and torch.is_grad_enabled():
            statistic: Tensor = _SlicedEppsPulley.apply(z, self, step)
            return statistic
        return _run(z, self, step, want_gradient=False)[0]

    def directions(self, dims: int, step: int | Tensor, like: Tensor) -> Float[Tensor, "d s"]:
        """Unit vectors for one step, uniform on the sphere, as columns."""
        if self.draw.sampler == "gaussian" and isinstance(step, int) and self.kernel_for(like) == "native":
            return native.directions(self.quadrature, self.slices, dims, self.draw.key, step).T
        return self.draw(dims, step, like)

    def kernel_for(self, like: Tensor) -> str:
        """Which kernel works on such a tensor: `native`, `compiled` or `eager`."""
        return self._kernel(like.device, like.dtype)

    def _kernel(self, device: torch.device, dtype: torch.dtype) -> str:
        if self.kernel == "compiled" or (self.kernel == "auto" and device.type != "cpu"):
            return "compiled" if compiled.available(device) else "eager"
        # Anything else becomes float32 before it comes to a kernel.
        fits = self.kernel != "eager" and device.type == "cpu" and dtype != torch.float64
        return "native" if fits and native.available(self.quadrature) else "eager"


class _SlicedEppsPulley(torch.autograd.Function):
    """The mean statistic of each batch, with its gradient computed beside it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, sigreg: SIGReg, step: int | Tensor) -> Tensor:
        statistic, gradient = _run(z.detach(), sigreg, step, want_gradient=True)
        ctx.save_for_backward(gradient)
        return statistic

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        grad = all_reduce_sum(grads[0])
        return gradient * (grad.view(*grad.shape, 1, 1) if grad.dim() else grad), None, None


def _run(z: Tensor, sigreg: SIGReg, step: int | Tensor, *, want_gradient: bool) -> tuple[Tensor, Tensor]:
    """Statistic and gradient, as one node of the graph where a model is being compiled."""
    if not torch.compiler.is_compiling():
        return _evaluate(z, sigreg, step, want_gradient)
    if type(sigreg) is not SIGReg:
        raise SettingError(
            f"{type(sigreg).__name__} came to torch.compile, SIGReg itself was wanted; compile around it"
        )
    at, step = (step, 0) if isinstance(step, Tensor) else (None, step)
    settings = sigreg.slices, sigreg.knots, sigreg.t_max, sigreg.seed, sigreg.draw.sampler, sigreg.kernel
    node: tuple[Tensor, Tensor] = _graph_node(z, at, step, *settings, want_gradient)
    return node


@torch.library.custom_op("lejepa::sigreg", mutates_args=())
def _graph_node(
    z: Tensor,
    at: Tensor | None,
    step: int,
    slices: int,
    knots: int,
    t_max: float,
    seed: int,
    sampler: str,
    kernel: str,
    want_gradient: bool,
) -> tuple[Tensor, Tensor]:
    sigreg = _remembered(slices, knots, t_max, seed, sampler, kernel)
    return _evaluate(z, sigreg, step if at is None else at, want_gradient)


@_graph_node.register_fake
def _(z: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    dtype = z.dtype if z.dtype == torch.float64 else torch.float32
    return z.new_empty(z.shape[:-2], dtype=dtype), z.new_empty(z.shape if rest[-1] else 0, dtype=dtype)


@cache
def _remembered(slices: int, knots: int, t_max: float, seed: int, sampler: Any, kernel: Any) -> SIGReg:
    return SIGReg(slices=slices, knots=knots, t_max=t_max, seed=seed, sampler=sampler, kernel=kernel)


def _evaluate(z: Tensor, sigreg: SIGReg, step: int | Tensor, want_gradient: bool) -> tuple[Tensor, Tensor]:
    """The statistic in the shape of the leading dims and the gradient in that of z, empty unless wanted."""
    if torch.is_autocast_enabled(z.device.type):
        with torch.autocast(z.device.type, enabled=False):
            return _evaluate(z, sigreg, step, want_gradient)
    z_LND = (z if z.dtype == torch.float64 else z.float()).reshape(math.prod(z.shape[:-2]), *z.shape[-2:])
    a_SD = sigreg.directions(z.shape[-1], _checked(step), z_LND).T
    kernel = _MODULES[sigreg.kernel_for(z_LND)]
    evaluate = evaluate_here if world_size() == 1 else evaluate_over_ranks
    statistic_L, gradient_LND = evaluate(kernel, z_LND, a_SD, sigreg.quadrature, want_gradient)
    return statistic_L.view(z.shape[:-2]), gradient_LND.view(z.shape) if want_gradient else gradient_LND


def _checked(step: int | Tensor) -> int | Tensor:
    whole = not step.is_floating_point() if isinstance(step, Tensor) else hasattr(step, "__index__")
    if not whole:
        raise SettingError(f"step = {step} came, an integer or an integer tensor was wanted")
    return step if isinstance(step, Tensor) else operator.index(step)
