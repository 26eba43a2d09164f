"""SIGReg under autocast: float32 inside, whatever the precision around it."""

# V views, N samples, D dims
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from lejepa_core.objective import LeJEPALoss
from lejepa_core.sigreg import Kernel, SIGReg

KERNELS = pytest.mark.parametrize("kernel", ["native", "eager"])
STEPS = 1000


class Training(NamedTuple):
    """What a tiny pretraining in bfloat16 met: every loss, and the statistic at each 100th step, computed thrice."""

    totals: Tensor
    """Of each step."""
    of_bfloat16: Tensor
    """Of the projections under autocast."""
    of_float32: Tensor
    """Of the projections that the same weights make without autocast."""
    in_float64: Tensor
    """Of the projections under autocast, computed in float64."""


@cache
def training(kernel: Kernel) -> Training:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
    sigreg, optimizer = SIGReg(slices=64, kernel=kernel), torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    loss, generator = LeJEPALoss(0.05, sigreg=sigreg), torch.Generator().manual_seed(0)
    data = torch.randn(256, 10, generator=generator)
    totals, readings = [], []
    for step in range(STEPS):
        batch = data[torch.randint(len(data), (64,), generator=generator)]
        views_VND = batch + 0.3 * torch.randn(2, 64, 10, generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            projections_VND = encoder(views_VND)
            total = loss(projections_VND, views_global=2, step=step).total
        totals.append(total.item())
        if step % 100 == 0:
            readings.append(read(sigreg, encoder, views_VND, projections_VND.detach(), step))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return Training(torch.tensor(totals), *torch.stack(readings, 1))


@torch.no_grad()
def read(sigreg: SIGReg, encoder: nn.Module, views_VND: Tensor, projections_VND: Tensor, step: int) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = sigreg(projections_VND, step=step)
    others = sigreg(encoder(views_VND), step=step), sigreg(projections_VND.double(), step=step)
    return torch.stack([under_autocast.double(), *(value.double() for value in others)])


@KERNELS
def test_a_layer_in_bfloat16_has_the_statistic_of_one_in_float32(kernel: Kernel) -> None:
    torch.manual_seed(0)
    layer, x, sigreg = nn.Linear(16, 8), torch.randn(2, 128, 16), SIGReg(slices=64, kernel=kernel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = layer(x)
        value = sigreg(z, step=0)
    assert (z.dtype, value.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(value, sigreg(layer(x), step=0), rtol=1e-2, atol=0)


@KERNELS
def test_a_training_in_bfloat16_never_leaves_the_numbers(kernel: Kernel) -> None:
    totals = training(kernel).totals
    assert len(totals) == STEPS
    assert totals.isfinite().all()
    assert totals[-100:].mean() < 0.5 * totals[0]


@KERNELS
def test_a_training_in_bfloat16_sees_the_statistic_of_its_weights_in_float32(kernel: Kernel) -> None:
    seen = training(kernel)
    torch.testing.assert_close(seen.of_bfloat16, seen.of_float32, rtol=1e-2, atol=0)


@KERNELS
def test_autocast_takes_nothing_from_the_statistic_of_bfloat16_projections(kernel: Kernel) -> None:
    seen = training(kernel)
    assert seen.in_float64.shape == (STEPS // 100, 2)
    torch.testing.assert_close(seen.of_bfloat16, seen.in_float64, rtol=1e-6, atol=0)
