"""A study of thousands of trials in an MLflow store within seconds: rows as `record` makes them, inserted in bulk."""

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow.store.tracking.dbmodels import models

from lejepa_platform.config import StudyConfig, TrialConfig
from lejepa_platform.storage import write_json
from lejepa_platform.tracking import default_uri
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.record import Record

LAMBDAS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
DATASETS = 10
SEEDS = 3
EPOCHS = 10
STARTED = 1_790_000_000_000
CHUNK = 1000
FINISHED_AGO = 3600


def make_synthetic_store(storage: Path, runs: int, name: str = "big") -> str:
    """Make STORAGE/mlflow.db with one study of at least so many finished trials; returns its address."""
    uri, config = default_uri(storage), study_config(runs, name)
    client = connect(uri)
    place = (storage / "mlartifacts" / name).absolute().as_uri()
    experiment = client.create_experiment(name, artifact_location=place)
    trials = config.grid()
    top = client.create_run(experiment, tags={"role": "study", "study": name}, run_name=name)
    client.set_terminated(top.info.run_id)
    document = {"name": name, "method_version": 3, "config": config.flat(), "planned": [t.key for t in trials]}
    write_json(storage / "document" / "study.json", {**document, "notes": []})
    client.log_artifact(top.info.run_id, str(storage / "document" / "study.json"))
    engine = sqlalchemy.create_engine(uri)
    records = enumerate(_records(trials))
    mirrored = int(time.time()) - len(trials) - FINISHED_AGO
    while chunk := list(itertools.islice(records, CHUNK)):
        _insert(engine, experiment, chunk, mirrored)
    engine.dispose()
    return uri


def study_config(runs: int, name: str) -> StudyConfig:
    """A grid of λ, seeds and data sets, with as many architectures as give so many trials."""
    count = -(-runs // (len(LAMBDAS) * SEEDS * DATASETS))
    architectures = tuple(f"architecture_{i:02}" for i in range(count))
    datasets = tuple(f"dataset_{i}" for i in range(DATASETS))
    return StudyConfig(
        name=name,
        preset="paper",
        architectures=architectures,
        datasets=datasets,
        fingerprints={dataset: f"f{dataset}" for dataset in datasets},
        lambdas=LAMBDAS,
        optimisers={architecture: ((1e-3, 0.05),) for architecture in architectures},
        families={architecture: f"family_{i // 6}" for i, architecture in enumerate(architectures)},
        local_sizes=dict.fromkeys(architectures, 96),
        seeds=tuple(range(SEEDS)),
        shared={"epochs": EPOCHS},
    )


def _records(trials: list[TrialConfig]) -> Iterator[Record]:
    draw = random.Random(0)
    for index, trial in enumerate(trials):
        cell, gain = random.Random(f"{trial.cell}").random(), draw.gauss(0, 0.01)
        accuracy = 0.5 + 0.3 * cell - 0.02 * abs(trial.lambda_ - 0.05) / 0.05 + gain
        rows = [
            {"epoch": e, "train/loss": 2.0 / e + gain, "train/prediction": 1.0 / e, "train/sigreg": 9.0 / e}
            for e in range(1, EPOCHS + 1)
        ]
        metrics = {**_metrics(accuracy, draw), **{k: v for k, v in rows[-1].items() if k != "epoch"}}
        outcome = "collapsed" if index % 97 == 0 else "ok"
        result = {
            "key": trial.key,
            "outcome": outcome,
            "reason": "",
            "metrics": metrics,
            "seconds": 45.0 + draw.random(),
        }
        yield Record(key=trial.key, config=trial.flat(), created=STARTED + 1000 * index, rows=rows, result=result)


def _metrics(accuracy: float, draw: random.Random) -> dict[str, float]:
    names = ("val/linear_top1", "test/linear_top1", "val/knn_top1", "test/knn_top1")
    return {
        **{name: accuracy + draw.gauss(0, 0.005) for name in names},
        "floor/random_init_linear_top1": 0.4,
        "floor/random_init_knn_top1": 0.35,
        "floor/chance": 0.1,
        "train/sigreg_share": draw.random(),
        "geometry/effective_rank": 30 + draw.random(),
        "geometry/spread": 1 + draw.gauss(0, 0.1),
        **{f"objective/{name}": 8.0 for name in ("samples", "dims", "views", "knots", "slices", "ranks")},
    }


def _insert(engine: Any, experiment: str, records: list[tuple[int, Record]], mirrored: int) -> None:
    tables: dict[Any, list[dict[str, Any]]] = {}
    for index, record in records:
        run = f"{index:032x}"
        place = f"mlartifacts/{run}"
        about = {"run_uuid": run, "name": record.name(optimiser=False), "experiment_id": int(experiment)}
        about |= {"status": record.status, "start_time": record.created, "end_time": record.ended}
        about |= {"lifecycle_stage": "active", "artifact_uri": place, "user_id": "bench", "source_type": "LOCAL"}
        tables.setdefault(models.SqlRun, []).append(about)
        tags = {**record.tags(), "mirrored": str(record.stamp), "mirrored_at": str(mirrored + index)}
        tables.setdefault(models.SqlTag, []).extend(_texts(run, tags))
        tables.setdefault(models.SqlParam, []).extend(_texts(run, record.params()))
        points = [
            {"run_uuid": run, "key": p.key, "value": p.value, "step": p.step, "timestamp": p.timestamp, "is_nan": False}
            for p in record.points(None)
        ]
        tables.setdefault(models.SqlMetric, []).extend(points)
        tables.setdefault(models.SqlLatestMetric, []).extend({point["key"]: point for point in points}.values())
    with engine.begin() as connection:
        for model, rows in tables.items():
            connection.execute(sqlalchemy.insert(model.__table__), rows)


def _texts(run: str, texts: dict[str, str]) -> list[dict[str, str]]:
    return [{"run_uuid": run, "key": key, "value": text} for key, text in texts.items()]
