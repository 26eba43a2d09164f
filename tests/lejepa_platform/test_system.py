"""What a trial takes of its machine: sampled beside it, mirrored once, and part of no result."""

import json
import time
from pathlib import Path

import psutil
import pytest
from toys import stripes_task
from trackers import finish, make_store, make_study, rows, stored, trial, trials_of, wait_for

from lejepa_platform import system
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.system import sampled
from lejepa_platform.tracking import default_uri, read_run, sync
from lejepa_platform.trial import run_trial


@pytest.fixture
def study(tmp_path: Path) -> StudyLedger:
    make_store(tmp_path)
    return make_study(tmp_path)


def sample(ledger: TrialLedger, count: int) -> None:
    with sampled(ledger, seconds=0.01):
        wait_for(lambda: len(ledger.system()) >= count)


def test_samples_are_of_this_process_and_machine(study: StudyLedger) -> None:
    config = trial()
    ledger = study.trial(config.key).begin(config)
    before = 1000 * time.time()
    sample(ledger, 2)
    first, *_ = ledger.system()
    assert before <= first["time"] <= 1000 * time.time()
    resident = psutil.Process().memory_info().rss / 1e6
    assert first["system/process_memory_megabytes"] == pytest.approx(resident, rel=0.2)
    assert 0 < first["system/system_memory_usage_percentage"] <= 100


def test_a_later_attempt_goes_on_where_the_earlier_one_ended(study: StudyLedger) -> None:
    config = trial()
    sample(study.trial(config.key).begin(config), 2)
    held = study.trial(config.key).system()
    sample(study.trial(config.key).begin(config), len(held) + 1)
    found = study.trial(config.key).system()
    assert found[: len(held)] == held
    assert [row["sample"] for row in found] == list(range(len(found)))


def test_an_attempt_that_was_replaced_writes_none(study: StudyLedger) -> None:
    config = trial()
    older = study.trial(config.key).begin(config)
    study.trial(config.key).begin(config)
    with sampled(older, seconds=0.01):
        time.sleep(0.1)
    assert study.trial(config.key).system() == []


def test_each_sample_is_one_point_however_often_it_is_sent(study: StudyLedger, tmp_path: Path) -> None:
    config, uri = trial(), default_uri(tmp_path)
    ledger = study.trial(config.key).begin(config)
    for epochs in (1, 2):
        sample(ledger, 2 * epochs)
        ledger.write_metrics(rows(epochs))
        sync(study, uri)
        sync(study, uri)
    finish(ledger, config)
    sync(study, uri)
    (run,) = trials_of(stored(tmp_path / "mlflow.db")).values()
    name = "system/cpu_utilization_percentage"
    wanted = [(row["sample"], row["time"], row[name]) for row in ledger.system()]
    assert sorted(point[1:] for point in run["points"] if point[0] == name) == wanted
    metrics = read_run(run["id"], uri).document["metrics"]
    assert metrics and not [metric for metric in metrics if metric.startswith("system/")]


def test_a_result_holds_nothing_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = stripes_task(tmp_path)
    monkeypatch.setattr("lejepa_platform.trial.sampled", lambda ledger: system.sampled(ledger, seconds=0.01))
    run_trial(task)
    assert task.ledger.system()
    assert "system/" not in json.dumps(task.ledger.result()) + json.dumps(task.ledger.history())
