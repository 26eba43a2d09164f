"""SIGReg and the loss inside compiled models, through torch.compile's own kernels, and as a GPU would run them."""

# V views, N samples, D dims; R rows
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from lejepa_core import LeJEPALoss, SIGReg
from lejepa_core.kernels import compiled, portable
from lejepa_core.kernels.quadrature import Quadrature


class Step(nn.Module):
    """An encoder of one layer with its loss."""

    def __init__(self, sigreg: SIGReg) -> None:
        super().__init__()
        self.encoder, self.loss = nn.Linear(5, 4), LeJEPALoss(0.3, sigreg=sigreg)

    def forward(self, x: Tensor, step: int | Tensor) -> Tensor:
        return self.loss(self.encoder(x), views_global=2, step=step).total


def total_and_gradient(step: nn.Module, x: Tensor, at: int | Tensor) -> tuple[Tensor, Tensor]:
    step.zero_grad()
    total = step(x, at)
    total.backward()
    return total.detach(), torch.cat([p.grad.flatten() for p in step.parameters() if p.grad is not None])


@pytest.fixture(autouse=True)
def compiled_before() -> None:
    """Forget what earlier tests compiled: there is a limit on variants of one function."""
    torch._dynamo.reset()


@pytest.fixture
def x_VNF() -> Tensor:
    return torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel", ["auto", "eager"])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_compiled_training_step_is_one_graph_with_the_same_loss_and_gradient(kernel, backend, x_VNF: Tensor) -> None:
    plain = Step(SIGReg(slices=16, kernel=kernel))
    graph = torch.compile(plain, backend=backend, fullgraph=True)
    for at in (0, 1, 2, torch.tensor(3)):
        torch.testing.assert_close(total_and_gradient(graph, x_VNF, at), total_and_gradient(plain, x_VNF, at))
    with torch.no_grad():
        torch.testing.assert_close(graph(x_VNF, 5), plain(x_VNF, 5))


@pytest.mark.parametrize("want_gradient", [True, False])
@pytest.mark.parametrize(
    "z",
    [
        torch.ones(6, 4),
        torch.ones(4, 6).mT,
        torch.ones(3, 4, 2).permute(2, 0, 1),
        torch.ones(6, 4, dtype=torch.bfloat16),
        torch.ones(6, 4, dtype=torch.float64),
    ],
    ids=["plain", "transposed", "permuted", "bfloat16", "float64"],
)
def test_what_the_graph_is_told_about_shapes_is_true(z: Tensor, want_gradient: bool) -> None:
    torch.library.opcheck(
        torch.ops.lejepa.sigreg.default, (z, None, 3, 8, 17, 3.0, 0, "gaussian", "auto", want_gradient)
    )


def test_a_subclass_is_refused_in_a_graph_rather_than_ignored(x_VNF: Tensor) -> None:
    class Other(SIGReg):
        pass

    graph = torch.compile(Step(Other(slices=8)), backend="aot_eager", fullgraph=True)
    with pytest.raises(Exception, match=r"Other came to torch\.compile"):
        graph(x_VNF, 0)


def test_steps_do_not_compile_anew(x_VNF: Tensor) -> None:
    graphs = 0

    def count(module: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        nonlocal graphs
        graphs += 1
        return module

    graph = torch.compile(Step(SIGReg(slices=16)), backend=count, fullgraph=True)
    for step in range(10):
        graph(x_VNF, step)
    # One for the first step as a constant, one for any other.
    assert graphs <= 2


def test_a_compiled_step_in_bfloat16_keeps_the_dtype_of_its_gradient(x_VNF: Tensor) -> None:
    plain = Step(SIGReg(slices=16))
    graph = torch.compile(plain, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = total_and_gradient(graph, x_VNF, 4), total_and_gradient(plain, x_VNF, 4)
    assert ours[1].dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)


def test_its_own_kernels_give_what_torch_operations_give() -> None:
    assert compiled.available(torch.device("cpu"))
    for samples, dtype in ((17, torch.float32), (600, torch.float32), (33, torch.float64)):
        quadrature = Quadrature(17, 3.0)
        u_RN = torch.randn(6, samples, generator=torch.Generator().manual_seed(samples), dtype=dtype)
        ours, theirs = u_RN.clone(), u_RN.clone()
        value = compiled.statistic(ours, quadrature, 0.5, want_gradient=True)
        expected = portable.statistic(theirs, quadrature, 0.5, want_gradient=True)
        torch.testing.assert_close(value, expected, rtol=3e-6, atol=0)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        _, coefficients = quadrature.finish(compiled.moments(u_RN, quadrature), samples, 0.5)
        torch.testing.assert_close(compiled.gradient(u_RN, coefficients, quadrature), ours, rtol=1e-4, atol=1e-6)
    z = torch.randn(2, 40, 7, generator=torch.Generator().manual_seed(0))
    sigreg = SIGReg(slices=20, kernel="compiled")
    assert sigreg.kernel_for(z) == "compiled"
    torch.testing.assert_close(sigreg(z, step=4), SIGReg(slices=20, kernel="eager")(z, step=4))


class NoCopyFromTheHost(TorchDispatchMode):
    """Refuses to bring data of a CPU tensor to the GPU, which a captured graph cannot repeat; constants are kept."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        came = any(isinstance(a, Tensor) and a.device.type == "cpu" and a.numel() < 2 for a in args)
        assert not (came and isinstance(result, Tensor) and result.device.type == "cuda"), function
        return result


@pytest.fixture
def imagined_gpu() -> Iterator[FakeTensorMode]:
    """Tensors without data on a GPU that need not exist: asking for a value, or mixing devices, raises."""
    with torch.compiler.set_stance("force_eager"), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode
    compiled.available.cache_clear()


@pytest.mark.parametrize("kernel", ["auto", "eager"])
@pytest.mark.parametrize("sampler", ["gaussian", "orthogonal"])
def test_nothing_waits_for_a_gpu(kernel, sampler, imagined_gpu: FakeTensorMode) -> None:
    sigreg = SIGReg(slices=16, sampler=sampler, kernel=kernel)
    # The gradient is computed in the forward pass; the backward one, which needs a driver, only multiplies it.
    z = torch.empty(2, 20, 4, device="cuda", requires_grad=True)
    step = torch.zeros((), dtype=torch.int64, device="cuda")
    with NoCopyFromTheHost():
        total = LeJEPALoss(0.1, sigreg=sigreg)(z, views_global=2, step=step).total
    assert sigreg.kernel_for(z) == ("compiled" if kernel == "auto" else "eager")
    assert (total.device.type, total.shape, total.requires_grad) == ("cuda", (), True)
