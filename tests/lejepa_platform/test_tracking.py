import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trackers import (
    PYTHON_PATH,
    add_trial,
    assert_mirrored,
    expected_points,
    finish,
    make_store,
    make_study,
    rows,
    stored,
    trial,
    trials_of,
    wait_for,
)

from lejepa_platform.config import METHOD_VERSION, TrialConfig
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import Outcome, StudyLedger, TransferResult
from lejepa_platform.tracking import Tracker, default_uri, sync
from lejepa_platform.tracking.client import connect


@pytest.fixture
def study(tmp_path: Path) -> StudyLedger:
    make_store(tmp_path)
    return make_study(tmp_path)


def without_ids(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = ("mlflow.parentRunId", "mlflow.user", "mlflow.source.name", "mirrored_at")
    return [{**r, "id": "", "tags": {k: v for k, v in r["tags"].items() if k not in own}} for r in runs]


def test_a_growing_study_is_mirrored_exactly_and_quietly(
    study: StudyLedger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri, config = default_uri(tmp_path), trial()
    tracker = Tracker(study, uri, artifacts=tmp_path / "mlartifacts")
    tracker.open()
    ledger = study.trial(config.key).begin(config)
    tracker.touch(config.key)
    for epochs in (1, 2, 3):
        ledger.write_metrics(rows(epochs))
        tracker.touch(config.key)
        if epochs < 3:
            wait_for(lambda n=epochs: len(points_of(tmp_path, config, "train/loss")) == n)
    (running,) = trials_of(stored(tmp_path / "mlflow.db")).values()
    assert running["status"] == "RUNNING"
    assert "outcome" not in running["tags"]
    finish(ledger, config)
    tracker.touch(config.key)
    other = trial(architecture="vit_tiny", lambda_=1e-05)
    add_trial(study, other)
    tracker.touch(other.key)
    (study.path / "report.html").write_text("<p>λ</p>")
    tracker.attach(study.path / "report.html")
    assert tracker.close() == ""

    assert_mirrored(study, tmp_path / "mlflow.db", [config, other])
    runs = stored(tmp_path / "mlflow.db")
    held = trials_of(runs)[config.key]
    assert held["status"] == "FINISHED"
    assert held["end"] - held["start"] == 12_500
    assert held["name"] == "λ=0.05 seed=0"
    assert held["params"] | {"lambda": "0.05", "learning_rate": "0.001", "global_scale": "[0.3,1.0]"} == held["params"]
    assert held["params"].keys() == {name for name, value in config.flat().items() if value not in (None, "")}
    wanted = {
        "study": "demo",
        "trial_key": config.key,
        "outcome": "ok",
        "architecture": "resnet10t_w32",
        "dataset": "digits",
        "family": "resnet",
        "seed": "0",
        "objective_form": "(1-lambda)*prediction + lambda*sigreg; per view; N global",
        "method_version": str(METHOD_VERSION),
    }
    assert held["tags"] | wanted == held["tags"]
    assert trials_of(runs)[other.key]["params"]["lambda"] == "0.00001"
    assert trials_of(runs)[other.key]["name"] == "λ=0.00001 seed=0 lr=0.001 wd=0.05"

    by_id = {run["id"]: run for run in runs}
    cell = by_id[held["tags"]["mlflow.parentRunId"]]
    (top,) = [run for run in runs if run["tags"]["role"] == "study"]
    assert "mlflow.parentRunId" not in cell["tags"]
    assert (cell["name"], cell["tags"]["role"], cell["status"]) == (
        "resnet10t_w32 / digits",
        "cell",
        "FINISHED",
    )
    assert (top["name"], top["tags"]["role"], top["status"]) == ("demo", "study", "FINISHED")
    assert len(runs) == 1 + 2 + 2
    assert list((tmp_path / "mlartifacts" / "demo" / top["id"]).rglob("report.html"))

    again = Tracker(study, uri, artifacts=tmp_path / "mlartifacts")
    again.open()
    for key in (config.key, other.key):
        again.touch(key)
    assert again.close() == ""
    assert sync(study, uri) == 2
    assert stored(tmp_path / "mlflow.db") == runs
    assert capfd.readouterr() == ("", "")


def test_a_running_trial_is_followed_without_being_asked_again(
    study: StudyLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lejepa_platform.tracking.tracker.REFRESH_SECONDS", 0.1)
    config = trial()
    ledger = study.trial(config.key).begin(config)
    tracker = Tracker(study, default_uri(tmp_path))
    tracker.open()
    tracker.touch(config.key)
    for epochs in (1, 2):
        ledger.write_metrics(rows(epochs))
        wait_for(lambda n=epochs: len(points_of(tmp_path, config, "train/loss")) == n)
    assert tracker.close() == ""


def test_a_trial_that_has_only_just_started_is_held_back_for_a_moment(study: StudyLedger, tmp_path: Path) -> None:
    first, second = trial(seed=0), trial(seed=1)
    tracker = Tracker(study, default_uri(tmp_path))
    tracker.open()
    study.trial(first.key).begin(first)
    tracker.touch(first.key, started=True)
    add_trial(study, second)
    tracker.touch(second.key)
    wait_for(lambda: trials_of(stored(tmp_path / "mlflow.db")))
    assert trials_of(stored(tmp_path / "mlflow.db")).keys() == {second.key}
    wait_for(lambda: first.key in trials_of(stored(tmp_path / "mlflow.db")))
    third = trial(seed=2)
    study.trial(third.key).begin(third)
    tracker.touch(third.key, started=True)
    assert tracker.close() == ""
    assert third.key in trials_of(stored(tmp_path / "mlflow.db"))


def points_of(storage: Path, config: TrialConfig, metric: str) -> list[Any]:
    runs = trials_of(stored(storage / "mlflow.db"))
    return [p for p in runs[config.key]["points"] if p[0] == metric] if config.key in runs else []


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("diverged", "FINISHED"),
        ("collapsed", "FINISHED"),
        ("stopped", "KILLED"),
        ("oom", "FAILED"),
        ("error", "FAILED"),
    ],
)
def test_every_outcome_has_its_status(study: StudyLedger, tmp_path: Path, outcome: Outcome, status: str) -> None:
    config = trial()
    finish_without_epochs = {"metrics": {"train/loss": None}, "reason": "x" * 9000}
    finish(study.trial(config.key).begin(config), config, outcome, **finish_without_epochs)
    assert sync(study, default_uri(tmp_path)) == 1
    (held,) = trials_of(stored(tmp_path / "mlflow.db")).values()
    assert (held["status"], held["tags"]["outcome"]) == (status, outcome)
    assert held["tags"]["failure_reason"].startswith("xxx")
    assert held["points"] == expected_points(study.trial(config.key), config)


def test_a_killed_mirror_is_completed_and_a_lost_store_is_rebuilt(study: StudyLedger, tmp_path: Path) -> None:
    configs = [trial(seed=seed, lambda_=lambda_) for seed in range(6) for lambda_ in (0.01, 0.05)]
    for config in configs:
        add_trial(study, config)
    code = (
        "import sys; from pathlib import Path; from lejepa_platform.ledger import StudyLedger;"
        "from lejepa_platform.tracking import sync; sync(StudyLedger(Path(sys.argv[1])), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(study.path), default_uri(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **PYTHON_PATH}) as process:
        wait_for(lambda: process.poll() is not None or len(stored(tmp_path / "mlflow.db")) >= 5, 60)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it was to be killed in the middle"
    assert len(trials_of(stored(tmp_path / "mlflow.db"))) < len(configs)
    elsewhere = StudyLedger(Path(shutil.copytree(study.path, tmp_path / "elsewhere" / "demo")))
    shutil.copy(tmp_path / "mlflow.db", elsewhere.path.parent)

    assert sync(study, default_uri(tmp_path)) == len(configs)
    assert_mirrored(study, tmp_path / "mlflow.db", configs)
    healed = stored(tmp_path / "mlflow.db")
    assert len(healed) == 1 + 1 + len(configs)
    assert all(run["status"] == "FINISHED" for run in healed)

    (elsewhere.path.parent / "mlflow.db").unlink()
    assert sync(elsewhere, default_uri(elsewhere.path.parent)) == len(configs)
    assert without_ids(stored(elsewhere.path.parent / "mlflow.db")) == without_ids(healed)


def test_a_run_that_was_only_just_made_is_filled_and_a_second_one_goes(study: StudyLedger, tmp_path: Path) -> None:
    config = trial()
    add_trial(study, config)
    client = connect(default_uri(tmp_path))
    experiment = client.create_experiment("demo")
    for _ in range(2):
        client.create_run(experiment, tags={"role": "trial", "trial_key": config.key})
    client.delete_experiment(experiment)
    assert sync(study, default_uri(tmp_path)) == 1
    assert_mirrored(study, tmp_path / "mlflow.db", [config])
    ids = {run["id"] for run in stored(tmp_path / "mlflow.db")}
    assert trials_of(stored(tmp_path / "mlflow.db"))[config.key]["tags"]["mlflow.parentRunId"] in ids


def test_a_trial_that_was_run_again_leaves_no_old_points(study: StudyLedger, tmp_path: Path) -> None:
    config, uri = trial(), default_uri(tmp_path)
    add_trial(study, config)
    sync(study, uri)
    ledger = study.trial(config.key)
    ledger.forget()
    ledger = ledger.begin(config)
    ledger.write_metrics(rows(2, scale=2.0))
    sync(study, uri)
    assert_mirrored(study, tmp_path / "mlflow.db", [config])
    ledger.write_metrics(rows(1, scale=2.0))
    sync(study, uri)
    assert len(points_of(tmp_path, config, "train/loss")) == 2, "going back to a checkpoint takes nothing away"
    ledger.write_metrics(rows(3, scale=2.0))
    finish(ledger, config)
    sync(study, uri)
    assert_mirrored(study, tmp_path / "mlflow.db", [config])


def test_more_points_than_one_batch_takes(study: StudyLedger, tmp_path: Path) -> None:
    config = trial()
    add_trial(study, config, epochs=700)
    sync(study, default_uri(tmp_path))
    assert_mirrored(study, tmp_path / "mlflow.db", [config])


def test_a_damaged_trial_does_not_hold_up_the_others(study: StudyLedger, tmp_path: Path) -> None:
    configs = [trial(seed=seed) for seed in (0, 1)]
    for config in configs:
        add_trial(study, config)
    (study.trial(configs[0].key).path / "metrics.jsonl").write_text("{half a li")
    tracker = Tracker(study, default_uri(tmp_path))
    tracker.open()
    for config in configs:
        tracker.touch(config.key)
    message = tracker.close()
    assert "lacks 1 trial (" in message
    assert configs[0].key in message
    assert_mirrored(study, tmp_path / "mlflow.db", configs[1:])
    with pytest.raises(StudyError, match="1 of 2 trials cannot be mirrored"):
        sync(study, default_uri(tmp_path))


def forms(storage: Path) -> dict[str, str]:
    """Role of a run -> its objective."""
    return {run["tags"]["role"]: run["tags"]["objective_form"] for run in stored(storage / "mlflow.db")}


def test_every_run_names_what_lambda_weighs(tmp_path: Path) -> None:
    make_store(tmp_path)
    study = make_study(tmp_path, regularizer="watson")
    add_trial(study, replace(trial(), regularizer="watson"))
    sync(study, default_uri(tmp_path))
    form = "(1-lambda)*prediction + lambda*watson; per view; N global"
    assert forms(tmp_path) == {"study": form, "cell": form, "trial": form}


def test_a_study_from_before_there_were_regularizers_has_sigreg(study: StudyLedger, tmp_path: Path) -> None:
    path = add_trial(study, trial()).path / "config.json"
    document = json.loads(path.read_text())
    del document["config"]["regularizer"]
    path.write_text(json.dumps(document))
    sync(study, default_uri(tmp_path))
    form = "(1-lambda)*prediction + lambda*sigreg; per view; N global"
    assert forms(tmp_path) == {"study": form, "cell": form, "trial": form}


def test_mlflow_gains_the_metrics_in_the_run_that_it_has(study: StudyLedger, tmp_path: Path) -> None:
    config = trial()
    ledger = add_trial(study, config)
    uri = default_uri(tmp_path)
    sync(study, uri)
    before = trials_of(stored(tmp_path / "mlflow.db"))[config.key]
    metrics = {"linear_top1": 0.5, "linear_top1_at_1": 0.25}
    ledger.write_transfer("folder:a+b", TransferResult(fingerprint="f", metrics=metrics, seconds=3.5))
    for _ in range(2):
        sync(study, uri)
    after = trials_of(stored(tmp_path / "mlflow.db"))[config.key]
    assert after["id"] == before["id"]
    gained = set(after["points"]) - set(before["points"])
    assert len(after["points"]) == len(before["points"]) + 3
    assert {(name, value) for name, _, _, value in gained} == {
        ("transfer/folder:a_b/linear_top1", 0.5), ("transfer/folder:a_b/linear_top1_at_1", 0.25),
        ("transfer/folder:a_b/seconds", 3.5),
    }  # fmt: skip


def test_runs_are_named_after_their_variant_below_a_cell_of_its_own(study: StudyLedger, tmp_path: Path) -> None:
    plain, varied = trial(), replace(trial(), views_global=4)
    add_trial(study, plain)
    uri = default_uri(tmp_path)
    assert sync(study, uri) == 1
    (before,) = trials_of(stored(tmp_path / "mlflow.db")).values()
    assert "variant" not in before["tags"] | before["params"]

    variants = {f"views_global={n}": {"settings": {"views_global": n}, "lambdas": None} for n in (2, 4)}
    make_study(tmp_path, variants=variants, lambdas=[0.05])
    add_trial(study, varied)
    for _ in range(2):
        assert sync(study, uri) == 2
        runs = stored(tmp_path / "mlflow.db")
        by_id = {run["id"]: run for run in runs}
        held = trials_of(runs)
        assert held[plain.key]["id"] == before["id"]
        for config, name in ((plain, "views_global=2"), (varied, "views_global=4")):
            run = held[config.key]
            assert run["tags"]["variant"] == run["params"]["variant"] == name
            cell = by_id[run["tags"]["mlflow.parentRunId"]]
            assert (cell["name"], cell["tags"]["variant"]) == (f"{name} / resnet10t_w32 / digits", name)
        assert len(runs) == 1 + 2 + 2
    assert_mirrored(study, tmp_path / "mlflow.db", [plain, varied])
