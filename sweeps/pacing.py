"""How long a trial takes on this machine, and the largest study that fits into a given time."""

import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import torch

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.evaluation.protocols import PROTOCOLS
from lejepa_core.pretrain import pretrain, steps_per_epoch
from lejepa_core.settings import PretrainSettings
from lejepa_platform.progress import duration
from lejepa_platform.trial import pinned

TIMED_STEPS: Final = 6
FEWEST_STEPS: Final = 100
"""Shorter trials tell nothing about λ."""
MOST_STEPS: Final = 10**9
MOST_EPOCHS: Final = 100
FEW_EPOCHS: Final = 8
"""Where images abound, rather fewer of them than fewer passes over each."""
CROWDED: Final = 1.3
"""Trials side by side share memory and caches: how much slower they are than alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a trial of an architecture takes on one core, in seconds."""

    step: float
    fixed: float
    """Building, measuring and keeping the encoder."""

    def trial(self, steps: int) -> float:
        """Seconds of a trial of so many steps, beside others."""
        return CROWDED * (self.fixed + steps * self.step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How large a study is."""

    architectures: tuple[str, ...]
    seeds: int
    epochs: int
    limit_train: int | None
    """Training images; None = all."""


def measure_cost(settings: PretrainSettings, data: ImageDataset, device: torch.device, threads: int) -> Cost:
    """Time a few steps of a trial and its measurement.

    Args:
        settings: The trial.
        data: Its images.
        device: Where trials run.
        threads: Of each trial.
    """
    with pinned(threads):
        start = time.perf_counter()
        encoder = build_encoder(settings).to(device)
        train = torch.from_numpy(data.splits["train"])[: TIMED_STEPS * settings.batch_size]
        epochs = math.ceil(TIMED_STEPS / steps_per_epoch(settings, len(train)))
        built = finished_at(device) - start
        marks: list[float] = []
        for _ in pretrain(replace(settings, epochs=epochs), data, encoder, train=train,
                          checkpoint=lambda state: marks.append(finished_at(device))):  # fmt: skip
            marks.append(finished_at(device))
        start = finished_at(device)
        subject = Subject(encoder=encoder.eval(), data=data, settings=settings, train=train.numpy())
        PROTOCOLS["criteria"].measure(subject)
        # The first step warms up.
        steps = [later - earlier for earlier, later in pairwise(marks)]
        return Cost(step=sorted(steps)[len(steps) // 2], fixed=built + finished_at(device) - start)


def finished_at(device: torch.device) -> float:
    """The time at which all that was asked of a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def fit(
    costs: Mapping[str, Cost],
    ladder: Sequence[tuple[int, int]],
    *,
    lambdas: int,
    images: int,
    batch_size: int,
    seconds: float,
    parallel: int,
    steps_wanted: int,
) -> Shape:
    """The first rung of a ladder on which trials are long enough, with trials as long as the time allows.

    Args:
        costs: By architecture, in the order of preference.
        ladder: (architectures, seeds), the best first; the last is the least that is of any use.
        lambdas: Values of λ per architecture and seed.
        images: Training images that there are.
        batch_size: Images per step.
        seconds: Wall time for all trials.
        parallel: Trials at once.
        steps_wanted: A rung with fewer steps per trial is taken only if it is the last.

    Raises:
        SettingError: If even the last rung leaves trials of less than `FEWEST_STEPS` steps.
    """
    for rung, (count, seeds) in enumerate(ladder):
        chosen = dict(list(costs.items())[:count])
        steps = _steps(list(chosen.values()), lambdas * seeds, seconds, parallel)
        if steps >= steps_wanted or (rung == len(ladder) - 1 and steps >= FEWEST_STEPS):
            return _shape(tuple(chosen), seeds, steps, images, batch_size)
    least = _seconds(list(chosen.values()), lambdas * seeds, FEWEST_STEPS, parallel)
    raise SettingError(
        f"the budget leaves {duration(max(seconds, 0))} for training, at least {duration(least)} is wanted for "
        f"{lambdas} values of λ; raise --budget, or name fewer --lambdas or cheaper --architectures"
    )


def _steps(costs: Sequence[Cost], trials: int, seconds: float, parallel: int) -> int:
    """The most steps per trial that fit into the time."""
    fitting = bisect_right(range(MOST_STEPS), seconds, key=lambda steps: _seconds(costs, trials, steps, parallel))
    return max(0, fitting - 1)


def _seconds(costs: Sequence[Cost], trials: int, steps: int, parallel: int) -> float:
    """What trials take at most if each begins as soon as a place is free, in whatever order.

    The lesser of two bounds: waves of the longest trial, and Graham's, doi.org/10.1002/j.1538-7305.1966.tb01709.x.
    """
    each = [cost.trial(steps) for cost in costs]
    waves = math.ceil(trials * len(each) / parallel)
    return min(waves * max(each), (trials * sum(each) + (parallel - 1) * max(each)) / parallel)


def _shape(architectures: tuple[str, ...], seeds: int, steps: int, images: int, batch_size: int) -> Shape:
    limit = min(images, max(batch_size, steps // FEW_EPOCHS * batch_size))
    epochs = min(MOST_EPOCHS, max(1, steps // (limit // batch_size)))
    return Shape(
        architectures=architectures, seeds=seeds, epochs=epochs, limit_train=None if limit == images else limit
    )
