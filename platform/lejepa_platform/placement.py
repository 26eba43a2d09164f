"""How many trials a cluster holds at once: Tune does not reserve what Ray Train's workers take."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from ray._private.utils import get_num_cpus

from lejepa_platform.errors import ClusterError
from lejepa_platform.executors import Placement

LOG = logging.getLogger("lejepa")


def concurrent_trials(placement: Placement, cluster: Mapping[str, float], wanted: int | None) -> int:
    """How many trials run at once: Tune does not reserve what Ray Train's workers take, so this is the arithmetic.

    Raises:
        ClusterError: If not even one fits.
    """
    needs = {"CPU": float(placement.workers * placement.cpus), "GPU": placement.workers * placement.gpus}
    for name, need in needs.items():
        have = cluster.get(name, 0.0)
        if need > have:
            raise ClusterError(
                f"a trial of {placement.workers} workers needs {need:g} {name}s, the cluster has {have:g}; "
                "lower --workers-per-trial or --gpus-per-worker"
            )
    if not placement.gpus and cluster.get("GPU"):
        LOG.warning("the cluster has GPUs and no trial uses them; say --gpus-per-worker 1, or a fraction")
    fitting = min(int(cluster.get(name, 0.0) / need + 1e-9) for name, need in needs.items() if need)
    return min(fitting, wanted) if wanted else fitting


def with_decoders(placement: Placement, machines: Sequence[Mapping[str, float]]) -> Placement:
    """Let decoding processes count as CPUs, as far as one trial still fits: a small machine is busy, not refused.

    Args:
        placement: What one trial would like.
        machines: Resources of each.

    Returns:
        What it gets; as many processes decode as before.
    """
    for decoders in range(placement.decoders, 0, -1):
        fewer = replace(placement, decoders=decoders)
        if sum(int(machine.get("CPU", 0.0) // fewer.cpus) for machine in machines) >= placement.workers:
            return fewer
    return replace(placement, decoders=0)


def resources_here() -> dict[str, float]:
    """What Ray would find on this machine: its CPUs, as far as this process may use them, and its GPUs."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf
    cpus = min(get_num_cpus(override_docker_cpu_warning=True), allowed)
    return {"CPU": float(max(1, cpus)), "GPU": float(torch.cuda.device_count())}
