"""How long a fresh process takes to its first gradient, with an empty kernel cache and with a filled one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from contenders import OURS, kernel_options
from timing import Bar, Spread, print_table, spread

ROOT = Path(__file__).parents[2]
STARTUP_BAR = Bar(4)
WARM_RUNS = 3
PHASES = ("import torch", "import SIGReg", "forward + backward", "start to gradient", "whole process")


def cold_environment(folder: Path) -> dict[str, str]:
    """Variables that put every cache of compiled kernels below a folder."""
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "LEJEPA_CACHE_DIR": str(folder / "lejepa"),
    }


def run_startup(names: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """Ours with each kernel: one cold process, then warm ones on the cache that it left."""
    found = []
    for name in (name for name in names if name.startswith(OURS)):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | cold_environment(Path(folder))
            runs = [_first_gradient(name, environment) for _ in range(2 if quick else 1 + WARM_RUNS)]
        found += [_phases(name, "cold", runs[:1]), _phases(name, "warm", runs[1:])]
    print_table(
        "Start-up to the first gradient at (512, 128, 1024), one thread, seconds",
        ("contender", "cache", *PHASES, "bar on start to gradient"),
        [_row(row) for row in found],
    )
    return found


def _first_gradient(name: str, environment: dict[str, str]) -> tuple[float, ...]:
    command = [sys.executable, str(ROOT / "tests/benchmarks/first_gradient.py"), json.dumps(kernel_options(name))]
    start = time.monotonic()
    done = subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    end = time.monotonic()
    marks = json.loads(done.stdout.splitlines()[-1])
    return (*(after - before for before, after in pairwise(marks)), marks[-1] - start, end - start)


def _phases(name: str, cache: str, runs: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    seconds = {phase: spread(values) for phase, values in zip(PHASES, zip(*runs, strict=True), strict=True)}
    return {"contender": name, "cache": cache, "seconds": seconds, "bar": STARTUP_BAR if cache == "warm" else None}


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    seconds: dict[str, Spread] = row["seconds"]
    verdict = row["bar"].verdict(seconds["start to gradient"].median) if row["bar"] else ""
    return (row["contender"], row["cache"], *(f"{seconds[phase].median:.2f}" for phase in PHASES), verdict)
