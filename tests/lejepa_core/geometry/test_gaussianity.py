"""Statistics, quantiles and envelopes of slices against scipy, quadrature and the normal distribution itself."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from lejepa_core.geometry import quantiles, simulated_envelope, slice_statistics
from lejepa_core.geometry.gaussianity import KNOTS, LEVELS, T_MAX, fresh_slices
from lejepa_core.sigreg import SIGReg


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_slices_statistic_is_the_integral_by_scipys_trapezoids() -> None:
    u = 1.5 * normal(3, 40).numpy() + 0.2
    t = np.linspace(-T_MAX, T_MAX, 2 * KNOTS - 1)
    phi = np.exp(-(t**2) / 2)
    found = [np.exp(1j * np.outer(t, row)).mean(1) for row in u]
    expected = [40 * integrate.trapezoid(np.abs(cf - phi) ** 2 * phi, t) for cf in found]
    assert slice_statistics(torch.from_numpy(u)).numpy() == pytest.approx(np.array(expected), rel=1e-9)


def test_samples_at_one_point_have_the_ceiling() -> None:
    assert slice_statistics(torch.zeros(2, 100)).tolist() == pytest.approx([SIGReg().ceiling(100)] * 2, rel=1e-5)


def test_fresh_slices_are_unit_projections_that_do_not_depend_on_the_samples() -> None:
    z = torch.eye(6, dtype=torch.float64)
    directions = fresh_slices(z, 50)
    assert directions.norm(dim=1).tolist() == pytest.approx([1] * 50)
    assert torch.allclose(fresh_slices(normal(30, 6), 50), directions @ normal(30, 6).T)


def test_quantiles_are_numpys() -> None:
    u = normal(4, 57)
    assert quantiles(u).numpy() == pytest.approx(np.quantile(u.numpy(), LEVELS, axis=1).T)


@pytest.mark.parametrize("samples", [32, 256])
def test_five_percent_of_normal_samples_lie_outside_the_envelope(samples: int) -> None:
    outside = (slice_statistics(normal(4000, samples, seed=5)) > simulated_envelope(samples).statistic).double().mean()
    # Spread of both simulations: 5 standard deviations.
    assert float(outside) == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 * (1 / 4000 + 1 / 2000)))


def test_the_envelope_of_quantiles_is_that_of_order_statistics() -> None:
    samples = 39
    low, high = simulated_envelope(samples).quantiles[:, len(LEVELS) // 2].tolist()
    # Near the median the k-th order statistic is Φ⁻¹ of Beta(k, n + 1 - k).
    position = LEVELS[len(LEVELS) // 2] * (samples - 1) + 1
    ends = stats.norm.ppf(stats.beta(position, samples + 1 - position).ppf([0.025, 0.975]))
    assert [low, high] == pytest.approx(ends.tolist(), abs=0.06)


def test_clouds_of_another_shape_lie_outside() -> None:
    limit = simulated_envelope(256).statistic
    for u in (2 * normal(200, 256), normal(200, 256) + 1, normal(200, 256).sign()):
        assert float((slice_statistics(u) > limit).double().mean()) > 0.99
