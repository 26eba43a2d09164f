"""The inline executor's child: a real process that is really killed, hangs, exits, and is replaced."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import faults
import psutil
import pytest
from ranks import run_on_ranks
from toys import TRIAL

from lejepa_platform.child import is_lost_peer, is_out_of_memory
from lejepa_platform.executors import Child, Placement
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.placement import concurrent_trials, with_decoders
from lejepa_platform.task import TrialTask

TESTS = Path(__file__).parents[1]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyLedger:
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=":")
    return StudyLedger(tmp_path / "study")


@pytest.fixture
def child(study: StudyLedger) -> Iterator[Child]:
    child = Child(Placement(executor="inline", time_limit=15, trial_function="faults:by_seed"))
    yield child
    child.stop()


def task(study: StudyLedger, seed: int, lambda_: float = 0.05) -> TrialTask:
    config = replace(TRIAL, seed=seed, lambda_=lambda_)
    attempt = study.trial(config.key).begin(config).attempt
    return TrialTask(config=config.flat(), study=str(study.path), attempt=attempt, source="digits", cache="none")


@pytest.mark.parametrize(
    ("seed", "outcome", "reason"),
    [
        (faults.KILLED, "oom", "SIGKILL"),
        (faults.EXITED, "error", "exited with code 3"),
        (faults.RAISED, "error", "ValueError: a bug"),
        (faults.ALLOCATED, "oom", "MemoryError"),
        (faults.SEGFAULT, "error", "SIGSEGV"),
    ],
)
def test_a_trial_that_takes_its_process_down_ends_alone(
    study: StudyLedger, child: Child, seed: int, outcome: str, reason: str
) -> None:
    bad, good = task(study, seed), task(study, faults.OK)
    assert child.run(bad) == outcome
    result = bad.ledger.result()
    assert result is not None
    assert result["outcome"] == outcome
    assert reason in result["reason"]
    assert "\n" not in result["reason"]
    assert child.run(good) == "ok"


def test_a_trial_whose_process_is_killed_goes_on_in_another(study: StudyLedger, child: Child) -> None:
    assert child.run(task(study, faults.KILLED_ONCE)) == "ok"


def test_a_trial_that_hangs_is_ended_at_its_time_limit(study: StudyLedger) -> None:
    child = Child(Placement(executor="inline", time_limit=5, trial_function="faults:by_seed"))
    bad = task(study, faults.HUNG)
    start = time.monotonic()
    assert child.run(bad) == "timeout"
    assert time.monotonic() - start < 15
    assert "time limit of 5 s" in (bad.ledger.result() or {})["reason"]
    assert child.run(task(study, faults.OK)) == "ok"
    child.stop()


def test_one_process_serves_trial_after_trial_while_all_is_well(study: StudyLedger, child: Child) -> None:
    tasks = [task(study, faults.OK, lambda_) for lambda_ in (0.1, 0.2, 0.3)]
    assert [child.run(each) for each in tasks] == ["ok"] * 3
    assert len({(each.ledger.result() or {})["metrics"]["pid"] for each in tasks}) == 1


@pytest.mark.parametrize(("seconds", "processes"), [(0.0, 2), (300.0, 1)])
def test_a_process_serves_many_trials_and_for_long_before_it_is_replaced(
    study: StudyLedger, child: Child, monkeypatch: pytest.MonkeyPatch, seconds: float, processes: int
) -> None:
    monkeypatch.setattr("lejepa_platform.executors.TRIALS_PER_CHILD", 2)
    monkeypatch.setattr("lejepa_platform.executors.SECONDS_PER_CHILD", seconds)
    tasks = [task(study, faults.OK, lambda_) for lambda_ in (0.01, 0.02, 0.03, 0.04)]
    assert [child.run(each) for each in tasks] == ["ok"] * 4
    assert len({(each.ledger.result() or {})["metrics"]["pid"] for each in tasks}) == processes


def test_what_a_trial_prints_is_kept_in_its_folder(study: StudyLedger, child: Child) -> None:
    bad = task(study, faults.RAISED)
    child.run(bad)
    assert "with a second line" in (bad.ledger.path / "log.txt").read_text()


def test_a_child_does_not_outlive_its_parent(study: StudyLedger) -> None:
    code = (
        "import sys, time; from lejepa_platform.executors import Child, Placement\n"
        "child = Child(Placement(executor='inline', trial_function='faults:by_seed'))\n"
        "print(child._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([child], timeout=20)
    assert alive == []


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: ..."),
            True,
        ),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_out_of_memory_is_told_from_bugs(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory


def test_a_lost_peer_is_told_from_an_error_of_the_trial(tmp_path: Path) -> None:
    assert run_on_ranks("lost_peer", 2, tmp_path) == [[True], []]
    assert not is_lost_peer(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_processes_that_decode_take_cpus_from_other_trials() -> None:
    streaming = Placement(executor="inline", threads=2, decoders=2)
    assert concurrent_trials(streaming, [{"CPU": 16.0}], None) == 4
    assert concurrent_trials(replace(streaming, workers=2), [{"CPU": 16.0}], None) == 2


@pytest.mark.parametrize(
    ("machines", "workers", "counted"),
    [
        ([4], 1, 2),
        ([3], 1, 1),
        ([2], 1, 0),
        ([1], 1, 0),
        ([6, 2], 2, 1),
        ([4, 2], 2, 0),
        ([3, 3], 2, 1),
        ([6], 2, 1),
        ([8], 2, 2),
    ],
)
def test_decoding_is_counted_as_far_as_one_trial_fits(machines: list[float], workers: int, counted: int) -> None:
    streaming = Placement(executor="ray_train", workers=workers, threads=2, decoders=2)
    assert with_decoders(streaming, [{"CPU": float(cpus)} for cpus in machines]).decoders == counted
