"""How long 10,000 runs in MLflow take to become a table and a report, and 500 trials' report to be there for a reader.

`python tests/benchmarks/bench_results.py [--runs 10000] [--json PATH]`, on an SQLite store that it makes.
Cold: nothing was read before; warm: another process, with the cache that the first one left, of which MLflow's opening
of the store is about half; again: the same process once more, as the live page reads. The time of importing mlflow,
pandas and the rest stands beside, not in any of them. Interactive: from asking a browser without network for the file
until a click has sorted a table; drawn: until every figure is that is not folded away.
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
READ = 500
"""Trials of the report that a browser opens."""
BARS = {
    "cold": 20.0, "warm": 2.0, "again": 2.0, "report": 60.0, "megabytes": 40.0,
    "interactive": 3.0, "read_megabytes": 12.0,
}  # fmt: skip
"""Seconds, and megabytes, that each may take."""

UNDRAWN = (
    "[...document.querySelectorAll('.plot')]"
    ".some(figure => figure.checkVisibility() && !figure.querySelector('.main-svg'))"
)
CHROMIUM = "/usr/bin/chromium"


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
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as small:
        figures = measure(Path(folder), arguments.runs) | measure_page(Path(small))
    for name, value in figures.items():
        bar = BARS.get(name)
        print(f"{name:14} {value:10.2f}" + (f"  ≤ {bar:g} {'ok' if value <= bar else 'MISSED'}" if bar else ""))
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


def measure_page(storage: Path) -> dict[str, float]:
    """Make a report of some 500 trials and open it."""
    _run("make", storage, READ)
    report = _run("report", storage, READ)
    seconds = _open(storage / "report.html")
    return {"read": report["runs"], **seconds, "read_megabytes": report["megabytes"]}


def _open(page: Path) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = chromium.new_context(viewport={"width": 1280, "height": 1600}, offline=True)
        tab = context.new_page()
        tab.goto("about:blank")
        start = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.locator(".sortable thead th:visible").first.click()
        tab.locator(".sortable th[aria-sort]").wait_for()
        interactive = time.perf_counter() - start
        while tab.evaluate(UNDRAWN):
            time.sleep(0.02)
        drawn = time.perf_counter() - start
        chromium.close()
    return {"interactive": interactive, "drawn": drawn}


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
            (storage / "report.html").write_text(page, encoding="utf-8")
    return figures


if __name__ == "__main__":
    main()
