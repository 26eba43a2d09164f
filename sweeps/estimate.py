"""What a study will cost, before it is run: time, memory, disk and rows, by the cost model."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, NamedTuple

from lejepa_core.architectures import find_architecture
from lejepa_core.datasets import ImageDataset
from lejepa_platform.config import StudyConfig
from lejepa_platform.execution import Execution
from lejepa_platform.progress import duration
from sweeps.costs import PROCESS_BYTES, CostModel, load, memory_bytes
from sweeps.machines import Machine
from sweeps.planning import Plan
from sweeps.workload import Images, Workload, workload_of

STARTUP_SECONDS: Final = 20.0
BETWEEN_SECONDS: Final = 1.5
"""Per trial, beyond its own seconds: label-free criteria, the ledger, the next one's start."""
BYTES_PER_TRIAL: Final = 40_000
"""Small files of a trial, without its weights, metrics and predictions."""
BYTES_PER_PREDICTION: Final = 4
BYTES_PER_EPOCH: Final = 300
BYTES_PER_ROW: Final = 250
"""Of MLflow's store, indices included."""
PARAMS, TAGS, METRICS, METRICS_PER_EPOCH = 28, 23, 31, 6
"""What MLflow keeps of a trial, once."""
SAMPLES: Final = 5
"""Metrics of the machine that are logged every `SAMPLE_SECONDS`."""
SAMPLE_SECONDS: Final = 10.0


class Batch(NamedTuple):
    """Trials that cost the same."""

    work: Workload
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Cost of a study."""

    machine: Machine
    trials: int
    device_seconds: float
    """Of all cores or GPUs together."""
    wall_seconds: float
    memory_bytes: float
    """Of the trial that takes most."""
    disk_bytes: float
    rows: float
    """Of MLflow's tables."""
    transfer_seconds: float = 0.0
    """Of the devices' seconds, those of evaluating on other data sets."""
    targets: tuple[str, ...] = ()
    """These data sets."""

    def __str__(self) -> str:
        """One line."""
        unit = "core-hours" if self.machine.kind == "cpu" else "GPU-hours"
        hours = f"{self.device_seconds / 3600:.2f} {unit}"
        if self.targets:
            hours += f", {self.transfer_seconds / 3600:.2f} of them to evaluate on {', '.join(self.targets)}"
        return (
            f"{self.trials} trials, about {duration(self.wall_seconds)} on this machine ({hours}), "
            f"{self.disk_bytes / 1e6:.0f} MB of disk"
        )


def estimate(plan: Plan, execution: Execution) -> Estimate:
    """Estimate a study on this machine's cores.

    Args:
        plan: The study.
        execution: How it would run.
    """
    cores = os.cpu_count() or 1
    busy = min(cores, execution.workers * (execution.max_concurrent or cores))
    machine = Machine(name="this", kind="cpu", devices=busy, memory=0.0, flops={})
    held = {**plan.images, **plan.targets}
    batches = list(batches_of(plan.config, {name: counted(data) for name, data in held.items()}))
    cached = sum(data.cached_bytes for data in held.values())
    return cost(batches, machine, load(), workers=execution.workers, targets=tuple(plan.targets), cached_bytes=cached)


def counted(data: ImageDataset) -> Images:
    """How many images a data set has, without classes for one that has no labels."""
    classes = 0 if data.labels is None else len(data.classes)
    return Images(
        train=len(data.splits["train"]),
        test=len(data.splits["test"]),
        classes=classes,
        per_class=data.probe_per_class,
    )


def batches_of(config: StudyConfig, images: Mapping[str, Images]) -> Iterator[Batch]:
    """The trials of a study, those together that cost the same.

    Args:
        config: The study; its protocols and the data sets that it is evaluated on count.
        images: Name of each of its data sets -> how many there are.
    """
    for (architecture, dataset), (_, settings, lambdas) in product(config.cells(), config.resolved):
        pairs = config.optimisers[architecture]
        each = len(lambdas) * len(pairs) if config.search == "grid" else config.trials
        one = replace(config, shared=settings, variants={})
        trial = one.trial(architecture, dataset, lambda_=lambdas[0], optimiser=pairs[0], seed=0)
        others = tuple(images[name] for name in config.evaluate_on if name != dataset)
        work = workload_of(trial, images[dataset], protocols=config.protocols, others=others, sharing=each)
        yield Batch(work, each * len(config.seeds))


def cost(
    batches: Sequence[Batch],
    machine: Machine,
    model: CostModel,
    *,
    workers: int = 1,
    targets: tuple[str, ...] = (),
    cached_bytes: float = 0.0,
) -> Estimate:
    """What trials cost on a machine, each on one device or shared by several.

    Args:
        batches: From `batches_of`.
        machine: Where they run.
        model: Of its cores; GPUs have their own assumptions.
        workers: Devices that share a trial. On GPUs more, where its memory wants more or there are few trials.
        targets: Data sets that encoders are evaluated on.
        cached_bytes: Of decoded data sets.
    """
    seconds = [model.seconds(batch.work, machine) for batch in batches]
    plain = [model.seconds(replace(batch.work, others=()), machine) for batch in batches] if targets else seconds
    counts = [batch.trials for batch in batches]
    total = sum(n * (s + BETWEEN_SECONDS) for n, s in zip(counts, seconds, strict=True))
    memory = max((memory_bytes(batch.work) for batch in batches), default=0.0)
    trials = sum(counts)
    width = _width(machine, memory, trials, workers)
    # Trials come in whole rounds: the last one takes as long as the others, however few there are left for it.
    rounds = math.ceil(trials / (machine.devices // width)) * total / max(1, trials)
    process = PROCESS_BYTES if machine.kind == "cpu" else 0.0
    return Estimate(
        machine=machine,
        trials=trials,
        device_seconds=total,
        wall_seconds=STARTUP_SECONDS + max(total / machine.devices, rounds / width, max(seconds, default=0.0) / width),
        memory_bytes=process + memory,
        disk_bytes=cached_bytes + sum(n * _disk(batch.work) for n, batch in zip(counts, batches, strict=True)),
        rows=sum(n * _rows(batch.work, s) for n, s, batch in zip(counts, seconds, batches, strict=True)),
        transfer_seconds=sum(n * (s - p) for n, s, p in zip(counts, seconds, plain, strict=True)),
        targets=targets,
    )


def _width(machine: Machine, memory: float, trials: int, workers: int) -> int:
    """Devices that share each trial: one number for all, so many as the trial wants that takes most memory."""
    if machine.kind == "cpu":
        return min(workers, machine.devices)
    least = min(machine.devices, max(workers, math.ceil(memory / machine.memory)))
    return machine.devices // min(machine.devices // least, max(1, trials))


def _disk(work: Workload) -> float:
    """Bytes of a trial in the ledger, its weights most of them."""
    weights = 4 * (find_architecture(work.settings.architecture).parameters + work.projector)
    small = BYTES_PER_TRIAL + BYTES_PER_EPOCH * work.settings.epochs
    return weights + small + BYTES_PER_PREDICTION * work.images.test


def _rows(work: Workload, seconds: float) -> float:
    history = METRICS + METRICS_PER_EPOCH * work.settings.epochs + SAMPLES * seconds / SAMPLE_SECONDS
    latest = METRICS + METRICS_PER_EPOCH + SAMPLES
    return 1 + PARAMS + TAGS + history + latest
