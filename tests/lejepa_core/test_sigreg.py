"""SIGReg's scale, its directions and its options."""

# N samples, D dims, S slices
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.sigreg import Kernel, SIGReg

KERNELS = pytest.mark.parametrize("kernel", ["native", "eager"])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("kernel", "samples"), [("native", 64), ("eager", 64), ("native", 4096)])
def test_mean_at_the_standard_normal_is_the_floor_whatever_the_batch(kernel: Kernel, samples: int) -> None:
    sigreg, generator = SIGReg(kernel=kernel), torch.Generator().manual_seed(4)
    with torch.no_grad():
        draws = torch.stack([sigreg(torch.randn(samples, 64, generator=generator), step=i) for i in range(200)])
    mean, error = float(draws.mean()), float(draws.std()) / math.sqrt(len(draws))
    assert sigreg.floor == pytest.approx(1.0525, abs=1e-4)
    assert abs(mean - sigreg.floor) < 0.02, f"{mean:.4f} ± {error:.4f}"


def test_both_kernels_give_the_same_at_a_large_batch() -> None:
    # 200 draws of the slower kernel would take a minute: it is held to the faster one on two of them.
    generator = torch.Generator().manual_seed(4)
    for step in range(2):
        z = torch.randn(4096, 64, generator=generator)
        native, eager = (float(SIGReg(kernel=kernel)(z, step=step)) for kernel in ("native", "eager"))
        assert eager == pytest.approx(native, rel=1e-6)


@KERNELS
def test_collapse_gives_the_ceiling(kernel: Kernel) -> None:
    sigreg = SIGReg(slices=8, kernel=kernel)
    assert float(sigreg(torch.zeros(256, 16), step=0)) == pytest.approx(sigreg.ceiling(256), rel=1e-5)
    assert sigreg.ceiling(256) == pytest.approx(0.402 * 256, rel=1e-3)


@KERNELS
def test_leading_dims_are_batches_of_their_own(kernel: Kernel) -> None:
    z, sigreg = normal(2, 3, 20, 5), SIGReg(slices=8, kernel=kernel)
    apart = torch.stack([torch.stack([sigreg(z[i, j], step=0) for j in range(3)]) for i in range(2)])
    torch.testing.assert_close(sigreg(z, step=0), apart, rtol=1e-6, atol=0)


def test_directions_follow_from_seed_and_step_alone() -> None:
    like = torch.zeros(1, 4)
    first = SIGReg(slices=6, seed=1).directions(4, 2, like)
    torch.rand(7)
    assert torch.equal(first, SIGReg(slices=6, seed=1).directions(4, 2, like))
    assert not torch.equal(first, SIGReg(slices=6, seed=1).directions(4, 3, like))
    assert not torch.equal(first, SIGReg(slices=6, seed=2).directions(4, 2, like))
    torch.testing.assert_close(first.norm(dim=0), torch.ones(6))


@KERNELS
@pytest.mark.parametrize(
    "option",
    [{"slices": 31}, {"knots": 6}, {"t_max": 3.1}, {"seed": 1}, {"sampler": "orthogonal"}, {"sampler": "sobol"}],
)
def test_each_option_changes_the_value(kernel: Kernel, option: dict[str, Any]) -> None:
    z, options = normal(60, 5), {"slices": 32, "kernel": kernel}
    usual, other = (float(SIGReg(**settings)(z, step=2)) for settings in (options, {**options, **option}))
    assert abs(other - usual) > 1e-4 * usual


@KERNELS
def test_the_step_changes_the_value(kernel: Kernel) -> None:
    z, sigreg = normal(60, 5), SIGReg(slices=32, kernel=kernel)
    assert abs(float(sigreg(z, step=2) - sigreg(z, step=3))) > 1e-4


@KERNELS
@pytest.mark.parametrize("sampler", ["gaussian", "orthogonal", "sobol"])
def test_seed_and_step_give_the_same_bits_again(kernel: Kernel, sampler: Any) -> None:
    z = normal(60, 5)
    first = SIGReg(slices=32, sampler=sampler, seed=7, kernel=kernel)(z, step=2)
    torch.rand(7)
    assert torch.equal(first, SIGReg(slices=32, sampler=sampler, seed=7, kernel=kernel)(z, step=2))


def test_the_kernel_asked_for_is_the_one_that_works() -> None:
    z = torch.zeros(2, 2)
    assert [SIGReg(kernel=kernel).kernel_for(z) for kernel in ("native", "eager")] == ["native", "eager"]
    assert SIGReg(kernel="native").kernel_for(z.double()) == "eager"


@pytest.mark.parametrize("settings", [{"slices": 0}, {"knots": 1}, {"t_max": 0.0}, {"t_max": math.inf}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="wanted"):
        SIGReg(**settings)


@pytest.mark.parametrize("settings", [{"sampler": "sobel"}, {"kernel": "nativ"}])
def test_unknown_names_are_refused_with_the_closest_that_exist(settings: dict[str, Any]) -> None:
    (kind, name), closest = next(iter(settings.items())), {"sampler": "sobol", "kernel": "native"}
    with pytest.raises(UnknownNameError, match=f"^unknown {kind} '{name}'; closest: {closest[kind]}[^\n]*$"):
        SIGReg(**settings)
