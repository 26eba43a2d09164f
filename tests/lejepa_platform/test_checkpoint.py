"""A trial that is killed within an epoch goes on where it was; checkpoints cost little."""

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import stripes_task

from lejepa_platform.checkpoint import Checkpoints, load_checkpoint
from lejepa_platform.task import TrialTask
from lejepa_platform.trial import run_trial

FORK = multiprocessing.get_context("fork")


def patient_task(folder: Path) -> TrialTask:
    """One epoch of so many steps that there is time to kill it."""
    return stripes_task(folder, batch_size=2, epochs=1)


def checkpointed(task: TrialTask) -> bool:
    return task.ledger.checkpoint.exists()


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_trial_killed_within_its_first_epoch_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    undisturbed = run_trial(patient_task(tmp_path / "whole"))
    task = replace(patient_task(tmp_path / "killed"), checkpoint_seconds=0.0)
    process = FORK.Process(target=run_trial, args=(task,))
    process.start()
    wait_until(lambda: checkpointed(task))
    process.kill()
    process.join()
    state = load_checkpoint(task.ledger)
    assert state is not None and state["epoch"] == 0 and len(state["terms"]) > 0
    assert task.ledger.history() == []
    result = run_trial(task)
    assert result is not None and undisturbed is not None
    assert result.metrics == undisturbed.metrics
    # What the killed process spent up to its checkpoint counts.
    assert task.ledger.history()[0]["seconds"] > state["seconds"]


def test_a_damaged_checkpoint_costs_its_steps_not_the_trial(tmp_path: Path) -> None:
    task = stripes_task(tmp_path)
    task.ledger.write("checkpoint/state.pt", b"nonsense")
    assert load_checkpoint(task.ledger) is None
    result = run_trial(task)
    assert result is not None and result.outcome == "ok"


@pytest.mark.parametrize(("seconds", "saved"), [(0.0, True), (60.0, False)])
def test_the_least_time_between_checkpoints_is_kept(tmp_path: Path, seconds: float, saved: bool) -> None:
    task = stripes_task(tmp_path)
    Checkpoints(task.ledger, [], seconds).within_epoch(lambda: {"epoch": 0})
    assert checkpointed(task) == saved


def test_what_a_checkpoint_cost_is_waited_for_twenty_times(tmp_path: Path) -> None:
    checkpoints, taken = Checkpoints(stripes_task(tmp_path).ledger, [], 0.0), []

    def state() -> dict[str, Any]:
        taken.append(time.perf_counter())
        time.sleep(0.05)
        return {"epoch": 0}

    checkpoints.within_epoch(state)
    while len(taken) < 2:
        checkpoints.within_epoch(state)
    assert taken[1] - taken[0] > 20 * 0.05
