"""Effective rank and spread on clouds whose spectrum is known."""

import pytest
import torch

from lejepa_core.geometry import effective_rank, measure_geometry


def cloud(values: list[float], samples: int = 64) -> torch.Tensor:
    """Centred samples with exactly these singular values."""
    noise = torch.randn(samples, len(values), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(noise - noise.mean(0), full_matrices=False)
    return u @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ v


@pytest.mark.parametrize(("values", "rank"), [([1, 1, 1, 1], 4.0), ([5, 0, 0, 0], 1.0), ([3, 3, 0, 0], 2.0)])
def test_effective_rank_of_known_spectra(values: list[float], rank: float) -> None:
    assert effective_rank(cloud(values)) == pytest.approx(rank, abs=1e-6)


def test_effective_rank_is_the_exponential_of_the_entropy() -> None:
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    expected = float(torch.exp(torch.distributions.Categorical(shares).entropy()))
    assert effective_rank(cloud([5.0, 3.0, 2.0])) == pytest.approx(expected, rel=1e-9)


def test_spread_is_one_at_the_standard_normal_and_blind_to_the_mean() -> None:
    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(1)) + 7
    geometry = measure_geometry(z)
    assert geometry.spread == pytest.approx(1, abs=0.02)
    assert geometry.effective_rank == pytest.approx(8, abs=0.05)
    assert geometry.collapse == ""


def test_a_point_and_a_line_count_as_collapsed() -> None:
    z = torch.randn(500, 8, generator=torch.Generator().manual_seed(2))
    assert "spread" in measure_geometry(1e-3 * z).collapse
    assert "effective rank" in measure_geometry(z[:, :1] * torch.ones(8)).collapse
    assert "spread" in measure_geometry(torch.full((9, 4), float("nan")).nan_to_num()).collapse
