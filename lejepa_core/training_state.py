"""From what a pretraining goes on, and what it keeps of the steps of an epoch."""

import time
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from lejepa_core.objective import LossTerms
from lejepa_core.online_probe import OnlineProbe

State = dict[str, Any]
"""Tensors and numbers from which `pretrain` goes on: epochs done, terms of the loss in each step of the epoch that has
begun and the seconds it has taken, model, optimiser, and where there are such the averaged encoder, the predictor and
the online probe."""
CHECK_EVERY: Final = 20
"""Steps between looks at whether the loss is still finite; each look waits for the device."""


class Log:
    """Time and loss terms of an epoch's steps, these fetched from the device now and then."""

    def __init__(self, device: torch.device, resume: State | None = None) -> None:
        """Start an epoch, or take up the one of a state."""
        # States were of whole epochs once, and had neither.
        done = {"terms": torch.zeros(0, len(LossTerms._fields)), "seconds": 0.0, **(resume or {})}
        self._terms: list[Tensor] = list(done["terms"].to(device))
        self._start = time.perf_counter() - done["seconds"]

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self._terms)

    def seconds(self) -> float:
        """Seconds since the epoch began, without those between an interruption and its end."""
        return time.perf_counter() - self._start

    def terms(self) -> Tensor:
        """Total, prediction and regulariser of each step, (steps, 3)."""
        return torch.stack(self._terms)

    def add(self, terms: LossTerms, *, last: bool) -> list[float] | None:
        """Keep the terms of a step.

        Args:
            terms: Of the step.
            last: Whether it is the epoch's last.

        Returns:
            Terms of the first step that were not finite, where it was looked for and found.
        """
        self._terms.append(torch.stack(tuple(terms)))
        if not (last or self.steps % CHECK_EVERY == 0) or bool(self.terms().isfinite().all()):
            return None
        values: list[float] = next(t.tolist() for t in self._terms if not bool(t.isfinite().all()))
        return values

    def means(self) -> list[float]:
        """Total, prediction and regulariser, over the steps."""
        values: list[float] = self.terms().double().mean(0).tolist()
        return values

    def losses(self) -> list[float]:
        """The total of each step."""
        values: list[float] = self.terms()[:, 0].tolist()
        return values


def training_state(
    modules: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    probe: OnlineProbe | None,
    epoch: int,
    log: Log | None = None,
) -> State:
    """The state after so many epochs, and after the steps of a log.

    Args:
        modules: All that has weights or buffers that training changes, by the name that it has in the state.
        optimiser: Of these.
        probe: The online probe.
        epoch: Epochs done.
        log: Of the steps of the epoch that has begun.
    """
    return {
        "epoch": epoch,
        "terms": log.terms() if log else torch.zeros(0, len(LossTerms._fields)),
        "seconds": log.seconds() if log else 0.0,
        **{name: module.state_dict() for name, module in modules.items()},
        "optimiser": optimiser.state_dict(),
        **({"online": probe.state_dict()} if probe else {}),
    }


def restore(
    modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, probe: OnlineProbe | None, state: State
) -> int:
    """Load a state; returns the epochs done."""
    for name, module in modules.items():
        module.load_state_dict(state[name])
    optimiser.load_state_dict(state["optimiser"])
    # States had no probe once: it begins anew then.
    if probe and "online" in state:
        probe.load_state_dict(state["online"])
    return int(state["epoch"])
