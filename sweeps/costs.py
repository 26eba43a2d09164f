"""What a trial takes: seconds and memory, from what it has to compute; calibrated on trials that were measured.

On cores, seconds are a weighted sum of five amounts of work and a constant, times a factor of the architecture. The
weights are fitted to measured trials by relative error, and held near `PRIOR` where these do not tell.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from scipy.optimize import nnls

from lejepa_core.architectures import find_architecture
from lejepa_core.places import cache_folder
from lejepa_platform.storage import read_json, write_json
from sweeps.flops import forward_flops
from sweeps.machines import MACHINES, Machine
from sweeps.workload import Workload

PRIOR: Final[Mapping[str, float]] = {
    "backbone": 0.58,
    "views": 0.02,
    "sigreg": 0.37,
    "evaluation": 1.0,
    "probes": 16.0,
    "constant": 0.5,
}
"""Seconds per unit of each kind of work, on one of two busy cores."""
HELD: Final = 0.03
"""How strongly weights are held near these: the residual, relative to a trial, that doubling one of them counts as."""
STORED: Final = "costs.json"
ACTIVATION_BYTES: Final = {"vit": 1.34e-3, "*": 1e-2}
"""Bytes of activations in bfloat16 that training keeps per operation of the forward pass: of transformers 34 per token
and width of a layer (arXiv 2205.05198, attention not kept), of convolutions what ResNet-50 takes, 86 MB at 224 px."""
GPU_START: Final = 10.0
"""Seconds until a process on a GPU has its kernels."""
PROCESS_BYTES: Final = 0.9e9
"""Of a process with its libraries, before it does anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostModel:
    """Seconds of a trial on one core, or on one GPU of a machine."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(PRIOR))
    factors: Mapping[str, float] = field(default_factory=dict)
    """Architecture -> how many times slower than its table says, where trials of it were measured."""
    trials: int = 0
    """Trials that it was calibrated on."""

    def seconds(self, work: Workload, machine: Machine = MACHINES["laptop"]) -> float:
        """Wall time of one trial on one device.

        Args:
            work: The trial.
            machine: Where it runs.
        """
        if machine.kind == "gpu":
            return _on_gpu(work, machine)
        factor = self.factors.get(work.settings.architecture, 1.0)
        return factor * sum(self.weights[name] * amount for name, amount in amounts(work).items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A finished trial."""

    work: Workload
    seconds: float


def amounts(work: Workload) -> dict[str, float]:
    """How much work of each kind a trial is."""
    return {
        "backbone": work.core_seconds,
        "views": work.megapixels,
        "sigreg": work.exponentials,
        "evaluation": work.evaluation_core_seconds,
        "probes": work.probes,
        "constant": 0.5,
    }


def calibrate(trials: Sequence[Measured]) -> CostModel:
    """Fit the model to measured trials.

    Args:
        trials: Of one machine; of any number of architectures and settings.
    """
    if not trials:
        return CostModel()
    prior = np.array(list(PRIOR.values()))
    # In units of the prior, so that all weights are about 1, and of each trial's seconds, so that errors are relative.
    x = np.array([list(amounts(t.work).values()) for t in trials]) * prior / np.array([[t.seconds] for t in trials])
    held = HELD * math.sqrt(len(trials)) * np.eye(len(prior))
    fitted, _ = nnls(np.vstack([x, held]), np.concatenate([np.ones(len(trials)), held.sum(1)]))
    weights = dict(zip(PRIOR, (float(v) for v in fitted * prior), strict=True))
    return CostModel(weights=weights, factors=_factors(weights, trials), trials=len(trials))


def _factors(weights: Mapping[str, float], trials: Iterable[Measured]) -> dict[str, float]:
    plain, ratios = CostModel(weights=weights), dict[str, list[float]]()
    for trial in trials:
        name = trial.work.settings.architecture
        ratios.setdefault(name, []).append(trial.seconds / plain.seconds(trial.work))
    return {name: statistics.median(values) for name, values in ratios.items()}


def median_error(model: CostModel, trials: Iterable[Measured]) -> float:
    """Median of |predicted / measured - 1|."""
    return statistics.median(abs(model.seconds(t.work) / t.seconds - 1) for t in trials)


def _on_gpu(work: Workload, machine: Machine) -> float:
    group = find_architecture(work.settings.architecture).group
    rate = machine.flops.get(group, machine.flops["*"])
    forward = forward_flops(work.settings.architecture, work.settings.image_size)
    # In float32, half as fast, is all that comes after pretraining.
    return (
        work.training_flops / (rate if work.settings.precision == "bfloat16" else rate / 2)
        + (work.classifying_flops + work.embedded * forward) / (rate / 2)
        + machine.megapixel * work.megapixels
        + machine.exponential * work.exponentials
        + machine.probe * work.probes / 16
        + GPU_START
    )


def memory_bytes(work: Workload) -> float:
    """Of a device that trains a trial: weights, gradients and AdamW's two moments in float32, and activations."""
    s, spec = work.settings, find_architecture(work.settings.architecture)
    weights = 16 * (spec.parameters + work.projector)
    per_flop = ACTIVATION_BYTES.get(spec.group, ACTIVATION_BYTES["*"])
    activations = work.training_flops / 3 / work.seen * s.batch_size * per_flop
    # SIGReg in one piece keeps a tensor of samples x slices x knots at most, a view at a time.
    statistic = 4 * s.batch_size * s.slices * s.knots
    return weights + activations * (1 if s.precision == "bfloat16" else 2) + statistic


def stored_at() -> Path:
    """Where this machine's calibration is kept."""
    return cache_folder() / STORED


def load(path: Path | None = None) -> CostModel:
    """The calibration of this machine, or the weights that come with the project."""
    held = read_json(path or stored_at())
    return CostModel(**held) if isinstance(held, dict) else CostModel()


def save(model: CostModel, path: Path | None = None) -> Path:
    """Keep a calibration; returns where."""
    target = path or stored_at()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, json.loads(json.dumps(asdict(model))))
    return target
