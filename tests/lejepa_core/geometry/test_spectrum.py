"""RankMe, α-ReQ and spectra of clouds that were made to have a known spectrum."""

import math

import numpy as np
import pytest
import torch

from lejepa_core.geometry import alpha_req, covariance_spectrum, effective_rank, rankme


def cloud(values: list[float], samples: int = 64, *, centred: bool = False) -> torch.Tensor:
    """Samples with exactly these singular values."""
    noise = torch.randn(samples, len(values), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(noise - noise.mean(0) if centred else noise, full_matrices=False)
    return u @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ v


def power_law(alpha: float, count: int) -> torch.Tensor:
    return torch.arange(1, count + 1, dtype=torch.float64) ** -alpha


@pytest.mark.parametrize("values", [[1.0] * 8, [5.0, 3, 2], [3.0, 3, 0, 0], [1.0, 1e-3, 1e-6]])
def test_rankme_is_the_papers_formula_of_the_singular_values(values: list[float]) -> None:
    shares = np.array(values) / sum(values) + 1e-7
    assert rankme(cloud(values)) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-9)


def test_rankme_of_equal_singular_values_is_their_number_at_any_scale() -> None:
    for scale in (1e-6, 1.0, 1e6):
        assert rankme(cloud([scale] * 8)) == pytest.approx(8, abs=1e-4)


def test_rankme_sees_the_mean_where_the_effective_rank_of_the_cloud_does_not() -> None:
    z = cloud([1.0] * 4, centred=True)
    shifted = z + 1000
    assert effective_rank(shifted - shifted.mean(0)) == pytest.approx(4, abs=1e-6)
    assert rankme(shifted) < 1.1


def test_rankme_of_nothing_is_one() -> None:
    assert rankme(torch.zeros(9, 4)) == 1


def test_the_spectrum_is_that_of_numpys_covariance() -> None:
    z = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([4, 3, 2, 1, 0.5, 0]) + 3
    expected = np.linalg.eigvalsh(np.cov(z.T))[::-1]
    assert covariance_spectrum(torch.from_numpy(z)).numpy() == pytest.approx(expected, abs=1e-12)


def test_a_spectrum_of_known_singular_values() -> None:
    z = cloud([6.0, 3, 1], samples=10, centred=True)
    assert covariance_spectrum(z).tolist() == pytest.approx([36 / 9, 9 / 9, 1 / 9])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.5])
def test_alpha_of_a_power_law_is_its_exponent(alpha: float) -> None:
    assert alpha_req(power_law(alpha, 512)) == pytest.approx(alpha, abs=1e-9)


def test_only_ranks_4_to_100_are_fitted() -> None:
    spectrum = power_law(1.5, 300)
    spectrum[:3] *= 50
    spectrum[100:] *= 1e-3
    assert alpha_req(spectrum) == pytest.approx(1.5, abs=1e-9)


def test_alpha_is_numpys_weighted_fit() -> None:
    spectrum = np.sort(np.random.default_rng(1).lognormal(size=60))[::-1].copy()
    ranks = np.arange(4, 61)
    # numpy's weights multiply residuals, not their squares.
    slope = np.polyfit(np.log(ranks), np.log(spectrum[3:]), 1, w=ranks**-0.5)[0]
    assert alpha_req(torch.from_numpy(spectrum)) == pytest.approx(-slope, rel=1e-9)


@pytest.mark.parametrize("rest", [0.0, 1e-17])
def test_eigenvalues_that_are_rounding_do_not_tilt_the_slope(rest: float) -> None:
    spectrum = torch.cat([power_law(1.2, 40), torch.full((60,), rest, dtype=torch.float64)])
    assert alpha_req(spectrum) == pytest.approx(1.2, abs=1e-9)


def test_a_short_spectrum_is_fitted_from_the_first_rank_and_one_of_two_not_at_all() -> None:
    assert alpha_req(power_law(0.7, 4)) == pytest.approx(0.7, abs=1e-9)
    assert math.isnan(alpha_req(power_law(0.7, 2)))
    assert math.isnan(alpha_req(torch.zeros(8)))
