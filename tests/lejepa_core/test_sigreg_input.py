"""What SIGReg takes: odd numbers of samples, what is no number, other dtypes and layouts, no gradient."""

# V views, N samples, D dims
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.sigreg import Kernel, SIGReg

KERNELS = pytest.mark.parametrize("kernel", ["native", "eager"])


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(math.prod(shape)))


def value_and_gradient(z: Tensor, sigreg: SIGReg) -> tuple[Tensor, Tensor]:
    leaf = z.detach().requires_grad_()
    value = sigreg(leaf, step=1)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


@KERNELS
@pytest.mark.parametrize(
    "z",
    [torch.zeros(0, 3), torch.zeros(2, 0, 3), torch.zeros(3), torch.zeros(()), torch.zeros(4, 0),
     torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, 3, dtype=torch.bool)],
    ids=lambda z: f"{tuple(z.shape)}-{z.dtype}",
)  # fmt: skip
def test_what_is_no_sample_is_refused_in_one_line(kernel: Kernel, z: Tensor) -> None:
    with pytest.raises(SettingError) as caught:
        SIGReg(slices=4, kernel=kernel)(z, step=0)
    message = str(caught.value)
    assert str(tuple(z.shape)) in message
    assert "wanted" in message
    assert "\n" not in message


@KERNELS
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_spoils_its_leading_index_alone(kernel: Kernel, bad: float) -> None:
    sigreg, z = SIGReg(slices=8, kernel=kernel), normal(2, 3, 20, 4)
    spoilt = z.clone()
    spoilt[1, 0, 7, 2] = bad
    hit = torch.zeros(2, 3, dtype=torch.bool)
    hit[1, 0] = True
    (value, gradient), (good, slope) = value_and_gradient(spoilt, sigreg), value_and_gradient(z, sigreg)
    assert torch.equal(value.isnan(), hit)
    torch.testing.assert_close(value[~hit], good[~hit])
    torch.testing.assert_close(gradient[~hit], slope[~hit])


@KERNELS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_value_in_float32(kernel: Kernel, dtype: torch.dtype) -> None:
    z, sigreg = normal(2, 100, 8).to(dtype), SIGReg(slices=32, kernel=kernel)
    value = sigreg(z, step=1)
    assert value.dtype == torch.float32
    assert torch.equal(value, sigreg(z.float(), step=1))


@KERNELS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gets_its_gradient_back_in_its_own_dtype(kernel: Kernel, dtype: torch.dtype) -> None:
    z, sigreg = normal(2, 100, 8).to(dtype), SIGReg(slices=32, kernel=kernel)
    gradient, expected = value_and_gradient(z, sigreg)[1], value_and_gradient(z.float(), sigreg)[1]
    assert gradient.dtype == dtype
    assert (gradient - expected).norm() <= 1e-2 * expected.norm()


@KERNELS
def test_without_gradient_the_value_is_the_same(kernel: Kernel) -> None:
    z, sigreg = normal(2, 33, 5), SIGReg(slices=16, kernel=kernel)
    expected = value_and_gradient(z, sigreg)[0]
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert torch.equal(sigreg(z.clone().requires_grad_(), step=1), expected), context


@KERNELS
def test_input_that_needs_no_gradient_gives_a_result_that_needs_none(kernel: Kernel) -> None:
    sigreg = SIGReg(slices=4, kernel=kernel)
    assert not sigreg(normal(9, 3), step=0).requires_grad
    assert sigreg(normal(9, 3).requires_grad_(), step=0).requires_grad


@KERNELS
def test_each_leading_index_gets_the_gradient_of_its_own_factor(kernel: Kernel) -> None:
    z, sigreg, factor_V = normal(3, 20, 4), SIGReg(slices=8, kernel=kernel), torch.tensor([2.0, -0.5, 0.0])
    leaf = z.clone().requires_grad_()
    (scaled,) = torch.autograd.grad((factor_V * sigreg(leaf, step=1)).sum(), leaf)
    torch.testing.assert_close(scaled, factor_V[:, None, None] * value_and_gradient(z, sigreg)[1])


@KERNELS
@pytest.mark.parametrize(
    "view",
    [lambda z: z.mT, lambda z: z.transpose(0, 1), lambda z: z[:, ::2], lambda z: z[..., ::3], lambda z: z[:, 3:-2],
     lambda z: z[:1].expand(4, -1, -1), lambda z: z[:, :1].expand(-1, 5, -1)],
    ids=["transposed", "samples first", "every other sample", "every third dim", "part", "one view", "one sample"],
)  # fmt: skip
def test_the_layout_in_memory_does_not_matter(kernel: Kernel, view: Callable[[Tensor], Tensor]) -> None:
    z, sigreg = view(normal(3, 24, 12)), SIGReg(slices=8, kernel=kernel)
    assert not z.is_contiguous()
    value, gradient = value_and_gradient(z, sigreg)
    expected, slope = value_and_gradient(z.contiguous(), sigreg)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, slope)


@KERNELS
def test_the_input_is_left_as_it_was(kernel: Kernel) -> None:
    z = normal(2, 30, 4)
    before = z.clone()
    value_and_gradient(z, SIGReg(slices=8, kernel=kernel))
    assert torch.equal(z, before)
