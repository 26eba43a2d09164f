"""The few collectives that the method needs, each right in value and in gradient.

Every rank holds the same loss of the global batch. The gradient that a rank computes is therefore that of the
sum of all ranks' losses, W times too large, and averaging over ranks, as DistributedDataParallel does, makes it
the gradient of the loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

_by_itself: list[None] = []


@contextmanager
def alone() -> Iterator[None]:
    """Compute as if there were no process group: the other ranks do not take part, and would be waited for."""
    _by_itself.append(None)
    try:
        yield
    finally:
        _by_itself.pop()


def world_size() -> int:
    """Number of ranks in the process group that exists now, 1 without one."""
    return dist.get_world_size() if _grouped() else 1


def rank() -> int:
    """This process's rank, 0 without a process group."""
    return dist.get_rank() if _grouped() else 0


def _grouped() -> bool:
    return not _by_itself and dist.is_available() and dist.is_initialized()


@torch.library.custom_op("lejepa::all_reduce_sum", mutates_args=())
def _summed(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    if world_size() > 1:
        dist.all_reduce(total)
    return total


@_summed.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _summed(grads[0])


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum of a tensor over ranks, differentiable; the tensor itself in a single process."""
    # A compiled graph must not remember how many ranks there were when it was made.
    if world_size() == 1 and not torch.compiler.is_compiling():
        return x
    total: Tensor = _AllReduceSum.apply(x)
    return total


class _GatherSamples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        mine = torch.tensor([x.shape[dim]], device=x.device)
        counts = [torch.zeros_like(mine) for _ in range(world_size())]
        dist.all_gather(counts, mine)
        sizes = torch.cat(counts).tolist()
        ctx.dim, ctx.start, ctx.length = dim, sum(sizes[: rank()]), x.shape[dim]
        padded = torch.cat([x, x.new_zeros(_resized(x, dim, max(sizes) - x.shape[dim]))], dim).contiguous()
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part.narrow(dim, 0, size) for part, size in zip(parts, sizes, strict=True)], dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total.narrow(ctx.dim, ctx.start, ctx.length), None


def _resized(x: Tensor, dim: int, size: int) -> list[int]:
    shape = list(x.shape)
    shape[dim] = size
    return shape


def gather_samples(x: Tensor, dim: int = -2) -> Tensor:
    """The samples of all ranks in the order of ranks, differentiable; the tensor itself in a single process.

    The ranks may hold different numbers of samples, also none: they tell each other how many, which the host waits for.

    Args:
        x: This rank's samples, of the same shape on every rank but for `dim`.
        dim: The dim of the samples.

    Returns:
        A tensor that has the samples of all ranks along `dim`, the same on every rank.
    """
    if world_size() == 1:
        return x
    gathered: Tensor = _GatherSamples.apply(x, dim)
    return gathered


def average_gradients(module: nn.Module) -> None:
    """Give every rank the mean of all ranks' gradients, as DistributedDataParallel does, by one reduction."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if world_size() == 1 or not gradients:
        return
    packed = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(packed)
    packed /= world_size()
    for gradient, mean in zip(gradients, packed.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))
