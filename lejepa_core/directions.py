"""Random directions, a pure function of (seed, step): every rank and every trial of a pair gets the same."""

# D dims, S slices
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.kernels import portable
from lejepa_core.random import derive_seed
from lejepa_core.settings import Sampler

SAMPLERS: tuple[str, ...] = get_args(Sampler)


class Directions:
    """Unit vectors, each uniform on the sphere, anew at each step."""

    def __init__(self, slices: int = 1024, sampler: Sampler = "gaussian", seed: int = 0) -> None:
        """Choose how they are drawn.

        Args:
            slices: How many.
            sampler: `gaussian`: independent. `orthogonal`: blocks of D mutually orthogonal ones. `sobol`: a scrambled
                Sobol sequence through the normal quantile function, normalised (LeJEPA, appendix D).
            seed: With the step it determines them.

        Raises:
            SettingError: If slices < 1.
            UnknownNameError: If there is no such sampler.
        """
        if slices < 1:
            raise SettingError(f"slices={slices} came, at least 1 was wanted")
        if sampler not in SAMPLERS:
            raise UnknownNameError("sampler", sampler, SAMPLERS, "gaussian, orthogonal or sobol")
        self.slices, self.sampler, self.seed = slices, sampler, seed
        self.key = derive_seed("slices", sampler, seed)

    def __call__(self, dims: int, step: int | Tensor, like: Tensor) -> Float[Tensor, "d s"]:
        """The directions of a step as columns.

        Args:
            dims: Number of dims.
            step: Step; a tensor on the device of `like` where a CUDA graph is to draw anew at each replay, which
                `sobol` cannot: it is drawn on the host.
            like: Gives dtype and device.
        """
        if self.sampler == "sobol":
            return self._sobol(dims, step, like).T
        if self.sampler == "orthogonal":
            whole = -(-self.slices // dims) * dims
            return _orthogonal(portable.directions(whole, dims, self.key, step, like))[: self.slices].T
        return portable.directions(self.slices, dims, self.key, step, like).T

    def _sobol(self, dims: int, step: int | Tensor, like: Tensor) -> Float[Tensor, "s d"]:
        engine = SobolEngine(dims, scramble=True, seed=derive_seed("sobol", self.key, int(step)) % 2**31)
        uniform_SD = engine.draw(self.slices, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
        return torch.nn.functional.normalize(torch.special.ndtri(uniform_SD), dim=1).to(like)


def _orthogonal(a_SD: Float[Tensor, "s d"]) -> Float[Tensor, "s d"]:
    """Each block of D rows orthonormalised; the sign of R's diagonal makes the result uniform (Mezzadri 2007)."""
    dims = a_SD.shape[1]
    q, r = torch.linalg.qr(a_SD.view(-1, dims, dims).mT)
    signs = torch.sign(r.diagonal(dim1=-2, dim2=-1))
    return (q * signs[:, None]).mT.reshape(-1, dims)
