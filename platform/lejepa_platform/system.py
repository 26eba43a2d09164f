"""What a trial takes of its machine, sampled while it runs: a file of its own, which no result depends on.

Names are those that MLflow's page of system metrics has. Each sample keeps its number and time, so that it is the same
point in MLflow however often it is sent.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil
import torch

from lejepa_platform.config import Flat
from lejepa_platform.errors import StorageError, SupersededError
from lejepa_platform.ledger import TrialLedger

SECONDS: Final = 10.0
"""Between samples in the first hour; then ever longer, or a trial of days would write megabytes each time."""
_HOUR: Final = 360
"""Samples."""


@contextmanager
def sampled(ledger: TrialLedger, *, seconds: float = SECONDS) -> Iterator[None]:
    """Sample this process and its machine into the trial's `system.jsonl`, after those of earlier attempts.

    Args:
        ledger: The trial, for writing.
        seconds: Between samples; a trial that ends before leaves none.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_sample, args=(ledger, seconds, ended), name="lejepa-system", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sample(ledger: TrialLedger, seconds: float, ended: threading.Event) -> None:
    process, start = psutil.Process(), time.monotonic()
    # The first call of either measures from here on.
    psutil.cpu_percent()
    process.cpu_percent()
    rows: list[Flat] | None = None
    while not ended.wait(max(seconds, (time.monotonic() - start) / _HOUR)):
        rows = ledger.system() if rows is None else rows
        rows.append({"sample": len(rows), "time": round(1000 * time.time()), **_measure(process)})
        try:
            ledger.write("system.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        except SupersededError:
            return
        except StorageError:
            # Training will say so, where it matters.
            continue


def _measure(process: psutil.Process) -> dict[str, float]:
    memory, own = psutil.virtual_memory(), process.memory_info().rss
    found = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / 1e6,
        "system/system_memory_usage_percentage": memory.percent,
        "system/process_cpu_percentage": process.cpu_percent(),
        "system/process_memory_megabytes": own / 1e6,
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found |= _measure_gpu(torch.cuda.current_device())
    return {name: round(value, 1) for name, value in found.items()}


def _measure_gpu(index: int) -> dict[str, float]:
    free, total = torch.cuda.mem_get_info(index)
    found = {
        f"system/gpu_{index}_memory_usage_megabytes": (total - free) / 1e6,
        f"system/gpu_{index}_memory_usage_percentage": 100 * (total - free) / total,
    }
    # It needs NVIDIA's management library, which not every machine has.
    with suppress(Exception):
        found[f"system/gpu_{index}_utilization_percentage"] = float(torch.cuda.utilization(index))
    return found
