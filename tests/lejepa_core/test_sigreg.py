"""SIGReg against closed forms, plain quadrature, autograd and real process groups."""

import math

import pytest
import torch
from ranks import run_on_ranks

from lejepa_core.errors import SettingError
from lejepa_core.sigreg import SIGReg


def plain_statistic(u: torch.Tensor, knots: int, t_max: float) -> torch.Tensor:
    """The definition, term by term: N·2·trapezoid of |φ̂ - φ|²·φ over [0, t_max]; u is (N, S)."""
    t = torch.linspace(0, t_max, knots, dtype=u.dtype)
    phi = torch.exp(-(t**2) / 2)
    angles = u[:, :, None] * t
    distance = (angles.cos().mean(0) - phi).square() + angles.sin().mean(0).square()
    return 2 * len(u) * torch.trapezoid(distance * phi, t, dim=-1)


def bhep(x: torch.Tensor) -> float:
    """∫ |φ̂ - φ|² exp(-t²/2) dt / √(2π) of one-dimensional samples (Baringhaus & Henze 1988, β = 1)."""
    pairs = torch.exp(-(x[:, None] - x[None]).square() / 2).mean()
    single = torch.exp(-x.square() / 4).mean()
    return float(pairs - math.sqrt(2) * single + 1 / math.sqrt(3))


def test_one_dimension_with_many_knots_is_the_closed_form() -> None:
    x = torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1.7 + 0.4
    value = SIGReg(slices=3, knots=601, t_max=12.0)(x, step=0)
    assert float(value) == pytest.approx(math.sqrt(2 * math.pi) * len(x) * bhep(x[:, 0]), rel=1e-5)


@pytest.mark.parametrize(("knots", "t_max"), [(17, 3.0), (5, 3.0), (41, 5.0)])
def test_value_and_gradient_equal_the_plain_formula(knots: int, t_max: float) -> None:
    z = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    sigreg = SIGReg(slices=12, knots=knots, t_max=t_max)
    value = sigreg(z, step=3)
    reference = plain_statistic(z @ sigreg.directions(7, 3, z), knots, t_max).mean()
    gradient, expected = torch.autograd.grad(value, z)[0], torch.autograd.grad(reference, z)[0]
    assert value.item() == pytest.approx(reference.item(), rel=1e-10)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_gradcheck() -> None:
    z = torch.randn(2, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: SIGReg(slices=5)(x, step=1), (z,))


def test_leading_dims_are_batches_of_their_own() -> None:
    z = torch.randn(2, 3, 20, 5, generator=torch.Generator().manual_seed(3))
    sigreg = SIGReg(slices=8)
    together = sigreg(z, step=0)
    apart = torch.stack([torch.stack([sigreg(z[i, j], step=0) for j in range(3)]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("samples", [64, 1024])
def test_mean_at_the_standard_normal_is_the_floor_whatever_the_batch(samples: int) -> None:
    sigreg = SIGReg(slices=64)
    generator = torch.Generator().manual_seed(4)
    draws = [float(sigreg(torch.randn(samples, 16, generator=generator), step=i)) for i in range(150)]
    mean = sum(draws) / len(draws)
    spread = torch.tensor(draws).std() / math.sqrt(len(draws))
    assert sigreg.floor == pytest.approx(1.0525, abs=1e-4)
    assert abs(mean - sigreg.floor) < 4 * spread + 1e-3


def test_collapse_gives_the_ceiling() -> None:
    sigreg = SIGReg(slices=8)
    assert float(sigreg(torch.zeros(256, 16), step=0)) == pytest.approx(sigreg.ceiling(256), rel=1e-5)
    assert sigreg.ceiling(256) == pytest.approx(0.402 * 256, rel=1e-3)


def test_directions_follow_from_seed_and_step_alone() -> None:
    like = torch.zeros(1, 4)
    first = SIGReg(slices=6, seed=1).directions(4, 2, like)
    torch.rand(7)
    assert torch.equal(first, SIGReg(slices=6, seed=1).directions(4, 2, like))
    assert not torch.equal(first, SIGReg(slices=6, seed=1).directions(4, 3, like))
    assert not torch.equal(first, SIGReg(slices=6, seed=2).directions(4, 2, like))
    torch.testing.assert_close(first.norm(dim=0), torch.ones(6))


def test_half_precision_input_is_computed_in_float32() -> None:
    z = torch.randn(128, 8, generator=torch.Generator().manual_seed(5))
    exact = SIGReg(slices=16)(z, step=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = SIGReg(slices=16)(z.bfloat16(), step=0)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(exact), rel=2e-2)


@pytest.mark.parametrize("settings", [{"slices": 0}, {"knots": 1}, {"t_max": 0.0}, {"t_max": math.inf}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="wanted"):
        SIGReg(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("counts", "built"), [("5,11", "after"), ("4,7,9", "before")])
def test_ranks_with_unequal_batches_give_the_loss_and_gradient_of_the_whole_batch(tmp_path, counts, built) -> None:
    whole = run_on_ranks("sigreg", 1, tmp_path, counts, built)[0]
    for part in run_on_ranks("sigreg", counts.count(",") + 1, tmp_path, counts, built):
        torch.testing.assert_close(part["terms"], whole["terms"], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(part["grad"], whole["grad"], rtol=1e-10, atol=1e-12)
