"""What a second process makes of what the first one knew of the tracker."""

import itertools
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trackers import add_trial, assert_mirrored, finish, make_store, make_study, rows, stored, trial, trials_of

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.tracking import Tracker, default_uri, sync
from lejepa_platform.tracking import mirror as writing
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.runs import Run

CONFIGS = [trial(lambda_=lambda_, seed=seed) for lambda_ in (0.01, 0.05, 0.1) for seed in (0, 1)]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyLedger:
    """Of six trials, mirrored some minutes apart an hour ago by a process that ended."""
    make_store(tmp_path)
    study = make_study(tmp_path)
    for config in CONFIGS:
        add_trial(study, config)
    clock = itertools.count(time.time() - 3600, 200)
    with monkeypatch.context() as earlier:
        earlier.setattr(writing, "time", SimpleNamespace(time=clock.__next__))
        assert mirror(study, tmp_path) == ""
    return study


def mirror(study: StudyLedger, storage: Path) -> str:
    """As a driver does it; returns what is missing."""
    tracker = Tracker(study, default_uri(storage))
    tracker.open()
    for ledger in study.trials():
        tracker.touch(ledger.key)
    return tracker.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the trials whose runs are read from MLflow from now on."""
    keys: list[str] = []
    original = Run.read

    def note(run: Any) -> Run:
        keys.extend([run.data.tags["trial_key"]] if run.data.tags["role"] == "trial" else [])
        return original(run)

    monkeypatch.setattr(Run, "read", note)
    return keys


def remove(storage: Path, runs: str) -> None:
    """For good, as MLflow's own garbage collection does."""
    with closing(sqlite3.connect(storage / "mlflow.db")) as database, database:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid IN ({runs})")


def run_id(storage: Path, config: TrialConfig) -> str:
    return str(trials_of(stored(storage / "mlflow.db"))[config.key]["id"])


def test_what_is_known_is_not_read_again(study: StudyLedger, tmp_path: Path, read: list[str]) -> None:
    before = stored(tmp_path / "mlflow.db")
    last = max(trials_of(before).values(), key=lambda run: int(run["tags"]["mirrored_at"]))
    assert mirror(study, tmp_path) == ""
    assert read == [last["tags"]["trial_key"]]
    assert stored(tmp_path / "mlflow.db") == before
    read.clear()
    assert sync(study, default_uri(tmp_path)) == len(CONFIGS)
    assert sorted(read) == sorted(config.key for config in CONFIGS)


def test_what_changed_meanwhile_is_seen(study: StudyLedger, tmp_path: Path, read: list[str]) -> None:
    deleted, again, elsewhere, started = CONFIGS[0], CONFIGS[1], trial(lambda_=0.3), trial(lambda_=0.4)
    uri = default_uri(tmp_path)
    connect(uri).delete_run(run_id(tmp_path, deleted))
    # Another machine, which has the study in another place, writes a trial more.
    other = StudyLedger(shutil.copytree(study.path, tmp_path / "elsewhere" / "demo"))
    add_trial(other, elsewhere)
    ledger = other.trial(started.key).begin(started)
    ledger.write_metrics(rows(1))
    assert sync(other, uri) == len(CONFIGS) + 2
    read.clear()
    shutil.copytree(other.path / "trials", study.path / "trials", dirs_exist_ok=True)
    repeated = study.trial(again.key)
    repeated.forget()
    ledger = repeated.begin(again)
    ledger.write_metrics(rows(3, scale=2.0))
    finish(ledger, again)
    finish(study.trial(started.key).begin(started), started)

    assert mirror(study, tmp_path) == ""
    assert {elsewhere.key, started.key} <= set(read)
    assert len(set(read)) < len(CONFIGS)
    assert_mirrored(study, tmp_path / "mlflow.db", [*CONFIGS, elsewhere, started])


def test_a_tracker_made_anew_is_not_taken_for_the_old_one(study: StudyLedger, tmp_path: Path) -> None:
    remove(tmp_path, "SELECT run_uuid FROM runs")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("DELETE FROM experiments WHERE name = ?", (study.name,))
    assert mirror(study, tmp_path) == ""
    assert_mirrored(study, tmp_path / "mlflow.db", CONFIGS)


def test_damaged_knowledge_is_none(study: StudyLedger, tmp_path: Path, read: list[str]) -> None:
    (held,) = (tmp_path / ".cache" / "mirror").iterdir()
    held.write_bytes(held.read_bytes()[:-100])
    assert mirror(study, tmp_path) == ""
    assert sorted(read) == sorted(config.key for config in CONFIGS)
    assert_mirrored(study, tmp_path / "mlflow.db", CONFIGS)


def test_sync_misses_a_run_that_was_removed_for_good(study: StudyLedger, tmp_path: Path) -> None:
    remove(tmp_path, f"SELECT '{run_id(tmp_path, CONFIGS[0])}'")
    assert sync(study, default_uri(tmp_path)) == len(CONFIGS)
    assert_mirrored(study, tmp_path / "mlflow.db", CONFIGS)
