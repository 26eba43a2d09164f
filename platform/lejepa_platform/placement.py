"""How many trials a cluster holds at once: Tune does not reserve what Ray Train's workers take."""

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from ray._private.utils import get_num_cpus

from lejepa_platform.errors import ClusterError
from lejepa_platform.executors import Placement

LOOK_AGAIN = 3.0
"""Least seconds between two looks at which nodes there are."""
_HINT = ", or give --max-concurrent if larger nodes will come"
_SHARES = 10_000
"""Ray counts GPUs in ten-thousandths."""

Machine = Mapping[str, float]
"""What Ray says that a node has: "CPU", "GPU" and what else there is."""


def fitting(placement: Placement, machines: Sequence[Machine]) -> int:
    """How many trials fit on machines at once.

    A worker runs on one machine, the workers of a trial on any. Workers are all alike, so that any way to place some of
    them leaves room for all the others that fit: Ray's choice cannot waste any.
    """
    return sum(_workers_on(placement, machine) for machine in machines) // placement.workers


def concurrent_trials(placement: Placement, machines: Sequence[Machine], wanted: int | None, hint: str = "") -> int:
    """How many trials run at once on machines: as many as fit, or those that are wanted if these are fewer.

    Raises:
        ClusterError: If not even one fits.
    """
    fits = fitting(placement, machines)
    if not fits:
        raise ClusterError(
            f"a trial needs {_needs(placement)}, and a worker fits on one node only; there are "
            f"{_described(placement, machines)}; lower --workers-per-trial, --threads-per-worker or "
            f"--gpus-per-worker{hint}"
        )
    return min(fits, wanted) if wanted else fits


class Room:
    """How many trials may run now, on a cluster that grows and shrinks."""

    def __init__(
        self, placement: Placement, machines: Callable[[], Sequence[Machine]], wanted: int | None, *, trusted: bool
    ) -> None:
        """Look at the cluster.

        Args:
            placement: What one trial takes.
            machines: Looks at what there is now.
            wanted: Most trials at once; None = as many as fit.
            trusted: Whether `wanted` trials may wait for a cluster that holds none as yet: what waits is what makes it
                grow.

        Raises:
            ClusterError: If not even one trial fits, and none may wait.
        """
        self._placement, self._machines, self._wanted = placement, machines, wanted
        there = machines()
        self._waits = trusted and wanted is not None and not fitting(placement, there)
        if not self._waits:
            concurrent_trials(placement, there, wanted, hint=_HINT if trusted else "")
        self._look(there)

    def __call__(self) -> int:
        """How many trials may run at once: 0 while the nodes are lost that could hold one."""
        if time.monotonic() - self._looked > LOOK_AGAIN:
            self._look(self._machines())
        return self._now

    def _look(self, machines: Sequence[Machine]) -> None:
        if self._waits and self._wanted is not None:
            self._now = self._wanted
        else:
            fits = fitting(self._placement, machines)
            self._now = min(fits, self._wanted) if self._wanted else fits
        self._looked = time.monotonic()


def with_decoders(placement: Placement, machines: Sequence[Machine]) -> Placement:
    """Let decoding processes count as CPUs, as far as one trial still fits: a small machine is busy, not refused.

    Args:
        placement: What one trial would like.
        machines: Resources of each.

    Returns:
        What it gets; as many processes decode as before.
    """
    for decoders in range(placement.decoders, 0, -1):
        fewer = replace(placement, decoders=decoders)
        if fitting(fewer, machines):
            return fewer
    return replace(placement, decoders=0)


def resources_here() -> dict[str, float]:
    """What Ray would find on this machine: its CPUs, as far as this process may use them, and its GPUs."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf
    cpus = min(get_num_cpus(override_docker_cpu_warning=True), allowed)
    return {"CPU": float(max(1, cpus)), "GPU": float(torch.cuda.device_count())}


def _workers_on(placement: Placement, machine: Machine) -> int:
    by_cpus = int(machine.get("CPU", 0.0) // placement.cpus)
    if not placement.gpus:
        return by_cpus
    gpus = int(machine.get("GPU", 0.0))
    # A share is of one GPU: at 0.4 the fifths that are left of two GPUs are no third share.
    share = max(1, round(placement.gpus * _SHARES))
    by_gpus = gpus // int(placement.gpus) if placement.gpus >= 1 else gpus * (_SHARES // share)
    return min(by_cpus, by_gpus)


def _needs(placement: Placement) -> str:
    worker = _amounts({"CPU": placement.cpus, "GPU": placement.gpus})
    return worker if placement.workers == 1 else f"{placement.workers} workers of {worker} each"


def _described(placement: Placement, machines: Sequence[Machine]) -> str:
    kinds = Counter((_amounts(machine), _workers_on(placement, machine)) for machine in machines)
    if not kinds:
        return "no nodes"
    return ", ".join(
        f"{count} {_plural('node', count)} with {amounts} ({_plural('room', 1)} for {workers})"
        for (amounts, workers), count in kinds.items()
    )


def _amounts(machine: Machine) -> str:
    cpus, gpus = machine.get("CPU", 0.0), machine.get("GPU", 0.0)
    return f"{cpus:g} {_plural('CPU', cpus)} and {gpus:g} {_plural('GPU', gpus)}"


def _plural(word: str, count: float) -> str:
    return word if count == 1 else f"{word}s"
