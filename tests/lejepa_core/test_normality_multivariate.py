"""BHEP, Henze-Zirkler and slicing against plain loops, quadrature and SIGReg."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from lejepa_core.normality import BHEP, UNIVARIATE, HenzeZirkler, Sliced
from lejepa_core.objective import LeJEPALoss
from lejepa_core.sigreg import SIGReg


def sample(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1.4 + 0.3


def axes_then_diagonal(dims: int, step: int | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """All axes, or from step 1 on the diagonal alone."""
    if int(step) == 0:
        return torch.eye(dims, dtype=like.dtype)
    return torch.full((dims, 1), dims**-0.5, dtype=like.dtype)


def loops(x: np.ndarray, beta: float) -> float:
    """The textbook sum over pairs, for samples whose mean and covariance should be 0 and I."""
    n, d = x.shape
    pairs = sum(math.exp(-(beta**2) / 2 * ((a - b) ** 2).sum()) for a in x for b in x) / n
    single = sum(math.exp(-(beta**2) / (2 * (1 + beta**2)) * (a**2).sum()) for a in x)
    return pairs - 2 * (1 + beta**2) ** (-d / 2) * single + n * (1 + 2 * beta**2) ** (-d / 2)


@pytest.mark.parametrize(("beta", "dims"), [(1.0, 1), (0.3, 4), (2.0, 3)])
def test_bhep_equals_the_sum_over_pairs(beta: float, dims: int) -> None:
    x = sample(40, dims)
    assert float(BHEP(beta=beta)(x)) == pytest.approx(loops(x.numpy(), beta), rel=1e-10)


def test_bhep_in_one_dimension_is_the_weighted_integral() -> None:
    x, beta = sample(30, 1).numpy(), 0.7

    def integrand(t: float) -> float:
        gap = np.exp(1j * t * x).mean() - math.exp(-(t**2) / 2)
        return abs(gap) ** 2 * float(stats.norm.pdf(t, scale=beta))

    expected = 30 * integrate.quad(integrand, -12, 12, limit=200)[0]
    assert float(BHEP(beta=beta)(torch.from_numpy(x))) == pytest.approx(expected, rel=1e-7)


def test_bhep_in_one_dimension_is_sigreg_over_the_root_of_two_pi() -> None:
    x = sample(200, 1)
    sliced = SIGReg(slices=1, knots=601, t_max=12.0)(x, step=0)
    assert float(BHEP()(x)) == pytest.approx(float(sliced) / math.sqrt(2 * math.pi), rel=1e-5)


def test_henze_zirkler_is_bhep_with_their_bandwidth() -> None:
    beta = (7 * 40 / 4) ** (1 / 7) / math.sqrt(2)
    assert HenzeZirkler.beta(40, 3) == pytest.approx(beta)
    assert float(HenzeZirkler()(sample(40, 3))) == pytest.approx(loops(sample(40, 3).numpy(), beta), rel=1e-10)


def test_standardised_henze_zirkler_equals_the_sum_over_mahalanobis_distances() -> None:
    x = (sample(40, 3) @ torch.tensor([[2.0, 0.4, 0], [0, 1, -0.7], [0, 0, 0.5]]).double()).numpy()
    eigenvalues, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    whitened = (x - x.mean(0)) @ vectors / np.sqrt(eigenvalues)
    value = HenzeZirkler(standardize=True)(torch.from_numpy(x))
    assert float(value) == pytest.approx(loops(whitened, HenzeZirkler.beta(40, 3)), rel=1e-8)


def test_standardised_henze_zirkler_stays_finite_with_fewer_samples_than_dims() -> None:
    x = torch.randn(5, 9, generator=torch.Generator().manual_seed(1)).requires_grad_()
    value = HenzeZirkler(standardize=True)(x)
    (gradient,) = torch.autograd.grad(value, x)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("test", [BHEP(), BHEP(beta=0.4), HenzeZirkler()])
@pytest.mark.parametrize("dims", [1, 5])
def test_mean_at_the_standard_normal_is_the_floor(test: BHEP | HenzeZirkler, dims: int) -> None:
    draws = test(torch.randn(2000, 64, dims, generator=torch.Generator().manual_seed(2)))
    floor = test.floor_at(64, dims)
    assert floor is not None
    assert abs(float(draws.mean()) - floor) < 4 * float(draws.std()) / math.sqrt(len(draws)) + 1e-4


@pytest.mark.parametrize("test", [BHEP(), HenzeZirkler()])
def test_rotations_change_nothing(test: BHEP | HenzeZirkler) -> None:
    rotation = torch.linalg.qr(sample(5, 5)).Q
    assert float(test(sample(30, 5) @ rotation)) == pytest.approx(float(test(sample(30, 5))), rel=1e-10)


@pytest.mark.parametrize("test", [BHEP(), HenzeZirkler()])
def test_a_correlation_between_standard_normal_coordinates_is_seen(test: BHEP | HenzeZirkler) -> None:
    z = torch.randn(256, 2, generator=torch.Generator().manual_seed(3))
    mixed = torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], dim=1)
    assert float(test(mixed)) > 5 * float(test(z))


def test_distances_in_float32_stand_a_mean_far_from_zero() -> None:
    z = sample(64, 4)
    far = BHEP()((z + 1000).float()) - 64 * 3**-2.0
    near = float(BHEP()(z + 1000)) - 64 * 3**-2.0
    assert float(far) == pytest.approx(near, rel=1e-3)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_sliced_is_the_mean_over_the_directions_of_the_step(name: str) -> None:
    z, test = sample(30, 4), UNIVARIATE[name]()
    sliced = Sliced(test, directions=axes_then_diagonal)
    torch.testing.assert_close(sliced(z, step=0), torch.stack([test(z[:, [i]])[0] for i in range(4)]).mean())
    torch.testing.assert_close(sliced(z, step=1), test(z.sum(1, keepdim=True) / 2)[0])


def test_sliced_has_the_floor_of_its_test() -> None:
    assert Sliced(UNIVARIATE["watson"](), directions=axes_then_diagonal).floor == pytest.approx(1 / 12)
    assert Sliced(UNIVARIATE["vasicek"](), directions=axes_then_diagonal).floor is None


@pytest.mark.parametrize(
    "regulariser", [Sliced(UNIVARIATE["anderson-darling"](), directions=axes_then_diagonal), HenzeZirkler()]
)
def test_it_stands_where_sigreg_does_in_the_loss(regulariser) -> None:
    z = torch.stack([sample(30, 4), sample(30, 4) * 2])
    terms = LeJEPALoss(0.25, sigreg=regulariser)(z, views_global=1, step=0)
    torch.testing.assert_close(terms.sigreg, (regulariser(z[0], step=0) + regulariser(z[1], step=0)) / 2)
    torch.testing.assert_close(terms.total, 0.75 * terms.prediction + 0.25 * terms.sigreg)
