"""How long 10,000 runs in MLflow take to become a table and a report, and how large the report is.

`python tests/benchmarks/bench_results.py [--runs 10000] [--json PATH]`, on an SQLite store that it makes.
Cold: nothing was read before; warm: another process, with the cache that the first one left, of which MLflow's opening
of the store is about half; again: the same process once more, as the live page reads. The time of importing mlflow,
pandas and the rest stands beside, not in any of them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BARS = {"cold": 20.0, "warm": 2.0, "again": 2.0, "report": 60.0, "megabytes": 40.0}
"""Seconds, and megabytes, that each may take."""


def main() -> None:
    """Print the figures beside the bars, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_work(*arguments.worker)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.runs)
    for name, value in figures.items():
        bar = BARS.get(name)
        print(f"{name:12} {value:10.2f}" + (f"  ≤ {bar:g} {'ok' if value <= bar else 'MISSED'}" if bar else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def measure(storage: Path, runs: int) -> dict[str, float]:
    """Make a store and read it, each step in a process of its own."""
    made = _run("make", storage, runs)
    cold, warm, report = (_run(step, storage, runs) for step in ("table", "table", "report"))
    assert cold["runs"] == warm["runs"] >= runs
    return {
        "runs": cold["runs"],
        "make": made["seconds"],
        "import": warm["import"],
        "cold": cold["seconds"],
        "warm": warm["seconds"],
        "again": warm["again"],
        "report": report["seconds"],
        "megabytes": report["megabytes"],
    }


def _run(step: str, storage: Path, runs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", step, str(storage), str(runs)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _work(step: str, folder: str, runs: str) -> dict[str, float]:
    storage, start = Path(folder), time.perf_counter()
    from dashboards.findings import find
    from dashboards.remote import read_remote
    from dashboards.report import render, summarise
    from lejepa_platform.tracking import default_uri
    from lejepa_platform.tracking.client import load

    load()
    imported = time.perf_counter()
    figures = {"import": imported - start}
    if step == "make":
        from synthetic_store import make_synthetic_store

        make_synthetic_store(storage, int(runs), "big")
        figures["seconds"] = time.perf_counter() - imported
    else:
        results = read_remote("big", default_uri(storage), storage / ".cache")
        figures |= {"runs": len(results.trials), "seconds": time.perf_counter() - imported}
        start = time.perf_counter()
        read_remote("big", default_uri(storage), storage / ".cache")
        figures["again"] = time.perf_counter() - start
        if step == "report":
            start = time.perf_counter()
            found = find(results)
            page = render(results, found, summarise(results, found))
            figures["seconds"] += time.perf_counter() - start
            figures["megabytes"] = len(page.encode()) / 1e6
    return figures


if __name__ == "__main__":
    main()
