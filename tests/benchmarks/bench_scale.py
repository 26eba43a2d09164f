"""What 10,000 trials cost that do nothing: `python tests/benchmarks/bench_scale.py [--trials 10000] [--json PATH]`.

Grid and TPE through the real path, beside a real MLflow server over SQLite: seconds per trial at the start and at the
end, memory of the driver, a second run of what is finished. And plain Ray Tune, its actors reused, with its own MLflow
callback on a server of its own, for as many trials as `--peer` says: its cost per trial grows, and would grow on.
And as many trials as `--busy` says that each keep a core busy for 0.2 s: which part of the cores' time they have,
beside the default tracking store and beside a server.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATHS = [str(path) for path in (ROOT, ROOT / "platform", ROOT / "tests", HERE)]
sys.path[:0] = PATHS

BLOCK = 1000
"""Trials whose pace is compared: the first so many with the last."""
CONCURRENT = 2


def main() -> None:
    """Print the figures, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--peer", type=int, default=3_000, help="trials of plain Ray Tune; 0 = none")
    parser.add_argument("--busy", type=int, default=1_000, help="trials that keep a core busy; 0 = none")
    parser.add_argument("--searches", nargs="*", default=["grid", "tpe"])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        step, folder, trials, uri = arguments.worker
        match step:
            case "peer":
                found = _peer(int(trials), uri)
            case "sync":
                found = _synchronise(Path(folder), uri)
            case _:
                found = _ours(step, Path(folder), int(trials), uri)
        print(json.dumps(found))
        return
    figures: dict[str, float] = {}
    for search in arguments.searches:
        figures |= {f"{search}/{name}": value for name, value in measure(search, arguments.trials).items()}
    if arguments.peer:
        figures |= {f"peer/{name}": value for name, value in measure("peer", arguments.peer).items()}
    if arguments.busy:
        for tracker, served in (("store", False), ("server", True)):
            found = measure("busy", arguments.busy, served=served)
            figures[f"busy-{tracker}/share"] = found["trial_seconds"] / (CONCURRENT * found["seconds"])
            figures |= {f"busy-{tracker}/{name}": value for name, value in found.items()}
    for name, value in figures.items():
        print(f"{name:24} {value:10.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def measure(step: str, trials: int, *, served: bool = True) -> dict[str, float]:
    """Run one of them beside a server of its own, or beside the default store."""
    from servers import MLFLOW, server
    from trackers import free_port, make_store

    from lejepa_platform.tracking import default_uri

    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        if not served:
            return _measure(step, folder, trials, default_uri(Path(folder)))
        port = free_port()
        uri = f"http://127.0.0.1:{port}"
        with server(MLFLOW, folder, str(port), health=f"{uri}/health", log=Path(folder) / "server.log"):
            return _measure(step, folder, trials, uri)


def _measure(step: str, folder: str, trials: int, uri: str) -> dict[str, float]:
    first = _run(step, folder, trials, uri)
    if step == "peer":
        return first
    # Trials that do nothing are faster than a tracker: what it lacks at the end counts as well.
    rest = _run("sync", f"{folder}/{step}", trials, uri)["seconds"]
    again = _run(step, folder, trials, uri)
    assert again["held"] == trials
    return {**first, "sync": rest, "each": (first["seconds"] + rest) / trials, "resume": again["seconds"]}


def _run(step: str, folder: str, trials: int, uri: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", step, folder, str(trials), uri]
    path = os.pathsep.join([*PATHS, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _ours(search: str, storage: Path, trials: int, uri: str) -> dict[str, float]:
    """Drive a study of so many trials that do nothing."""
    from lejepa_platform.execution import Execution
    from lejepa_platform.study import run_study

    config = study(search, trials)
    execution = Execution(
        storage=storage,
        sources={name: name for name in config.datasets},
        tracking_uri=uri,
        max_concurrent=CONCURRENT,
        trial_function="noop:busy" if search == "busy" else "noop:run",
    )
    start = time.perf_counter()
    ledger = run_study(config, execution)
    seconds = time.perf_counter() - start
    ends = [(trial.path / "result.json").stat().st_mtime for trial in ledger.trials()]
    inside = sum((trial.result() or {})["seconds"] for trial in ledger.trials())
    found = {**paces(ends), "seconds": seconds, "trial_seconds": inside, "memory_gb": peak_memory()}
    return {**found, "held": held(config.name, uri)}


def _synchronise(folder: Path, uri: str) -> dict[str, float]:
    """Write what the tracker lacks."""
    from lejepa_platform.ledger import StudyLedger
    from lejepa_platform.tracking import sync

    start = time.perf_counter()
    sync(StudyLedger(folder), uri)
    return {"seconds": time.perf_counter() - start}


def study(search: str, trials: int) -> Any:
    """A study of about the shape of the paper's: 25 architectures on 4 data sets, 2 seeds."""
    from lejepa_platform.config import StudyConfig

    architectures = tuple(f"net{i}" for i in range(25))
    datasets = tuple(f"set{i}" for i in range(4))
    each = trials // (len(architectures) * len(datasets) * 2)
    assert each * len(architectures) * len(datasets) * 2 == trials, "trials must be a multiple of 200"
    tpe = search == "tpe"
    lambdas = (0.001, 0.9) if tpe else tuple(round(0.001 + 0.9 * i / each, 6) for i in range(each))
    return StudyConfig(
        name=search, preset="quick", architectures=architectures, datasets=datasets,
        fingerprints={name: f"{i:016d}" for i, name in enumerate(datasets)}, lambdas=lambdas,
        optimisers=dict.fromkeys(architectures, ((1e-3, 0.05),)), families=dict.fromkeys(architectures, "nets"),
        local_sizes=dict.fromkeys(architectures, 16), seeds=(0, 1), search="tpe" if tpe else "grid",
        trials=each if tpe else 0, shared={"epochs": 4, "image_size": 32},
    )  # fmt: skip


def _peer(trials: int, uri: str) -> dict[str, float]:
    """Plain Ray Tune: reused actors, its MLflow callback."""
    import ray
    from plain import Plain
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    ends: list[float] = []

    class Clock(tune.Callback):  # type: ignore[misc,unused-ignore]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            ends.append(time.time())

    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0",
                   "TUNE_GLOBAL_CHECKPOINT_S": "3600"}  # fmt: skip
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(Plain, {"CPU": 1}),
            param_space={"lambda": tune.uniform(0.001, 0.9)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=CONCURRENT, reuse_actors=True),
            run_config=tune.RunConfig(
                name="peer", storage_path=folder, verbose=0,
                callbacks=[MLflowLoggerCallback(tracking_uri=uri, experiment_name="peer"), Clock()],
            ),
        ).fit()  # fmt: skip
    seconds = time.perf_counter() - start
    ray.shutdown()
    pace = {**paces(ends), "seconds": seconds, "each": seconds / trials}
    return {**pace, "memory_gb": peak_memory(), "held": held("peer", uri)}


def paces(ends: list[float]) -> dict[str, float]:
    """Median seconds per trial in the first block and in the last, from the times at which trials ended."""
    ends = sorted(ends)
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    block = min(BLOCK, len(gaps) // 2)
    # Two at a time end together: single gaps are of two kinds, their means over ten are not.
    first, last = (statistics.median(_tens(part)) for part in (gaps[:block], gaps[-block:]))
    return {"first": first, "last": last, "growth": last / first}


def _tens(gaps: list[float]) -> list[float]:
    return [statistics.mean(gaps[i : i + 10]) for i in range(0, len(gaps) - 9, 10)]


def peak_memory() -> float:
    """Most that this process ever held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def held(experiment: str, uri: str) -> float:
    """Runs of trials that the tracker holds as ended."""
    from lejepa_platform.tracking.client import connect

    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    count, token = 0, None
    while True:
        page = client.search_runs([found.experiment_id], max_results=1000, page_token=token)
        count += sum(run.info.status == "FINISHED" and run.data.tags.get("role", "trial") == "trial" for run in page)
        token = page.token
        if not token:
            return count


if __name__ == "__main__":
    main()
