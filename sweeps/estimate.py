"""What a study will cost, before it is run: rough figures from costs measured on one core."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from lejepa_core.architectures import find_architecture
from lejepa_platform.execution import Execution
from lejepa_platform.progress import duration
from sweeps.planning import Plan

PROBE_MS_PER_IMAGE = 2.0
"""Embedding and probing, per image and trial, floors included."""
TRANSFER_SECONDS = 1.0
"""Few-shot probes of one encoder on one other data set, beyond what its images cost."""
STARTUP_SECONDS = 20.0
BYTES_PER_TRIAL = 60_000
"""Metrics, predictions and tracking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Cost of a study."""

    trials: int
    core_seconds: float
    wall_seconds: float
    disk_bytes: float
    transfer_seconds: float = 0.0
    """Of the core's seconds, those of evaluating on other data sets."""
    targets: tuple[str, ...] = ()
    """These data sets."""

    def __str__(self) -> str:
        """One line."""
        cores = f"{self.core_seconds / 3600:.2f} core-hours"
        if self.targets:
            cores += f", {self.transfer_seconds / 3600:.2f} of them to evaluate on {', '.join(self.targets)}"
        return (
            f"{self.trials} trials, about {duration(self.wall_seconds)} on this machine ({cores}), "
            f"{self.disk_bytes / 1e6:.0f} MB of disk"
        )


def estimate(plan: Plan, execution: Execution) -> Estimate:
    """Estimate a study on this machine's cores.

    Args:
        plan: The study.
        execution: How it would run.
    """
    config = plan.config
    seconds = transfer = disk = trials = 0.0
    for (architecture, dataset), (_, settings, lambdas) in product(config.cells(), config.resolved):
        optimisers = len(config.optimisers[architecture]) if config.search == "grid" else 1
        n = len(config.seeds) * (len(lambdas) if config.search == "grid" else config.trials) * optimisers
        trials += n
        images = len(plan.images[dataset].splits["train"])
        seconds += n * _trial_seconds(settings, architecture, config.local_sizes[architecture], images)
        others = [data for name, data in plan.targets.items() if name != dataset]
        transfer += n * sum(_transfer_seconds(len(data)) for data in others)
        disk += n * (find_architecture(architecture).parameters_m * 4e6 + BYTES_PER_TRIAL)
    cores = os.cpu_count() or 1
    # Workers that share a trial share its work; what counts is how many cores are busy.
    parallel = min(cores, execution.workers * (execution.max_concurrent or cores))
    return Estimate(
        trials=int(trials),
        core_seconds=seconds + transfer,
        wall_seconds=STARTUP_SECONDS + (seconds + transfer) / parallel,
        disk_bytes=disk + sum(data.cached_bytes for data in {**plan.targets, **plan.images}.values()),
        transfer_seconds=transfer,
        targets=tuple(plan.targets),
    )


def _transfer_seconds(images: int) -> float:
    return TRANSFER_SECONDS + images * PROBE_MS_PER_IMAGE / 1000


def _trial_seconds(settings: Mapping[str, Any], architecture: str, local_size: int, images: int) -> float:
    spec = find_architecture(architecture)
    images = min(images, settings.get("limit_train") or images)
    per_image = settings["views_global"] * spec.milliseconds(settings["image_size"])
    per_image += settings["views_local"] * spec.milliseconds(local_size)
    steps = images // settings["batch_size"] * settings["epochs"]
    return float(steps * settings["batch_size"] * per_image + images * PROBE_MS_PER_IMAGE) / 1000
