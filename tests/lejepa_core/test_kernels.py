"""Both ways to compute the statistic, against the plain formula in float64."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from lejepa_core.kernels import native, portable
from lejepa_core.kernels.quadrature import Quadrature

ROOT = Path(__file__).parents[2]
KERNELS = pytest.mark.parametrize("kernel", [native, portable])


def rows(samples: int, *, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(6, samples, generator=torch.Generator().manual_seed(samples))


def plain(u: Tensor, quadrature: Quadrature) -> tuple[Tensor, Tensor]:
    """Statistic and gradient from all cosines and sines at once."""
    u = u.double().requires_grad_()
    t_K, phi_K, weight_K = map(torch.from_numpy, (quadrature.t_K, quadrature.phi_K, quadrature.weight_K))
    angles = u[..., None] * t_K
    gap = (angles.cos().mean(1) - phi_K).square() + angles.sin().mean(1).square()
    value = u.shape[1] * gap @ weight_K
    return value.detach(), torch.autograd.grad(value.sum(), u)[0]


@KERNELS
@pytest.mark.parametrize("knots", [2, 3, 5, 6, 17, 18, 41])
@pytest.mark.parametrize("samples", [1, 15, 16, 17, 600])
def test_value_and_gradient_are_those_of_the_plain_formula(kernel: ModuleType, knots: int, samples: int) -> None:
    quadrature, u = Quadrature(knots, 3.0), rows(samples)
    value, slope = plain(u, quadrature)
    ours = u.clone()
    torch.testing.assert_close(kernel.statistic(ours, quadrature, 1.0, True).double(), value, rtol=1e-5, atol=1e-6)
    assert (ours - slope).norm() <= 1e-5 * slope.norm()


@KERNELS
def test_two_passes_give_what_one_gives(kernel: ModuleType) -> None:
    quadrature, u = Quadrature(17, 3.0), rows(333)
    once = u.clone()
    value = kernel.statistic(once, quadrature, 0.5, True)
    twice, coefficients = quadrature.finish(kernel.moments(u.clone(), quadrature), 333, 0.5)
    torch.testing.assert_close(twice, value, rtol=1e-5, atol=0)
    torch.testing.assert_close(kernel.gradient(u.clone(), coefficients, quadrature), once, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e3, 3e5, 1e8])
def test_large_angles_are_reduced_exactly(scale: float) -> None:
    quadrature, u = Quadrature(17, 3.0), rows(40, scale=scale)
    moments = native.moments(u, quadrature)
    # The angle itself is rounded to float32, so the comparison starts from it.
    angles = (u * quadrature.spacing).double()[..., None] * torch.arange(1, 17)
    torch.testing.assert_close(moments, torch.cat([angles.cos().sum(1), angles.sin().sum(1)], -1), rtol=0, atol=1e-3)


@KERNELS
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_spoils_its_row_alone(kernel: ModuleType, bad: float) -> None:
    u = rows(50)
    u[2, 7] = bad
    value = kernel.statistic(u, Quadrature(17, 3.0), 1.0, True)
    assert value.isnan().tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("dims", [1, 3, 16, 64, 65, 130])
def test_both_draw_the_same_directions(dims: int) -> None:
    theirs = portable.directions(37, dims, 12345678901234, 2**33 + 5, torch.zeros(1))
    ours = native.directions(Quadrature(17, 3.0), 37, dims, 12345678901234, 2**33 + 5)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_threads_do_not_change_a_bit() -> None:
    z = torch.randn(3, 500, 40, generator=torch.Generator().manual_seed(0))
    quadrature, before = Quadrature(17, 3.0), torch.get_num_threads()
    u = z.reshape(-1, 500).repeat(20, 1)
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            work = u.clone()
            results.append((native.statistic(work, quadrature, 1.0, True), work))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result, strict=True))


def test_without_a_compiler_the_eager_kernels_work(tmp_path: Path) -> None:
    script = (
        "import torch; from lejepa_core.sigreg import SIGReg; s = SIGReg(slices=8); z = torch.ones(4, 3);"
        "print(s.kernel_for(z), float(s(z, step=0)))"
    )
    outputs = []
    for path in (str(tmp_path), "/usr/bin:/bin"):
        environment = {"PATH": path, "LEJEPA_CACHE_DIR": str(tmp_path / "kernels")}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        outputs.append(done.stdout.split())
    assert [kernel for kernel, _ in outputs] == ["eager", "native"]
    assert float(outputs[0][1]) == pytest.approx(float(outputs[1][1]), rel=1e-5)
