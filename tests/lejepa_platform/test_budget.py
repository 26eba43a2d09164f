"""What would end after the time that a study has is not begun."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from toys import STUDY

from lejepa_core.errors import SettingError
from lejepa_platform.budget import Budget, seconds_taken
from lejepa_platform.config import Flat
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import ProtocolResult, StudyLedger, TrialResult

ARCHITECTURE = STUDY.grid()[0].architecture
FIRST, OTHER = STUDY.grid()[0], next(trial for trial in STUDY.grid() if trial.cell != STUDY.grid()[0].cell)


def take(budget: Budget, seconds: float) -> None:
    budget.began(FIRST)
    time.sleep(seconds)
    budget.ended(FIRST.key)


def test_without_a_limit_everything_may_begin() -> None:
    budget = Budget(None)
    take(budget, 0.01)
    assert budget.allows(FIRST)
    assert not budget.exhausted


def test_a_trial_that_took_longer_than_what_is_left_is_not_begun_again() -> None:
    budget = Budget(0.25)
    assert budget.allows(FIRST)
    take(budget, 0.15)
    assert not budget.allows(FIRST)
    assert budget.exhausted


@pytest.mark.parametrize(("seconds", "allowed"), [(0.25, False), (60.0, True)])
def test_a_cell_that_was_never_run_is_expected_to_take_as_long_as_another(seconds: float, allowed: bool) -> None:
    budget = Budget(seconds)
    take(budget, 0.15)
    assert budget.allows(OTHER) is allowed


def test_once_refused_nothing_begins_any_more() -> None:
    budget = Budget(0.0)
    assert not budget.allows(FIRST)
    assert not budget.allows(OTHER)


def result(seconds: float, outcome: str = "ok") -> Flat:
    return {"key": FIRST.key, "config": FIRST.flat(), "outcome": outcome, "seconds": seconds}


AGAIN = replace(FIRST, seed=99)
"""Of the cell of `FIRST`, and not trained."""


@pytest.mark.parametrize(("outcome", "allowed"), [("ok", False), ("diverged", True)])
def test_a_run_that_goes_on_knows_what_trials_took_before(outcome: str, allowed: bool) -> None:
    assert Budget(60.0, finished=[result(100.0, outcome)]).allows(AGAIN) is allowed
    assert Budget(120.0, finished=[result(100.0, outcome)]).allows(AGAIN)


def test_measuring_an_encoder_is_not_expected_to_take_as_long_as_training_it() -> None:
    assert Budget(60.0, finished=[result(100.0)]).allows(FIRST)


def test_what_measuring_took_says_nothing_of_training() -> None:
    budget = Budget(0.3, finished=[result(0.01)])
    take(budget, 0.2)
    assert budget.allows(AGAIN)
    assert not budget.allows(FIRST)


@pytest.mark.parametrize(("ratio", "allowed"), [(0.5, True), (1.0, True), (2.0, False)])
def test_a_cell_that_was_never_run_is_inferred_from_another(ratio: float, allowed: bool) -> None:
    other = next(trial for trial in STUDY.grid() if trial.architecture != ARCHITECTURE)
    expected = {ARCHITECTURE: 10.0, other.architecture: 10.0 * ratio}
    assert Budget(60.0, finished=[result(40.0)], expected=expected).allows(other) is allowed


def test_whatever_is_expected_something_begins() -> None:
    assert Budget(60.0, expected={ARCHITECTURE: 100.0}).allows(FIRST)


def test_the_time_left_shrinks() -> None:
    assert Budget(None).left == float("inf")
    assert 59.0 < Budget(60.0).left <= 60.0


def gpus(limit: float, used: float = 0.0, **known: float) -> Budget:
    finished = [result(known["seconds"])] if known else []
    return Budget(None, finished=finished, gpu_seconds=limit, gpu_seconds_used=used, gpus=0.5)


@pytest.mark.parametrize(("limit", "allowed"), [(40.0, False), (60.0, True)])
def test_a_trial_that_would_take_more_of_the_gpus_than_is_left_is_not_begun(limit: float, allowed: bool) -> None:
    assert gpus(limit, seconds=100.0).allows(AGAIN) is allowed


def test_gpu_seconds_of_earlier_runs_count() -> None:
    assert not gpus(60.0, used=20.0, seconds=100.0).allows(AGAIN)


def test_trials_under_way_will_take_their_share() -> None:
    budget = gpus(120.0, seconds=100.0)
    budget.began(AGAIN)
    assert budget.allows(replace(AGAIN, seed=98))
    budget.began(replace(AGAIN, seed=98))
    assert not budget.allows(replace(AGAIN, seed=97))


def test_behind_the_budget_nothing_begins_though_nothing_is_known_of_trials() -> None:
    assert gpus(10.0, used=9.0).allows(FIRST)
    assert not gpus(10.0, used=10.0).allows(FIRST)


def test_a_trial_took_what_training_and_measuring_took_and_an_unfinished_one_its_epochs(tmp_path: Path) -> None:
    trial = StudyLedger(tmp_path / "s").trial(FIRST.key).begin(FIRST)
    trial.write_metrics([{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "seconds": 3.0}])
    assert seconds_taken(trial) == 5.0
    trial.write_result(TrialResult(key=FIRST.key, outcome="ok", config=FIRST.flat(), metrics={}, seconds=7.0))
    trial.write_measured("paper", ProtocolResult(version=1, seconds=1.5))
    assert seconds_taken(trial) == 8.5


def test_a_budget_of_gpu_hours_is_refused_where_trials_use_none(tmp_path: Path) -> None:
    unknown = Execution(storage=tmp_path, sources={}, tracking_uri="", max_gpu_seconds=3600)
    assert unknown.on([{"CPU": 8.0, "GPU": 1.0}]).gpus == 1
    with pytest.raises(SettingError, match="--max-gpu-hours came, and trials use no GPU; use --max-hours"):
        unknown.on([{"CPU": 8.0}])
    with pytest.raises(SettingError, match="--max-gpu-hours came for a cluster; say --gpus-per-worker too"):
        replace(unknown, address="auto")
