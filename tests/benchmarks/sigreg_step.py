"""One training step, encoder to AdamW, with our loss and with lightly's on the same projections.

Four views at the global size, the first two of which make the centre: so the two losses are one formula.
"""

# V views, G global views, N samples, D dims
import importlib
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
        measured = in_fresh_process(threads, _time_architectures, pair, 3 if quick else 7)
        found += [_compare(measured[a], a, name, threads) for a in ARCHITECTURES for name in pair]
    print_table(
        f"One training step: {SAMPLES} images, {VIEWS} views of {SIDE} px, projections of {DIMS}, {SLICES} slices",
        ("architecture", "threads", "loss", "step ms", "loss alone ms", "loss / step", "step / step with ours"),
        [_row(row) for row in found],
    )
    return found


def _time_architectures(names: Sequence[str], rounds: int) -> dict[str, Times]:
    found = {}
    for architecture in ARCHITECTURES:
        losses = {name: _loss(name) for name in names}
        calls: dict[str, Callable[[], object]] = {name: _step(architecture, loss) for name, loss in losses.items()}
        calls |= {f"{name} alone": _loss_alone(loss) for name, loss in losses.items()}
        found[architecture] = interleaved(calls, rounds=rounds)
    return found


def _loss(name: str) -> Loss:
    if name == LIGHTLY:
        module: Any = importlib.import_module("lightly.loss.lejepa_loss")
        theirs = module.LeJEPALoss(lambda_param=LAMBDA, sigreg_num_vectors=SLICES).train()
        return lambda z_VND: theirs(global_proj=z_VND[:VIEWS_CENTRE], local_proj=z_VND[VIEWS_CENTRE:])
    ours, steps = LeJEPALoss(LAMBDA, sigreg=SIGReg(slices=SLICES, **kernel_options(name))), count()
    return lambda z_VND: ours(z_VND, views_global=VIEWS_CENTRE, step=next(steps)).total


def _step(architecture: str, loss: Loss) -> Callable[[], None]:
    settings = PretrainSettings(
        architecture=architecture,
        lambda_=LAMBDA,
        learning_rate=1e-3,
        weight_decay=1e-2,
        image_size=SIDE,
        views_global=VIEWS,
        views_local=0,
        projector_dim=DIMS,
    )
    encoder = build_encoder(settings).train()
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=settings.learning_rate)
    views = torch.randn(VIEWS, SAMPLES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        optimiser.zero_grad()
        loss(encoder([views])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _loss_alone(loss: Loss) -> Callable[[], Tensor]:
    z_VND = torch.randn(VIEWS, SAMPLES, DIMS, generator=torch.Generator().manual_seed(1)).requires_grad_()
    return lambda: torch.autograd.grad(loss(z_VND), z_VND)[0]


def _compare(times: Times, architecture: str, name: str, threads: int) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "threads": threads,
        "contender": name,
        "step_seconds": spread(times[name]),
        "loss_seconds": spread(times[f"{name} alone"]),
        "loss_share": ratio(times, f"{name} alone", name),
        "times_ours": ratio(times, name, next(iter(times))),
    }


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["architecture"],
        str(row["threads"]),
        row["contender"],
        row["step_seconds"].show(0, 1e3),
        row["loss_seconds"].show(1, 1e3),
        row["loss_share"].show(2),
        row["times_ours"].show(2),
    )
