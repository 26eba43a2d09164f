"""Trials that are stopped between epochs: really trained ones, on small images."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import stripes, stripes_task

from lejepa_core.encoder import build_encoder
from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.early_stop import PATIENCE, Stopper
from lejepa_platform.rungs import Rung
from lejepa_platform.task import TrialTask
from lejepa_platform.trial import run_trial

COLLAPSING = {"lambda_": 1e-9, "epochs": 10, "learning_rate": 1e-2}


def scheduled(folder: Path, **changes: Any) -> TrialTask:
    """A trial of three epochs that finds a better one at its only rung."""
    task = replace(stripes_task(folder, epochs=3, **changes), scheduler="asha")
    config = TrialConfig.from_flat(task.config)
    Rung.of(Path(task.study), "label_free", config, 1).decide("rival", 2.0)
    return task


def ended(task: TrialTask) -> Flat:
    run_trial(task)
    result = task.ledger.result()
    assert result is not None
    return result


def again(task: TrialTask, **changes: Any) -> TrialTask:
    config = TrialConfig.from_flat(task.config)
    return replace(task, attempt=task.ledger.begin(config).attempt, **changes)


def test_a_trial_behind_its_rivals_is_stopped_at_the_rung_and_says_where_it_stood(tmp_path: Path) -> None:
    task = scheduled(tmp_path)
    result = ended(task)
    assert result["outcome"] == "stopped"
    assert result["reason"].startswith("by asha after epoch 1 of 3: view retrieval at ")
    assert result["metrics"]["rung/epoch"] == 1
    assert 0 <= result["metrics"]["rung/score"] <= 1
    assert not [name for name in result["metrics"] if name.startswith(("train/", "val/", "test/", "geometry/"))]
    assert len(task.ledger.history()) == 1


def test_a_stopped_trial_goes_on_without_the_scheduler_and_ends_as_if_never_stopped(tmp_path: Path) -> None:
    task = scheduled(tmp_path / "stopped")
    ended(task)
    first = task.ledger.history()
    task.ledger.forget_stopped()
    resumed = again(task, scheduler="none")
    result = ended(resumed)
    undisturbed = ended(stripes_task(tmp_path / "undisturbed", epochs=3))
    assert (result["outcome"], result["metrics"]) == ("ok", undisturbed["metrics"])
    assert resumed.ledger.history()[:1] == first, "it went on from its checkpoint: the epoch took what it took before"


def test_a_trial_killed_between_its_decision_and_its_result_is_stopped_without_more_training(tmp_path: Path) -> None:
    task = scheduled(tmp_path)
    before = ended(task)
    task.ledger.forget()
    result = ended(again(task))
    assert (result["outcome"], result["reason"]) == ("stopped", before["reason"])
    assert len(task.ledger.history()) == 1


def test_a_trial_that_passes_its_rungs_ends_as_if_there_were_none(tmp_path: Path) -> None:
    passing = replace(stripes_task(tmp_path / "asha", epochs=3), scheduler="asha", stop_collapsed=True)
    result, plain = ended(passing), ended(stripes_task(tmp_path / "plain", epochs=3))
    assert (result["outcome"], result["metrics"]) == ("ok", plain["metrics"])
    assert list(Path(passing.study).glob("rungs/label_free/*/1/*.json"))


def test_a_collapse_that_lasts_stops_a_trial_of_a_search(tmp_path: Path) -> None:
    task = replace(stripes_task(tmp_path, **COLLAPSING), stop_collapsed=True)
    result = ended(task)
    assert result["outcome"] == "stopped"
    assert result["reason"].startswith("collapsed at epoch ")
    epochs = json.loads((task.ledger.path / "collapsed.json").read_text())
    assert len(task.ledger.history()) == epochs[-1] < 10
    assert epochs == list(range(epochs[-1] - PATIENCE + 1, epochs[-1] + 1))


def test_in_a_grid_it_is_trained_to_its_end_and_measured(tmp_path: Path) -> None:
    result = ended(stripes_task(tmp_path, **COLLAPSING))
    assert result["outcome"] == "collapsed"
    assert "geometry/spread" in result["metrics"]


def test_a_collapse_is_not_forgotten_by_the_attempt_that_goes_on(tmp_path: Path) -> None:
    task = replace(stripes_task(tmp_path, **COLLAPSING), stop_collapsed=True)
    config = TrialConfig.from_flat(task.config)
    (task.ledger.path / "collapsed.json").write_text("[3, 4, 5]")
    stopper = Stopper(task, config, stripes(tmp_path), build_encoder(config))
    found = stopper.found_before([{"epoch": 5}])
    assert found is not None
    assert found.reason == "collapsed at epoch 3, and still so at epoch 5 of 10"
    assert stopper.found_before([{"epoch": 4}]) is None


def test_a_scheduler_goes_by_the_online_probe_where_it_is_asked_to(tmp_path: Path) -> None:
    task = replace(stripes_task(tmp_path, epochs=3), scheduler="asha", scheduler_metric="online_probe")
    config = TrialConfig.from_flat(task.config)
    stopper = Stopper(task, config, stripes(tmp_path), build_encoder(config))
    Rung.of(Path(task.study), "online_probe", config, 1).decide("rival", 0.5)
    assert stopper.after({"epoch": 1, "online/top1": 0.6}) is None
    found = Stopper(again(task), replace(config, seed=9), stripes(tmp_path), build_encoder(config)).after(
        {"epoch": 1, "online/top1": 0.4}
    )
    assert found is not None
    assert found.metrics == {"rung/epoch": 1, "rung/score": 0.4}


@pytest.mark.slow
def test_ranks_stop_together(tmp_path: Path) -> None:
    from ranks import run_on_ranks

    metrics, other = run_on_ranks("stopped", 2, tmp_path)
    assert metrics["rung/epoch"] == 1
    assert other is None
