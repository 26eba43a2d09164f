"""The normality tests against scipy, closed forms and their expected values."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from lejepa_core import normality
from lejepa_core.errors import SettingError
from lejepa_core.normality import UNIVARIATE


def sample(n: int, *, seed: int = 0, columns: int = 3) -> torch.Tensor:
    """Columns that are not quite standard normal, one of them skewed."""
    x = torch.randn(n, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 1.3 + 0.2
    return torch.cat([x[:, :-1], x[:, -1:].exp()], dim=1)


def by_column(x: torch.Tensor, oracle: Callable[[np.ndarray], float]) -> torch.Tensor:
    return torch.tensor([oracle(column) for column in x.T.numpy()], dtype=torch.float64)


def anchor(x: np.ndarray) -> float:
    return len(x) * (x.mean() ** 2 + (x.std() - 1) ** 2)


def anderson_darling(x: np.ndarray) -> float:
    x, n = np.sort(x), len(x)
    odd = 2 * np.arange(1, n + 1) - 1
    return -n - (odd * (stats.norm.logcdf(x) + stats.norm.logsf(x[::-1]))).sum() / n


def watson(x: np.ndarray) -> float:
    omega = stats.cramervonmises(x, "norm").statistic
    return omega - len(x) * (stats.norm.cdf(x).mean() - 0.5) ** 2


def shapiro_francia(x: np.ndarray) -> float:
    n = len(x)
    scores = stats.norm.ppf((np.arange(1, n + 1) - 3 / 8) / (n + 1 / 4))
    return n * (1 - np.corrcoef(np.sort(x), scores)[0, 1] ** 2)


def extended_jarque_bera(x: np.ndarray) -> float:
    return len(x) * (x.mean() ** 2 + (x.var() - 1) ** 2 / 2) + stats.jarque_bera(x).statistic


def moments(x: np.ndarray) -> float:
    normal = [float(stats.norm.moment(k)) for k in range(9)]
    gaps = [((x**k).mean() - normal[k]) ** 2 / (normal[2 * k] - normal[k] ** 2) for k in range(1, 5)]
    return len(x) * sum(gaps)


def vasicek(x: np.ndarray) -> float:
    cross_entropy = -stats.norm.logpdf(x).mean()
    return len(x) * (cross_entropy - stats.differential_entropy(x, method="vasicek"))


ORACLES: dict[str, Callable[[np.ndarray], float]] = {
    "anderson-darling": anderson_darling,
    "cramer-von-mises": lambda x: stats.cramervonmises(x, "norm").statistic,
    "watson": watson,
    "shapiro-francia": lambda x: shapiro_francia(x) + anchor(x),
    "shapiro-wilk": lambda x: len(x) * (1 - stats.shapiro(x).statistic) + anchor(x),
    "jarque-bera": lambda x: stats.jarque_bera(x).statistic + anchor(x),
    "extended-jarque-bera": extended_jarque_bera,
    "vcreg": anchor,
    "moments": moments,
    "vasicek": vasicek,
}


def test_every_univariate_test_has_an_oracle() -> None:
    assert ORACLES.keys() == UNIVARIATE.keys()


@pytest.mark.parametrize("n", [8, 101, 1000])
@pytest.mark.parametrize("name", UNIVARIATE)
def test_value_equals_the_oracle(name: str, n: int) -> None:
    x = sample(n)
    # Two codes of AS R94 differ by about 1e-8 of 1 - W.
    rtol = 1e-6 if name == "shapiro-wilk" else 1e-9
    torch.testing.assert_close(UNIVARIATE[name]()(x), by_column(x, ORACLES[name]), rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 12, 500, 4999])
def test_shapiro_wilk_equals_scipy_at_every_branch_of_the_weights(n: int) -> None:
    x = sample(n, seed=n)
    value = normality.ShapiroWilk(anchored=False)(x) / n
    torch.testing.assert_close(value, by_column(x, lambda c: 1 - stats.shapiro(c).statistic), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("test", [normality.ShapiroFrancia, normality.ShapiroWilk])
@pytest.mark.parametrize("n", [3, 5, 6, 50])
def test_weights_are_a_unit_vector_without_a_mean(test: type, n: int) -> None:
    weights = test.weights(n)
    assert np.sum(weights**2) == pytest.approx(1, abs=1e-12)
    assert np.sum(weights) == pytest.approx(0, abs=1e-12)


def test_anderson_darling_equals_scipys_goodness_of_fit() -> None:
    x = sample(60)[:, 0]
    known = {"loc": 0.0, "scale": 1.0}
    fit = stats.goodness_of_fit(stats.norm, x.numpy(), known_params=known, statistic="ad", n_mc_samples=1)
    assert float(normality.AndersonDarling()(x[:, None])) == pytest.approx(fit.statistic, rel=1e-9)


def test_anderson_darling_in_float32_keeps_its_digits_in_a_large_sample() -> None:
    x = torch.randn(20000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert float(normality.AndersonDarling()(x.float())) == pytest.approx(
        float(normality.AndersonDarling()(x)), abs=2e-3
    )


@pytest.mark.parametrize(
    ("test", "oracle"),
    [
        (normality.ShapiroFrancia, shapiro_francia),
        (normality.ShapiroWilk, lambda x: len(x) * (1 - stats.shapiro(x).statistic)),
        (normality.JarqueBera, lambda x: stats.jarque_bera(x).statistic),
    ],
)
def test_without_the_anchor_the_textbook_value_ignores_shift_and_scale(test: type, oracle) -> None:
    x = sample(100)
    value = test(anchored=False)(7 * x - 30)
    torch.testing.assert_close(value, by_column(x, oracle), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("window", [1, 5, 49])
def test_vasicek_takes_the_same_windows_as_scipy(window: int) -> None:
    x = sample(100)
    entropy = by_column(x, lambda c: stats.differential_entropy(c, window_length=window, method="vasicek"))
    cross_entropy = by_column(x, lambda c: -stats.norm.logpdf(c).mean())
    value = normality.Vasicek(window=window)(x)
    torch.testing.assert_close(value, 100 * (cross_entropy - entropy), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("highest", [2, 6])
def test_moments_up_to_another_order(highest: int) -> None:
    x = sample(100)[:, :1]
    normal = [float(stats.norm.moment(k)) for k in range(2 * highest + 1)]
    gaps = [((x**k).mean() - normal[k]) ** 2 / (normal[2 * k] - normal[k] ** 2) for k in range(1, highest + 1)]
    assert float(normality.Moments(highest=highest)(x)) == pytest.approx(100 * float(sum(gaps)), rel=1e-9)


@pytest.mark.parametrize("n", [16, 256])
@pytest.mark.parametrize("name", ["anderson-darling", "cramer-von-mises", "watson", "moments"])
def test_mean_at_the_standard_normal_is_the_floor_for_every_n(name: str, n: int) -> None:
    assert_mean_is_floor(UNIVARIATE[name](), n, slack=0)


@pytest.mark.parametrize("test", [
    normality.VCReg(), normality.JarqueBera(), normality.JarqueBera(anchored=False), normality.ExtendedJarqueBera()
])  # fmt: skip
def test_mean_at_the_standard_normal_tends_to_the_floor(test: normality.UnivariateTest) -> None:
    assert_mean_is_floor(test, 2000, slack=0.01)


def assert_mean_is_floor(test: normality.UnivariateTest, n: int, slack: float) -> None:
    draws = test(torch.randn(n, 1_000_000 // n, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    assert test.floor is not None
    assert abs(float(draws.mean()) - test.floor) < 4 * float(draws.std()) / math.sqrt(len(draws)) + slack


@pytest.mark.parametrize("n", [32, 128, 512])
def test_the_floor_of_vasicek_is_as_its_docstring_says(n: int) -> None:
    draws = normality.Vasicek()(torch.randn(n, 2000, generator=torch.Generator().manual_seed(3)))
    assert 7 < float(draws.mean()) < 11


@pytest.mark.parametrize(
    "build",
    [
        lambda: normality.Vasicek(window=0),
        lambda: normality.Moments(highest=1),
        lambda: normality.BHEP(beta=0.0),
        lambda: normality.BHEP(beta=math.inf),
    ],
)
def test_settings_out_of_range_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(SettingError, match="was wanted"):
        build()


def test_a_window_too_wide_for_the_sample_is_refused() -> None:
    with pytest.raises(SettingError, match="8 samples over all ranks came, Vasicek needs at least 9"):
        normality.Vasicek(window=4)(torch.zeros(8, 1))
