"""SIGReg's value and gradient against a closed form, and against its formula written out in float64."""

# N samples, D dims, S slices, K knots
import math

import pytest
import torch
from torch import Tensor

from lejepa_core.settings import Sampler
from lejepa_core.sigreg import Kernel, SIGReg

HOW = pytest.mark.parametrize(
    ("kernel", "dtype"),
    [("native", torch.float32), ("eager", torch.float32), ("eager", torch.float64)],
    ids=["native-float32", "eager-float32", "eager-float64"],
)
KERNELS = pytest.mark.parametrize("kernel", ["native", "eager"])
SHAPES = pytest.mark.parametrize("shape", [(1, 3), (2, 3), (2, 64), (15, 3), (17, 8), (64, 64), (333, 8), (1000, 16)])
SPREADS = pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.5, 0.7), (0.3, -1.5)])


def normal(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(math.prod(shape))) + shift


def plain_statistic(u_NS: Tensor, knots: int, t_max: float) -> Tensor:
    """The definition, knot by knot: N·2·trapezoid of |φ̂ - φ|²·φ over [0, t_max]."""
    t_K = torch.linspace(0, t_max, knots, dtype=u_NS.dtype)
    phi_K = torch.exp(-t_K.square() / 2)
    gaps = [
        ((u_NS * t).cos().mean(0) - phi).square() + (u_NS * t).sin().mean(0).square()
        for t, phi in zip(t_K, phi_K, strict=True)
    ]
    return 2 * len(u_NS) * torch.trapezoid(torch.stack(gaps, -1) * phi_K, t_K, dim=-1)


def plain(z_ND: Tensor, sigreg: SIGReg, step: int) -> tuple[float, Tensor]:
    """Value and gradient by the definition and autograd in float64, along the very directions that z's dtype gets."""
    exact_ND = z_ND.detach().double().requires_grad_()
    directions_DS = sigreg.directions(z_ND.shape[-1], step, z_ND).double()
    value = plain_statistic(exact_ND @ directions_DS, sigreg.knots, sigreg.t_max).mean()
    return value.item(), torch.autograd.grad(value, exact_ND)[0]


def ours(z_ND: Tensor, sigreg: SIGReg, step: int) -> tuple[float, Tensor]:
    leaf_ND = z_ND.detach().clone().requires_grad_()
    value = sigreg(leaf_ND, step=step)
    return value.item(), torch.autograd.grad(value, leaf_ND)[0].double()


def bhep(x_N: Tensor) -> float:
    """∫ |φ̂ - φ|² exp(-t²/2) dt / √(2π) of one-dimensional samples (Baringhaus & Henze 1988, β = 1)."""
    pairs = torch.exp(-(x_N[:, None] - x_N[None]).square() / 2).mean()
    single = torch.exp(-x_N.square() / 4).mean()
    return float(pairs - math.sqrt(2) * single + 1 / math.sqrt(3))


@HOW
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.7, 0.4), (0.3, 0.0), (5.0, 2.0)])
def test_one_dimension_with_many_knots_is_the_closed_form(
    kernel: Kernel, dtype: torch.dtype, scale: float, shift: float
) -> None:
    # 65 knots are the most that the compiled kernel takes; the trapezoid has converged long before.
    x = normal(200, 1, scale=scale, shift=shift).to(dtype)
    value = SIGReg(slices=3, knots=65, t_max=8.0, kernel=kernel)(x, step=0)
    assert float(value) == pytest.approx(math.sqrt(2 * math.pi) * 200 * bhep(x[:, 0].double()), rel=1e-5)


@HOW
@SHAPES
@SPREADS
def test_value_is_that_of_the_plain_formula(
    kernel: Kernel, dtype: torch.dtype, shape: tuple[int, int], scale: float, shift: float
) -> None:
    z, sigreg = normal(*shape, scale=scale, shift=shift).to(dtype), SIGReg(slices=64, kernel=kernel)
    assert ours(z, sigreg, 3)[0] == pytest.approx(plain(z, sigreg, 3)[0], rel=1e-6)


@HOW
@SHAPES
@SPREADS
def test_gradient_is_that_of_the_plain_formula(
    kernel: Kernel, dtype: torch.dtype, shape: tuple[int, int], scale: float, shift: float
) -> None:
    z, sigreg = normal(*shape, scale=scale, shift=shift).to(dtype), SIGReg(slices=64, kernel=kernel)
    expected = plain(z, sigreg, 3)[1]
    assert (ours(z, sigreg, 3)[1] - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize(("knots", "t_max"), [(17, 3.0), (5, 3.0), (41, 5.0)])
def test_in_float64_nothing_is_lost(knots: int, t_max: float) -> None:
    z, sigreg = normal(50, 7).double(), SIGReg(slices=12, knots=knots, t_max=t_max)
    (value, gradient), (expected, slope) = ours(z, sigreg, 3), plain(z, sigreg, 3)
    assert value == pytest.approx(expected, rel=1e-10)
    torch.testing.assert_close(gradient, slope, rtol=1e-9, atol=1e-12)


@HOW
@pytest.mark.parametrize("samples", [1, 2, 15, 333, 1000])
def test_value_keeps_its_digits_in_one_dimension(kernel: Kernel, dtype: torch.dtype, samples: int) -> None:
    # All slices are the same one here, so that no rounding averages out; one slice may lie far below the floor, as
    # a difference of nearly equal numbers, so that errors are relative to the floor there.
    sigreg = SIGReg(slices=2, kernel=kernel)
    for seed in range(12):
        z = torch.randn(samples, 1, generator=torch.Generator().manual_seed(seed)).to(dtype)
        value, expected = ours(z, sigreg, 3)[0], plain(z, sigreg, 3)[0]
        assert abs(value - expected) <= 1e-6 * max(expected, sigreg.floor)


@pytest.mark.parametrize("kernel", ["native", "eager", pytest.param("compiled", marks=pytest.mark.slow)])
def test_value_keeps_its_digits_in_a_large_batch(kernel: Kernel) -> None:
    z, sigreg = normal(2**16, 8), SIGReg(slices=16, kernel=kernel)
    assert ours(z, sigreg, 3)[0] == pytest.approx(plain(z, sigreg, 3)[0], rel=1e-6)


@pytest.mark.parametrize("kernel", ["native", "eager", "compiled"])
def test_gradient_keeps_its_digits_in_a_large_batch(kernel: Kernel) -> None:
    z, sigreg = normal(2**16, 8), SIGReg(slices=16, kernel=kernel)
    expected = plain(z, sigreg, 3)[1]
    assert (ours(z, sigreg, 3)[1] - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("sampler", ["gaussian", "orthogonal", "sobol"])
@pytest.mark.parametrize("shape", [(7, 4), (2, 9, 4), (2, 3, 5, 3)])
def test_gradcheck(sampler: Sampler, shape: tuple[int, ...]) -> None:
    z, sigreg = normal(*shape).double().requires_grad_(), SIGReg(slices=5, sampler=sampler)
    assert torch.autograd.gradcheck(lambda x: sigreg(x, step=1), (z,))
