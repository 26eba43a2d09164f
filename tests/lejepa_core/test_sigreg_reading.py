"""SIGReg against its own scale."""

import math

import pytest
import torch

from lejepa_core import SIGReg
from lejepa_core.reading import sigreg_reading


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
