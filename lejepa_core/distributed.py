"""The few collectives that the method needs, each right in value and in gradient.

Every rank holds the same loss of the global batch. The gradient that a rank computes is therefore that of the
sum of all ranks' losses, W times too large, and averaging over ranks, as DistributedDataParallel does, makes it
the gradient of the loss.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of ranks in the process group that exists now, 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's rank, 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum of a tensor over ranks, differentiable; the tensor itself in a single process."""
    if world_size() == 1:
        return x
    total: Tensor = _AllReduceSum.apply(x)
    return total
