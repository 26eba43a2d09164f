"""SIGReg under what a training script may have set up around it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lejepa_core import LeJEPALoss, SIGReg
from lejepa_core.errors import SettingError
from lejepa_core.sigreg import Kernel

ROOT = Path(__file__).parents[2]
KERNELS = pytest.mark.parametrize("kernel", ["native", "eager"])


@KERNELS
@pytest.mark.parametrize(
    "setting",
    [
        "torch.set_default_dtype(torch.bfloat16)",
        "torch.set_default_dtype(torch.float64)",
        "torch.set_default_device('meta')",
    ],
)
def test_defaults_of_torch_change_nothing(kernel: Kernel, setting: str) -> None:
    script = f"""
import torch
from lejepa_core import SIGReg
z = torch.randn(70, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float32).requires_grad_()
expected = SIGReg(slices=4096, kernel={kernel!r})(z, step=3)
{setting}
sigreg = SIGReg(slices=4096, kernel={kernel!r})
value = sigreg(z, step=3)
value.backward()
assert value.item() == expected.item() and z.grad.dtype == torch.float32, (value, expected)
"""
    # In a process of its own: what goes wrong here goes wrong in memory.
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_module_built_without_data_works_with_data() -> None:
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    with torch.device("meta"):
        built = SIGReg(slices=8)
    assert torch.equal(built(z, step=0), SIGReg(slices=8)(z, step=0))


@KERNELS
def test_one_dim_has_a_direction_at_every_step(kernel: Kernel) -> None:
    sigreg = SIGReg(slices=2**14, kernel=kernel)
    # Among 2^20 draws of 24 bits a zero is likely; seed 0 had one at this step.
    for step in range(10_094 // 16 - 30, 10_094 // 16 + 34):
        directions = sigreg.directions(1, step, torch.zeros(1))
        torch.testing.assert_close(directions.abs(), torch.ones_like(directions))


def test_half_precision_is_for_the_kernel_of_float32() -> None:
    sigreg = SIGReg(slices=8)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert sigreg.kernel_for(torch.empty(1, dtype=dtype)) == "native"
    assert sigreg.kernel_for(torch.empty(1, dtype=torch.float64)) == "eager"


@KERNELS
def test_no_batches_give_no_values(kernel: Kernel) -> None:
    z = torch.empty(0, 5, 3, requires_grad=True)
    value = SIGReg(slices=8, kernel=kernel)(z, step=0)
    value.sum().backward()
    assert value.shape == (0,)


@pytest.mark.parametrize("step", [5.0, torch.tensor(5.0), "5"])
def test_a_step_that_is_no_whole_number_is_refused_in_one_line(step: object) -> None:
    with pytest.raises(SettingError, match="an integer or an integer tensor was wanted"):
        SIGReg(slices=4)(torch.zeros(4, 2), step=step)  # type: ignore[arg-type]


def test_more_knots_than_native_kernels_take_are_refused_by_number() -> None:
    with pytest.raises(SettingError, match="66 knots came, it takes at most 65"):
        SIGReg(kernel="native", knots=66)


def test_settings_cannot_be_changed_under_a_module() -> None:
    with pytest.raises(AttributeError):
        SIGReg().slices = 5  # type: ignore[misc]


@KERNELS
def test_threads_change_no_more_than_the_rounding_of_products(kernel: Kernel) -> None:
    z = torch.randn(3, 500, 40, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            leaf = z.clone().requires_grad_()
            value = SIGReg(slices=200, kernel=kernel)(leaf, step=0)
            value.sum().backward()
            assert leaf.grad is not None
            found.append((value.detach(), leaf.grad))
    finally:
        torch.set_num_threads(before)
    # torch's matrix products round differently with another number of threads; test_kernels holds ours to the bit.
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


def test_without_gradients_the_loss_needs_none() -> None:
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.no_grad():
        terms = LeJEPALoss(0.1)(z[None], views_global=1, step=0)
    assert not terms.total.requires_grad
