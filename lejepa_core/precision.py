"""In which floating point type a training computes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lejepa_core.settings import Precision


def weight_dtype(precision: Precision) -> torch.dtype:
    """Type of weights, optimiser state and loss, and of all that is measured of a trained encoder."""
    return torch.float64 if precision == "float64" else torch.float32


@contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Where images become projections: nothing but bfloat16 changes anything.

    Gradients are taken outside of it. What embeds with and without gradients needs a context for each: within one,
    torch remembers the weights that it cast, and those cast without gradients would get none.
    """
    if precision != "bfloat16":
        yield
        return
    with (
        torch.autocast(device.type, torch.bfloat16),
        _WideWherePadded() if device.type == "cpu" else nullcontext(),
    ):
        yield


class _WideWherePadded(TorchFunctionMode):  # type: ignore[no-untyped-call,unused-ignore]
    """Convolutions in which part of the kernel meets nothing but padding, in float32.

    The gradient of that part is zero. In bfloat16 torch 2.14 (oneDNN, with and without AMX) leaves it unwritten where
    the kernel has a single position on an image smaller than the stride, as a 3x3 kernel of stride 2 on one pixel:
    it is whatever the memory held, now and then NaN. Such images are tiny, so the wide type costs nothing.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not torch.conv2d or not meets_only_padding(*args, **(kwargs or {})):
            return func(*args, **(kwargs or {}))
        wide: list[Any] = [x.float() if isinstance(x, Tensor) else x for x in args]
        named: dict[str, Any] = {name: x.float() if isinstance(x, Tensor) else x for name, x in (kwargs or {}).items()}
        with torch.autocast("cpu", enabled=False):
            return func(*wide, **named).bfloat16()


def meets_only_padding(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> bool:
    """Whether part of the kernel of a convolution, given as to `torch.conv2d`, never meets a pixel."""
    if isinstance(padding, str):
        # "same" comes with stride 1, where nothing is left unwritten; "valid" is none.
        return False
    axes = zip(input.shape[2:], weight.shape[2:], _pair(stride), _pair(padding), _pair(dilation), strict=True)
    return any(_misses(*axis) for axis in axes)


def _misses(pixels: int, taps: int, stride: int, padding: int, dilation: int) -> bool:
    """Along one axis."""
    positions = range(-padding, pixels + padding - dilation * (taps - 1), stride)
    return not all(any(0 <= at + dilation * tap < pixels for at in positions) for tap in range(taps))


def _pair(value: int | Sequence[int]) -> Sequence[int]:
    pair = (value,) if isinstance(value, int) else value
    return pair if len(pair) == 2 else (pair[0], pair[0])
