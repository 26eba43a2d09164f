"""Tests of the joint distribution that need no slices, in O(N²·D). Across ranks: samples are gathered."""

# N samples, D dims; L leading dims
import math

import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.kernels.quadrature import wide
from lejepa_core.normality.base import MultivariateTest


class BHEP(MultivariateTest):
    """N·∫ |φ̂(t) - exp(-|t|²/2)|² w_β(t) dt, w_β the density of N(0, β²·I), against N(0, I) as it stands.

    In closed form, (1/N)·ΣΣ exp(-β²|z_i - z_j|²/2) - 2(1 + β²)^(-D/2)·Σ exp(-β²|z_i|²/(2 + 2β²)) + N·(1 + 2β²)^(-D/2)
    (Baringhaus & Henze 1988, Henze & Zirkler 1990). In one dim with β = 1 it is Epps-Pulley's integral over √(2π).
    It is bounded: a sample far from all others and from 0 has no gradient, the sooner the larger β.
    """

    def __init__(self, *, beta: float | None = None) -> None:
        """Choose the bandwidth.

        Args:
            beta: β; the larger, the finer the details that are seen, and the fewer neighbours a sample has. None for
                1/√D: distances grow with √D, and with β = 1 no sample of 64 dims has a neighbour.

        Raises:
            SettingError: If `beta` is not a positive number.
        """
        super().__init__()
        if beta is not None and not 0 < beta < math.inf:
            raise SettingError(f"beta = {beta} came, a positive number was wanted")
        self.beta = beta

    def statistic(self, z_LND: Float[Tensor, "*leading n d"]) -> Float[Tensor, "*leading"]:
        """The closed form."""
        dims = z_LND.shape[-1]
        return _weighted_distance(_pair_squares(z_LND), z_LND.square().sum(-1), self._bandwidth(dims), dims)

    def floor_at(self, samples: int, dims: int) -> float:
        """Expected value at N(0, I): 1 - (1 + 2β²)^(-D/2), for any N."""
        return _expected(self._bandwidth(dims), dims)

    def _bandwidth(self, dims: int) -> float:
        return self.beta or 1 / math.sqrt(dims)


class HenzeZirkler(MultivariateTest):
    """BHEP with a bandwidth for density estimates, β = ((2D + 1)·N/4)^(1/(D + 4)) / √2 (Henze & Zirkler 1990).

    Unlike the textbook's test it does not standardise: it tests against N(0, I), mean and covariance included. In many
    dims its β leaves a sample without neighbours and nearly without gradient, as at 64 dims: use `BHEP` there.
    """

    def __init__(self, *, standardize: bool = False) -> None:
        """Choose what is tested.

        Args:
            standardize: Take distances in the sample's own mean and covariance (divisor N), as the textbook does, so
                that every normal distribution pleases; not for use as a regulariser.
        """
        super().__init__()
        self.standardize = standardize

    def statistic(self, z_LND: Float[Tensor, "*leading n d"]) -> Float[Tensor, "*leading"]:
        """BHEP's closed form with Henze and Zirkler's β."""
        x_LND = _whitened(z_LND) if self.standardize else z_LND
        n, d = z_LND.shape[-2:]
        return _weighted_distance(_pair_squares(x_LND), x_LND.square().sum(-1), self.beta(n, d), d)

    def floor_at(self, samples: int, dims: int) -> float | None:
        """Expected value at N(0, I) of so many samples: 1 - (1 + 2β²)^(-D/2); None if standardised."""
        return None if self.standardize else _expected(self.beta(samples, dims), dims)

    @staticmethod
    def beta(samples: int, dims: int) -> float:
        """The bandwidth for so many samples and dims."""
        return float(((2 * dims + 1) * samples / 4) ** (1 / (dims + 4)) / math.sqrt(2))


def _weighted_distance(pairs_LNN: Tensor, norms_LN: Tensor, beta: float, dims: int) -> Tensor:
    n, b, dtype = norms_LN.shape[-1], beta**2, wide(norms_LN)
    # In float64, as numbers of size N are subtracted from one another.
    pairs = (-b / 2 * pairs_LNN).exp().sum((-2, -1), dtype=dtype) / n
    single = (1 + b) ** (-dims / 2) * (-b / (2 + 2 * b) * norms_LN).exp().sum(-1, dtype=dtype)
    return (pairs - 2 * single + n * (1 + 2 * b) ** (-dims / 2)).to(norms_LN.dtype)


def _expected(beta: float, dims: int) -> float:
    return float(1 - (1 + 2 * beta**2) ** (-dims / 2))


def _pair_squares(z_LND: Tensor) -> Tensor:
    """|z_i - z_j|² from the Gram matrix of centred samples, exactly 0 on the diagonal."""
    x_LND = z_LND - z_LND.detach().mean(-2, keepdim=True)
    gram_LNN = x_LND @ x_LND.mT
    norms_LN = gram_LNN.diagonal(dim1=-2, dim2=-1)
    return (norms_LN.unsqueeze(-1) + norms_LN.unsqueeze(-2) - 2 * gram_LNN).clamp_min(0)


def _whitened(z_LND: Tensor) -> Tensor:
    """The sample with mean 0 and covariance I; float64 and a small ridge keep a singular covariance finite."""
    x_LND = (z_LND - z_LND.mean(-2, keepdim=True)).double()
    covariance_LDD = x_LND.mT @ x_LND / x_LND.shape[-2]
    scale = covariance_LDD.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] + 1
    ridge_LDD = 1e-12 * scale * torch.eye(x_LND.shape[-1], dtype=x_LND.dtype, device=x_LND.device)
    factor_LDD = torch.linalg.cholesky_ex(covariance_LDD + ridge_LDD).L
    return torch.linalg.solve_triangular(factor_LDD, x_LND.mT, upper=False).mT.to(z_LND.dtype)
