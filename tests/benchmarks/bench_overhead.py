"""What an inline trial costs besides its own work: `python tests/benchmarks/bench_overhead.py [--json PATH]`.

A study of one-step trials, one at a time, through the real command. Trials follow one another without a pause, so the
time between the first result and the last, divided by the results between, is what a further trial adds; the trial's
own step, probe and data loading, which `result.json` gives as `seconds`, are taken off.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from toys import write_folder  # noqa: E402

TRIALS = 30


def measure(folder: Path) -> dict[str, float]:
    """Run the study below a folder; seconds per trial after the first."""
    command = [
        sys.executable, str(ROOT / "sweeps" / "lambda_stability.py"), "--architectures", "resnet10t_w32",
        "--datasets", f"folder:{write_folder(folder / 'stripes')}", "--seeds", "1", "--epochs", "1",
        "--lambdas", *(f"{0.01 + 0.01 * i:g}" for i in range(TRIALS)), "--batch-size", "48", "--image-size", "16",
        "--max-concurrent", "1", "--storage", str(folder / "studies"), "--study", "bench",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    results = sorted(folder.glob("studies/bench/trials/*/result.json"), key=lambda path: path.stat().st_mtime)
    caches = [path for path in folder.glob("studies/.cache/*") if path.is_dir()]
    assert len(results) == TRIALS
    assert len(caches) == 1
    wall = (results[-1].stat().st_mtime - results[0].stat().st_mtime) / (TRIALS - 1)
    own = mean(json.loads(path.read_text())["seconds"] for path in results[1:])
    return {"trials": TRIALS, "wall_per_trial": wall, "own_per_trial": own, "overhead_per_trial": wall - own}


def main() -> None:
    """Print the figures, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    for name, value in figures.items():
        print(f"{name:20} {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
