"""Who takes part in the SIGReg benchmark: ours with each kernel, two peers, and a bare matmul as the floor.

All draw their directions inside the call and test on 17 knots on [0, 3] with doubled trapezoidal weights, so all
estimate one number; `check_agreement` holds them to it.
"""

# N samples, D dims, M slices
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.sigreg import SIGReg

OURS = "ours "
EAGER = OURS + "eager"
LIGHTLY = "lightly"
STABLE = "stable-pretraining"
MATMUL = "matmul"
PEERS = {LIGHTLY: ("lightly", "lightly==1.6.0"), STABLE: ("stable_pretraining", "stable-pretraining==0.1.8")}

DRAWS = 50
TOLERANCE = 0.02


class Size(NamedTuple):
    """One problem: N samples of D dims, M slices, T knots."""

    n: int
    d: int
    m: int
    knots: int = 17

    def __str__(self) -> str:
        return f"{self.n} x {self.d} x {self.m}"


class Agreement(NamedTuple):
    """The statistic of some samples, and its derivative w.r.t. their scale."""

    value: float
    slope: float


def contenders(kernels: Sequence[str]) -> list[str]:
    """Names of all that can take part here, ours first; a line is printed for each peer that cannot.

    Raises:
        UnknownNameError: If there is no such kernel.
        SettingError: If it cannot be had on this machine.
    """
    names = []
    for kernel in kernels:
        name = OURS + kernel
        runs = SIGReg(**kernel_options(name)).kernel_for(torch.empty(1, 1))
        print(f"{name}: the {runs} kernel")
        names.append(name)
    for name, (package, requirement) in PEERS.items():
        if importlib.util.find_spec(package):
            names.append(name)
        else:
            print(f"left out: {name}, as it is not installed: pip install {requirement}")
    return [*names, MATMUL]


def kernel_options(name: str) -> dict[str, Any]:
    """What one of ours hands to `SIGReg` besides slices and knots."""
    return {"kernel": name.removeprefix(OURS)}


def statistic(name: str, size: Size) -> Callable[[Tensor], Tensor]:
    """The forward call of a contender, in training mode: (N, D) to a scalar."""
    if name == LIGHTLY:
        loss: Any = importlib.import_module("lightly.loss.lejepa_loss")
        return loss.SIGReg(num_vectors=size.m, knots=size.knots).train()  # type: ignore[no-any-return]
    if name == STABLE:
        method: Any = importlib.import_module("stable_pretraining.methods.lejepa")
        return method.SlicedEppsPulley(num_slices=size.m, n_points=size.knots).train()  # type: ignore[no-any-return]
    sigreg, steps = SIGReg(slices=size.m, knots=size.knots, **kernel_options(name)), count()
    return lambda z_ND: sigreg(z_ND, step=next(steps))


def gradient_call(name: str, size: Size) -> Callable[[], Tensor]:
    """One forward and backward on normal samples that exist already; it returns the gradient w.r.t. them."""
    z_ND = torch.randn(size.n, size.d, generator=torch.Generator().manual_seed(0)).requires_grad_()
    if name == MATMUL:
        a_DM, ones_NM = torch.randn(size.d, size.m), torch.ones(size.n, size.m)
        return lambda: torch.autograd.grad(z_ND @ a_DM, z_ND, ones_NM)[0]
    value = statistic(name, size)
    return lambda: torch.autograd.grad(value(z_ND), z_ND)[0]


def check_agreement(names: Sequence[str]) -> dict[str, Agreement]:
    """What each finds on the same samples, as means over `DRAWS` sets of directions.

    Raises:
        SettingError: If a contender's differ from the first one's by more than `TOLERANCE`.
    """
    found = {name: _value_and_slope(name) for name in names if name != MATMUL}
    first = next(iter(found))
    for name, figures in found.items():
        for figure, wanted in zip(figures, found[first], strict=True):
            if not abs(figure / wanted - 1) <= TOLERANCE:
                raise SettingError(
                    f"{name} gives {figures}, within {TOLERANCE:.0%} of {first}'s {found[first]} was "
                    "wanted: they compute different things, so no times were taken"
                )
    return found


def _value_and_slope(name: str) -> Agreement:
    size = Size(256, 64, 256)
    z_ND = 1.3 * torch.randn(size.n, size.d, generator=torch.Generator().manual_seed(1)) + 0.05
    torch.manual_seed(0)
    value, scale = statistic(name, size), torch.ones(()).requires_grad_()
    total_value = total_slope = 0.0
    for _ in range(DRAWS):
        now = value(scale * z_ND)
        total_value += now.item() / DRAWS
        total_slope += torch.autograd.grad(now, scale)[0].item() / DRAWS
    return Agreement(total_value, total_slope)
