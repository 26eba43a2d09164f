"""What every normality test must do, whatever its formula: order distributions, stay finite, differentiate, descend."""

from collections.abc import Callable

import pytest
import torch

from lejepa_core.errors import SettingError
from lejepa_core.normality import MULTIVARIATE, UNIVARIATE, HenzeZirkler, JarqueBera, MultivariateTest, UnivariateTest

FAMILY: dict[str, Callable[[], UnivariateTest | MultivariateTest]] = {**UNIVARIATE, **MULTIVARIATE}
BOUNDED = {"watson", "bhep", "henze-zirkler"}
"""Far points have no gradient here: a few of them stay where they are."""

every_test = pytest.mark.parametrize("name", FAMILY)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def quantiles(n: int) -> torch.Tensor:
    """The sample that looks most like N(0, 1)."""
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]


def value_and_gradient(name: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    value = FAMILY[name]()(x).sum()
    return value.detach(), torch.autograd.grad(value, x)[0]


@every_test
def test_it_grows_with_a_shift(name: str) -> None:
    values = [float(FAMILY[name]()(quantiles(256) + shift)) for shift in (0, 0.25, 0.5, 1, 2, 4)]
    assert values == sorted(set(values))


@every_test
@pytest.mark.parametrize("scales", [(1, 1.5, 2, 4), (1, 0.7, 0.4, 0.2)])
def test_it_grows_with_a_change_of_scale(name: str, scales: tuple[float, ...]) -> None:
    values = [float(FAMILY[name]()(quantiles(256) * scale)) for scale in scales]
    assert values == sorted(set(values))


@every_test
@pytest.mark.parametrize("law", ["uniform", "exponential", "two bumps"])
def test_another_law_scores_above_the_standard_normal(name: str, law: str) -> None:
    uniform = torch.rand(100, 256, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise = draw(100, 256, 1, seed=2)
    standardised = {
        "uniform": (uniform - 0.5) * 12**0.5,
        "exponential": -uniform.log() - 1,
        "two bumps": 0.9 * (uniform - 0.5).sign() + 0.19**0.5 * noise,
    }
    # Mean 0 and variance 1 are all that VCReg sees: it gets the same laws with twice the standard deviation.
    other = standardised[law] * (2 if name == "vcreg" else 1)
    test = FAMILY[name]()
    assert float(test(other).mean()) > 1.2 * float(test(draw(100, 256, 1)).mean())


@every_test
@pytest.mark.parametrize(
    "points",
    [
        [0.3, -1.2, 0.8, 2.1, -0.4, 0.1, -0.9, 1.5],
        [0.0, 0.0, 1.0, 1.0, -1.0, -1.0, 2.0, 2.0],
        [-40.0, 40.0, 0.0, 1.0, 2.0, 3.0, -1.0, -2.0],
        [0.1] * 8,
        [7.0] * 64,
    ],
    ids=["few", "ties", "tails", "constant", "far constant"],
)
def test_value_and_gradient_are_finite(name: str, points: list[float]) -> None:
    value, gradient = value_and_gradient(name, torch.tensor(points)[:, None])
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_test
def test_total_collapse_scores_like_the_number_of_samples(name: str) -> None:
    few, many = (float(FAMILY[name]()(torch.zeros(n, 1))) for n in (500, 2000))
    assert 3.5 < many / few < 5
    assert many > 2000 / 13


@every_test
def test_gradcheck(name: str) -> None:
    x = draw(2, 7, 2).requires_grad_()
    assert torch.autograd.gradcheck(FAMILY[name](), (x,))


def test_gradcheck_of_the_textbook_forms() -> None:
    x = draw(2, 7, 2).requires_grad_()
    assert torch.autograd.gradcheck(JarqueBera(anchored=False), (x,))
    assert torch.autograd.gradcheck(HenzeZirkler(standardize=True), (x,))


@every_test
def test_leading_dims_are_batches_of_their_own(name: str) -> None:
    x, test = draw(2, 3, 20, 4), FAMILY[name]()
    apart = torch.stack([torch.stack([test(x[i, j]) for j in range(3)]) for i in range(2)])
    torch.testing.assert_close(test(x), apart)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_columns_do_not_know_each_other(name: str) -> None:
    x, test = draw(20, 4), UNIVARIATE[name]()
    torch.testing.assert_close(test(x), torch.cat([test(x[:, [i]]) for i in range(4)]))


@every_test
def test_the_order_of_samples_does_not_matter(name: str) -> None:
    x, test = draw(30, 3), FAMILY[name]()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(test(x[order]), test(x))


@every_test
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_it_computes_in_float32_whatever_the_autocast(name: str, dtype: torch.dtype) -> None:
    x, test = draw(64, 3).to(dtype), FAMILY[name]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = test(x)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, test(x.double()).float(), rtol=1e-4, atol=1e-4)


@every_test
def test_float64_stays(name: str) -> None:
    assert FAMILY[name]()(draw(16, 3)).dtype == torch.float64


@every_test
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_gives_nan_where_it_stands(name: str, poison: float) -> None:
    x = draw(2, 16, 1)
    x[1, 3] = poison
    value = FAMILY[name]()(x).flatten()
    assert value[0].isfinite()
    assert value[1].isnan()


@every_test
@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples_are_refused(name: str, n: int) -> None:
    with pytest.raises(SettingError, match=f"{n} samples over all ranks came"):
        FAMILY[name]()(torch.zeros(n, 3))


@every_test
def test_a_single_dim_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="was wanted"):
        FAMILY[name]()(torch.zeros(8))


@every_test
def test_the_host_reads_nothing_from_the_device(name: str) -> None:
    # A meta tensor has no data: whatever needs a value of it fails. Autocast does not know that device.
    x = torch.empty(2, 16, 3, device="meta", requires_grad=True)
    FAMILY[name]().statistic(x).sum().backward()
    assert x.grad is not None


def descended(name: str) -> tuple[torch.Tensor, float, float]:
    """128 points of two shifted bumps after descent, sorted; the statistic before and after it."""
    noise, test = draw(128, 1, seed=4), FAMILY[name]()
    x = torch.where(torch.arange(128)[:, None] < 48, 2.5 + 0.3 * noise, -0.5 + 0.5 * noise).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    before = test(x.detach()).item()
    for _ in range(200):
        optimizer.zero_grad()
        test(x).sum().backward()
        optimizer.step()
    points = x.detach()
    return points.sort(dim=0).values, before, test(points).item()


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in BOUNDED])
def test_descent_from_two_shifted_bumps_ends_at_mean_zero_and_variance_one(name: str) -> None:
    points, before, after = descended(name)
    assert after < before / 4
    assert abs(float(points.mean())) < 0.05
    assert abs(float(points.std()) - 1) < 0.1


@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_descent_of_a_bounded_test_makes_the_bulk_normal(name: str) -> None:
    points, before, after = descended(name)
    bulk = slice(16, -16)
    assert after < before / 4
    assert float((points - quantiles(128)).abs()[bulk].mean()) < 0.15
