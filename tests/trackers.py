"""Studies to mirror, and what a tracking store then holds, read past MLflow."""

import math
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import Outcome, StudyLedger, TrialLedger, TrialResult
from lejepa_platform.storage import write_json
from lejepa_platform.tracking import default_uri
from lejepa_platform.tracking.client import connect

PYTHON_PATH = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
METRICS = {"test/linear_top1": 0.75, "geometry/spread": 1.5, "val/knn_top1": None}


@cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """A migrated, empty store: making one takes seconds, copying it none."""
    folder = tempfile.TemporaryDirectory()
    connect(default_uri(Path(folder.name))).search_experiments()
    return folder


def make_store(storage: Path) -> Path:
    """An empty tracking store in a storage folder."""
    return Path(shutil.copy(Path(_template().name) / "mlflow.db", storage))


def make_study(storage: Path, name: str = "demo", **settings: Any) -> StudyLedger:
    study = StudyLedger.at(storage, name)
    optimisers = {"resnet10t_w32": [[1e-3, 0.05]], "vit_tiny": [[1e-3, 0.05], [5e-4, 0.01]]}
    write_json(study.path / "study.json", {"name": name, "config": {"optimisers": optimisers, **settings}})
    return study


def trial(lambda_: float = 0.05, seed: int = 0, architecture: str = "resnet10t_w32") -> TrialConfig:
    return TrialConfig(
        architecture=architecture,
        family="resnet",
        dataset="digits",
        data_fingerprint="f00d",
        lambda_=lambda_,
        learning_rate=1e-3,
        weight_decay=0.05,
        seed=seed,
        epochs=3,
    )


def rows(epochs: int, scale: float = 1.0) -> list[dict[str, Any]]:
    return [
        {"epoch": e, "step": 10 * e, "train/loss": scale / e, "train/sigreg": scale * e, "seconds": 0.1}
        for e in range(1, epochs + 1)
    ]


def finish(ledger: TrialLedger, config: TrialConfig, outcome: Outcome = "ok", **changes: Any) -> None:
    values = {
        "metrics": {**METRICS, "train/loss": (ledger.history() or [{}])[-1].get("train/loss")},
        "seconds": 12.5,
        **changes,
    }
    ledger.write_result(TrialResult(key=config.key, outcome=outcome, config=config.flat(), **values))


def add_trial(study: StudyLedger, config: TrialConfig, epochs: int = 3) -> TrialLedger:
    ledger = study.trial(config.key).begin(config)
    ledger.write_metrics(rows(epochs))
    finish(ledger, config)
    return ledger


def stored(database: Path, study: str = "demo") -> list[dict[str, Any]]:
    """The runs of a study, read from the database itself; all metric points, so that a second one shows."""
    with closing(sqlite3.connect(database)) as db:
        query = (
            "SELECT run_uuid, r.name, status, start_time, end_time FROM runs r"
            " JOIN experiments e USING (experiment_id)"
            " WHERE e.name = ? AND r.lifecycle_stage = 'active' ORDER BY r.name, run_uuid"
        )
        runs = db.execute(query, (study,)).fetchall()
        metrics = "SELECT key, step, timestamp, value FROM metrics WHERE run_uuid = ? ORDER BY 1, 2, 3, 4"
        return [
            {
                "id": run,
                "name": name,
                "status": status,
                "start": start,
                "end": end,
                "tags": dict(db.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,))),
                "params": dict(db.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,))),
                "points": db.execute(metrics, (run,)).fetchall(),
            }
            for run, name, status, start, end in runs
        ]


def trials_of(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [run for run in runs if run["tags"]["role"] == "trial"]
    assert len({run["tags"]["trial_key"] for run in found}) == len(found), "two runs of one trial"
    return {run["tags"]["trial_key"]: run for run in found}


def expected_points(ledger: TrialLedger, config: TrialConfig) -> list[tuple[str, int, int, float]]:
    document, result = ledger.config(), ledger.result()
    assert document is not None
    created, history = document["created"], ledger.history()
    points = [
        ("hp/lambda", 0, created, config.lambda_),
        ("hp/log10_lambda", 0, created, math.log10(config.lambda_)),
        ("hp/learning_rate", 0, created, config.learning_rate),
    ]
    for row in history:
        e = row["epoch"]
        points += [(name, e, created + e, row[name]) for name in ("train/loss", "train/sigreg")]
    if result is not None:
        last = len(history)
        final = {"cost/seconds": result["seconds"], **result["metrics"]}
        points += [
            (name, last, created + last, value)
            for name, value in final.items()
            if value is not None and not (last and name == "train/loss")
        ]
    return sorted(points)


def assert_mirrored(study: StudyLedger, database: Path, configs: list[TrialConfig]) -> None:
    held = trials_of(stored(database, study.name))
    assert held.keys() == {config.key for config in configs}
    for config in configs:
        assert held[config.key]["points"] == expected_points(study.trial(config.key), config)


def wait_for(holds: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]
