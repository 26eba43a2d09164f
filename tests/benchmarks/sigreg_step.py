"""One training step, encoder to AdamW, with our loss and with lightly's on the same projections.

Four views at the global size, the first two of which make the centre: so the two losses are one formula. The loss's
share is timed inside the step: on its own it may find memory that is still resident, and take half as long.
"""

# V views, G global views, N samples, D dims
import importlib
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import torch
from contenders import LIGHTLY, kernel_options
from timing import Times, in_fresh_process, interleaved, print_table, ratio, spread
from torch import Tensor

from lejepa_core.encoder import build_encoder
from lejepa_core.objective import LeJEPALoss
from lejepa_core.settings import PretrainSettings
from lejepa_core.sigreg import SIGReg

ARCHITECTURES = ("resnet10t_w32", "vit_mini_p4")
LAMBDA, VIEWS, VIEWS_CENTRE, SAMPLES, SIDE, DIMS, SLICES = 0.05, 4, 2, 128, 32, 64, 1024

Loss = Callable[[Tensor], Tensor]


def run_step(names: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """The first of ours, and lightly where it is there."""
    pair = [name for name in (names[0], LIGHTLY) if name in names]
    found = []
    for threads in (1, 2):
        for architecture in ARCHITECTURES:
            times = in_fresh_process(threads, _time_steps, architecture, pair, 3 if quick else 7)
            found += [_compare(times, architecture, name, threads) for name in pair]
    print_table(
        f"One training step: {SAMPLES} images, {VIEWS} views of {SIDE} px, projections of {DIMS}, {SLICES} slices",
        ("architecture", "threads", "loss", "step ms", "of which loss", "loss / step", "step / step with ours"),
        [_row(row) for row in found],
    )
    return found


def _time_steps(architecture: str, names: Sequence[str], rounds: int) -> Times:
    """Seconds of each one's step by its name, and of the loss in it by `_inside`."""
    steps = {name: _Step(architecture, _loss(name)) for name in names}
    times = interleaved(steps, rounds=rounds)
    return times | {_inside(name): [*step.loss_seconds[-rounds:]] for name, step in steps.items()}


def _inside(name: str) -> str:
    return f"{name}, loss"


def _loss(name: str) -> Loss:
    if name == LIGHTLY:
        module: Any = importlib.import_module("lightly.loss.lejepa_loss")
        theirs = module.LeJEPALoss(lambda_param=LAMBDA, sigreg_num_vectors=SLICES).train()
        return lambda z_VND: theirs(global_proj=z_VND[:VIEWS_CENTRE], local_proj=z_VND[VIEWS_CENTRE:])
    ours, steps = LeJEPALoss(LAMBDA, sigreg=SIGReg(slices=SLICES, **kernel_options(name))), count()
    return lambda z_VND: ours(z_VND, views_global=VIEWS_CENTRE, step=next(steps)).total


class _Step:
    def __init__(self, architecture: str, loss: Loss) -> None:
        self.encoder = build_encoder(_settings(architecture)).train()
        self.optimiser = torch.optim.AdamW(self.encoder.parameters(), lr=1e-3)
        self.views = torch.randn(VIEWS, SAMPLES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        self.loss = loss
        self.loss_seconds: list[float] = []

    def __call__(self) -> None:
        self.optimiser.zero_grad()
        z_VND = self.encoder([self.views])
        z_VND.backward(self._gradient(z_VND.detach().requires_grad_()))
        self.optimiser.step()

    def _gradient(self, z_VND: Tensor) -> Tensor:
        start = time.perf_counter()
        (gradient_VND,) = torch.autograd.grad(self.loss(z_VND), z_VND)
        self.loss_seconds.append(time.perf_counter() - start)
        return gradient_VND


def _settings(architecture: str) -> PretrainSettings:
    return PretrainSettings(
        architecture=architecture,
        lambda_=LAMBDA,
        learning_rate=1e-3,
        weight_decay=1e-2,
        image_size=SIDE,
        views_global=VIEWS,
        views_local=0,
        projector_dim=DIMS,
    )


def _compare(times: Times, architecture: str, name: str, threads: int) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "threads": threads,
        "contender": name,
        "step_seconds": spread(times[name]),
        "loss_seconds": spread(times[_inside(name)]),
        "loss_share": ratio(times, _inside(name), name),
        "times_ours": ratio(times, name, next(iter(times))),
    }


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["architecture"],
        str(row["threads"]),
        row["contender"],
        row["step_seconds"].show(0, 1e3),
        row["loss_seconds"].show(1, 1e3),
        row["loss_share"].show(3),
        row["times_ours"].show(2),
    )
