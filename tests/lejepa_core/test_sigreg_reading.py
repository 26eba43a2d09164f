"""SIGReg against its own scale, and where it meets odd input."""

import math

import pytest
import torch

from lejepa_core import SIGReg
from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.sigreg import sigreg_reading


def test_a_gaussian_reads_near_zero_and_a_collapse_reads_one() -> None:
    sigreg, generator = SIGReg(slices=256), torch.Generator().manual_seed(0)
    gaussian = float(sigreg(torch.randn(20, 256, 32, generator=generator), step=0).mean())
    collapsed = float(sigreg(torch.zeros(256, 32), step=0))
    assert sigreg_reading(gaussian, samples=256).share == pytest.approx(0, abs=1e-3)
    assert sigreg_reading(collapsed, samples=256).share == pytest.approx(1, rel=1e-5)
    assert sigreg_reading(collapsed, samples=256).ceiling == pytest.approx(102.9, abs=0.05)


def test_no_gradient_is_longer_than_the_bound() -> None:
    generator = torch.Generator().manual_seed(0)
    bound = sigreg_reading(1.0, samples=64).gradient_bound
    longest = 0.0
    for scale in (0.01, 0.1, 0.3, 1, 1.5, 3, 10, 100):
        for shift in (0.0, 1.0, 3.0):
            z = (scale * torch.randn(64, 1, generator=generator) + shift).requires_grad_()
            SIGReg(slices=4)(z, step=0).backward()
            assert z.grad is not None
            longest = max(longest, float(z.grad.abs().max()))
    assert 0.5 * bound < longest <= bound


def test_a_wide_fine_quadrature_has_the_floor_of_the_integral() -> None:
    assert sigreg_reading(0.0, samples=9, knots=2001, t_max=20.0).floor == pytest.approx(
        math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3), rel=1e-6
    )


@pytest.mark.parametrize("kernel", ["native", "eager"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_gives_nan_and_no_exception(kernel: str, bad: float) -> None:
    z = torch.randn(2, 8, 3)
    z[0, 3, 1] = bad
    value = SIGReg(slices=4, kernel=kernel)(z, step=0)  # type: ignore[arg-type]
    assert value.isnan().tolist() == [True, False]


def test_one_sample_has_the_value_of_its_formula() -> None:
    sigreg, z = SIGReg(slices=6), torch.randn(1, 3, dtype=torch.float64)
    q, u = sigreg.quadrature, z @ sigreg.directions(3, 0, z)
    theta = u[0, :, None] * q.t_K
    expected = ((theta.cos() - q.phi_K).square() + theta.sin().square()) @ q.weight_K
    torch.testing.assert_close(sigreg(z, step=0), expected.mean())


@pytest.mark.parametrize("shape", [(3,), (0, 3), (4, 0)])
def test_shapes_without_a_distribution_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="wanted"):
        SIGReg(slices=4)(torch.zeros(shape), step=0)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown kernel 'cuda'"):
        SIGReg(kernel="cuda")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown sampler 'halton'"):
        SIGReg(sampler="halton")  # type: ignore[arg-type]


def test_a_compiled_model_around_it_has_the_same_gradient() -> None:
    layer, sigreg = torch.nn.Linear(5, 4), SIGReg(slices=16)
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    gradients = []
    for function in (
        lambda x: sigreg(layer(x), step=3),
        torch.compile(lambda x: sigreg(layer(x), step=3), backend="eager"),
    ):
        layer.zero_grad()
        function(x).backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_gradient_comes_back_in_the_dtype_of_the_input(dtype: torch.dtype) -> None:
    z = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    value = SIGReg(slices=8)(z, step=0)
    value.backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert z.grad is not None
    assert z.grad.dtype == dtype
