"""The ledger: attempts, atomic files, names that stay inside the storage, one driver at a time."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from toys import STUDY, TRIAL

from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import StorageError, StudyError, SupersededError
from lejepa_platform.ledger import StudyLedger, TrialLedger, TrialResult, Wanted
from lejepa_platform.storage import read_json, require_writable, write_bytes, write_json


def result(outcome: str = "ok", **metrics: float | None) -> TrialResult:
    return TrialResult(key=TRIAL.key, outcome=outcome, config=TRIAL.flat(), metrics=metrics)  # type: ignore[arg-type]


@pytest.fixture
def trial(tmp_path: Path) -> TrialLedger:
    return StudyLedger(tmp_path / "study").trial(TRIAL.key)


def test_an_older_attempt_can_write_nothing(trial: TrialLedger) -> None:
    orphan, current = trial.begin(TRIAL), trial.begin(TRIAL)
    assert (orphan.attempt, current.attempt) == (1, 2)
    for write in (lambda: orphan.write_metrics([{"epoch": 1}]), lambda: orphan.write_result(result()),
                  lambda: orphan.write("checkpoint/state.pt", b"")):  # fmt: skip
        with pytest.raises(SupersededError, match="replaced by attempt 2"):
            write()
    assert sorted(p.name for p in trial.path.iterdir()) == ["attempt.json", "config.json"]
    current.write_result(result())
    assert trial.finished()


def test_a_result_is_written_once_and_takes_the_checkpoint_with_it(trial: TrialLedger) -> None:
    attempt = trial.begin(TRIAL)
    attempt.write("checkpoint/state.pt", b"weights")
    attempt.write_result(result(**{"val/linear_top1": 0.5}))
    attempt.write_result(result("error"))
    assert trial.result() == {
        "key": TRIAL.key, "outcome": "ok", "reason": "", "config": TRIAL.flat(),
        "metrics": {"val/linear_top1": 0.5}, "seconds": 0.0,
    }  # fmt: skip
    assert not trial.checkpoint.exists()


def test_config_is_kept_from_the_first_attempt(trial: TrialLedger) -> None:
    trial.begin(TRIAL)
    created = read_json(trial.path / "config.json")
    trial.begin(TRIAL)
    assert read_json(trial.path / "config.json") == created
    assert TrialConfig.from_flat(created["config"]) == TRIAL


def test_numbers_that_json_does_not_know_become_null(trial: TrialLedger) -> None:
    attempt = trial.begin(TRIAL)
    attempt.write_metrics([{"epoch": 1, "train/loss": float("nan")}, {"epoch": 2, "train/loss": float("inf")}])
    attempt.write_result(result(**{"train/loss": float("nan")}))
    assert [row["train/loss"] for row in trial.history()] == [None, None]
    json.loads((trial.path / "result.json").read_text(), parse_constant=pytest.fail)


def test_metrics_that_lost_their_end_keep_their_whole_lines(trial: TrialLedger) -> None:
    trial.begin(TRIAL).write_metrics([{"epoch": 1}, {"epoch": 2}])
    whole = (trial.path / "metrics.jsonl").read_bytes()
    (trial.path / "metrics.jsonl").write_bytes(whole[:-4])
    assert trial.history() == [{"epoch": 1}]


def test_an_attempt_removes_what_a_killed_one_was_writing(trial: TrialLedger) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from lejepa_platform.storage import write_bytes\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_bytes(Path(sys.argv[1]), b'half')"
    )
    for name in ("result.json", "checkpoint/state.pt"):
        subprocess.run([sys.executable, "-c", code, str(trial.path / name)])
    leftovers = lambda: [path for path in trial.path.rglob(".*") if path.is_file()]  # noqa: E731
    assert len(leftovers()) == 2
    trial.begin(TRIAL)
    assert leftovers() == []


def test_a_half_written_result_does_not_count(trial: TrialLedger) -> None:
    trial.begin(TRIAL).write_result(result())
    whole = (trial.path / "result.json").read_text()
    (trial.path / "result.json").write_text(whole[: len(whole) // 2])
    assert not trial.finished()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".hidden", "x" * 101, "a b", "a\n"])
def test_a_study_name_cannot_leave_the_storage(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="not a path"):
        StudyLedger.at(tmp_path, name)


def test_studies_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    write_json(tmp_path / "mine" / "study.json", {})
    assert StudyLedger.find("mine", tmp_path).path == StudyLedger.find(str(tmp_path / "mine"), Path("x")).path
    with pytest.raises(StudyError, match=r"studies in .*: mine"):
        StudyLedger.find("yours", tmp_path)


def test_one_driver_at_a_time_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    study = StudyLedger(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from lejepa_platform.ledger import StudyLedger\n"
        "lock = StudyLedger(Path(sys.argv[1])).driver_lock(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match="another process is running"):
            study.driver_lock()
        other.kill()
    with study.driver_lock():
        assert True


def test_readers_never_see_a_part_of_a_write(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    values = [{"n": n, "pad": "x" * 20_000} for n in range(2)]
    write_json(path, values[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for value in values:
                write_json(path, value)

    writer = threading.Thread(target=write)
    writer.start()
    seen = [json.loads(path.read_text()) for _ in range(200)]
    stop.set()
    writer.join()
    assert all(value in values for value in seen)
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_bytes(tmp_path / "file" / "x", b"")
    with pytest.raises(StorageError, match="--storage"):
        require_writable(tmp_path / "file" / "studies")
    require_writable(tmp_path / "new" / "studies")
    assert not (tmp_path / "new").exists()


def test_differences_name_the_settings(tmp_path: Path) -> None:
    study = StudyLedger.at(tmp_path, "s")
    study.save(STUDY, sources={"digits": "digits"}, planned=STUDY.grid())
    assert study.differences(STUDY) == []
    assert study.differences(replace(STUDY, shared={**STUDY.shared, "epochs": 9}, seeds=(0,))) == [
        "epochs",
        "seeds",
    ]
    assert study.read()["planned"] == [trial.key for trial in STUDY.grid()]


def test_a_set_in_another_form_is_no_other_set(trial: TrialLedger) -> None:
    trial.begin(TRIAL).write_result(result())
    wanted = Wanted(evaluate_on={TRIAL.dataset: "of its labelled form", "patches": "f" * 16})
    assert list(trial.lacks(wanted).evaluate_on) == ["patches"]
