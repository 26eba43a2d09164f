"""Studies in an S3-compatible store: the same as in a folder, whoever dies and whatever is away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import s3
from studies import PYTHON_PATH, results, start, wait_for
from toys import STUDY, TRIAL, stripes_task, write_folder

from dashboards.report import main as report
from dashboards.results import read_results
from lejepa_core.evaluation.protocols import PROTOCOLS
from lejepa_platform import locks, objects
from lejepa_platform.cli import main
from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import StorageError, StudyError, SupersededError, TrackingError
from lejepa_platform.executors import Child, Placement
from lejepa_platform.ledger import ProtocolResult, StudyLedger, TrialResult
from lejepa_platform.storage import Location, location, read_json, require_writable, study_names, write_bytes
from lejepa_platform.tracking import tracking_uri

ONE = ("--architectures", "resnet10t_w32", "--epochs", "2", "--max-concurrent", "1")
LOCKED = """
import sys, time
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import location
lock = StudyLedger(location(sys.argv[1])).driver_lock()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with s3.server() as port, pytest.MonkeyPatch.context() as patch:
        variables = s3.environment(port)
        for name, text in variables.items():
            patch.setenv(name, text)
        objects._filesystem.cache_clear()
        yield variables
    objects._filesystem.cache_clear()


@pytest.fixture
def storage(environment: dict[str, str], request: pytest.FixtureRequest) -> Location:
    return location(f"s3://{s3.BUCKET}/{request.node.name}")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "stripes", per_class=20)


def documents(storage: Location) -> dict[str, dict[str, object]]:
    """Trial key -> result.json."""
    found = {trial.key: trial.result() for trial in StudyLedger(storage / "s").trials()}
    return {key: result for key, result in found.items() if result is not None}


def files(folder: Location) -> set[str]:
    """What is below a folder, but for what a store has no use for: locks, and the cache of decoded images."""
    names = (
        objects.tags_below(folder)
        if not isinstance(folder, Path)
        else [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    )
    return {name for name in names if not name.endswith(".lock")}


def fill(storage: Location) -> StudyLedger:
    """A study with a trial that is done, one that failed, and one that is under way."""
    study = StudyLedger.at(storage, "s")
    trials = STUDY.grid()[:3]
    study.save(STUDY, sources={"digits": "digits"}, planned=trials)
    done, failed, running = (study.trial(config.key).begin(config) for config in trials)
    for ledger in (done, running):
        ledger.write_metrics([{"epoch": epoch, "train/loss": 1.0 / epoch} for epoch in (1, 2)])
    metrics: dict[str, float | None] = {"val/linear_top1": 0.5, "test/linear_top1": 0.25}
    done.write_result(TrialResult(key=done.key, outcome="ok", config=trials[0].flat(), metrics=metrics, seconds=1.0))
    done.write_measured("criteria", ProtocolResult(version=1, metrics={"geometry/lidar": 3.0}))
    failed.write_result(TrialResult(key=failed.key, outcome="oom", config=trials[1].flat(), metrics={}))
    return study


@pytest.mark.slow
def test_a_study_in_a_store_is_that_of_a_folder(
    storage: Location, environment: dict[str, str], images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "studies"
    environment = environment | {"LEJEPA_CACHE_DIR": str(tmp_path / "cache")}
    for place in (str(storage), folder):
        arguments = (*ONE, "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
        with start(place, images, *arguments, environment=environment) as process:
            out, err = process.communicate(timeout=280)
        assert process.returncode == 0, err + out
    ours, local = documents(storage), results(folder)
    assert {key: result["metrics"] for key, result in ours.items()} == {k: r["metrics"] for k, r in local.items()}
    assert len(ours) == 2
    assert files(storage / "s") == files(folder / "s")


def test_a_trial_in_a_store_is_that_of_a_folder(
    storage: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    monkeypatch.setenv("LEJEPA_CACHE_DIR", str(tmp_path / "cache"))
    local = replace(stripes_task(tmp_path), protocols={"criteria": PROTOCOLS["criteria"].version})
    config, study = TrialConfig.from_flat(local.config), StudyLedger(storage / "s")
    attempt = study.trial(config.key).begin(config).attempt
    ours = replace(local, study=str(study.path), attempt=attempt, cache="")
    child = Child(Placement(executor="inline"))
    outcomes = [child.run(task) for task in (local, ours)]
    child.stop()
    assert outcomes[0] == outcomes[1]
    assert ours.done and local.done
    (here,), (there,) = ([trial.result() for trial in StudyLedger(s.ledger.path.parent.parent).trials()]
                         for s in (local, ours))  # fmt: skip
    assert here and there and here["metrics"] == there["metrics"]
    assert ours.ledger.later_metrics() == local.ledger.later_metrics()
    assert files(ours.ledger.path) == files(local.ledger.path)


@pytest.mark.slow
def test_after_its_driver_was_killed_the_same_command_goes_on_and_tells_no_secret(
    storage: Location, environment: dict[str, str], images: Path, tmp_path: Path
) -> None:
    environment = environment | {"LEJEPA_CACHE_DIR": str(tmp_path / "cache")}
    arguments = (*ONE, "--lambdas", "0.01", "0.1", "0.5", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
    with start(str(storage), images, *arguments, environment=environment) as process:
        wait_for(lambda: documents(storage), process=process)
        os.killpg(process.pid, signal.SIGKILL)
    before = documents(storage)
    assert 0 < len(before) < 3
    with start(str(storage), images, *arguments, environment=environment) as process:
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err + out
    after = documents(storage)
    assert len(after) == 3 and {key: after[key] for key in before} == before
    kept = [data for data in objects.contents(storage, objects.tags_below(storage)).values()]
    kept += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] + [(out + err).encode()]
    assert not any(environment["AWS_SECRET_ACCESS_KEY"].encode() in data for data in kept)


def test_the_table_of_a_study_is_that_of_a_folder(storage: Location, tmp_path: Path) -> None:
    ours, local = (read_results(fill(place).path) for place in (storage, tmp_path))
    pd.testing.assert_frame_equal(ours.trials, local.trials)
    assert (ours.notes, ours.unstarted) == (local.notes, local.unstarted)


def test_a_report_is_written_into_the_store(storage: Location, capsys: pytest.CaptureFixture[str]) -> None:
    fill(storage)
    assert report(["s", "--storage", str(storage)]) == 0
    assert str(storage / "s" / "report.html") in capsys.readouterr().out
    assert read_json(storage / "s" / "summary.json")["counts"]["ok"] == 1
    assert "report.html" in files(storage / "s")


def test_status_counts_the_studies_of_a_store(storage: Location, capsys: pytest.CaptureFixture[str]) -> None:
    fill(storage)
    assert main(["status", "--storage", str(storage), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["outcomes"] == {"ok": 1, "oom": 1}


def test_an_older_attempt_can_write_nothing(storage: Location) -> None:
    trial = StudyLedger(storage / "s").trial(TRIAL.key)
    orphan, current = trial.begin(TRIAL), trial.begin(TRIAL)
    with pytest.raises(SupersededError, match="replaced by attempt 2"):
        orphan.write("checkpoint/state.pt", b"")
    current.write("checkpoint/state.pt", b"weights")
    assert files(trial.path) == {"attempt.json", "config.json", "checkpoint/state.pt"}


def test_a_result_takes_the_checkpoint_with_it(storage: Location) -> None:
    trial = StudyLedger(storage / "s").trial(TRIAL.key).begin(TRIAL)
    trial.write("checkpoint/state.pt", b"weights")
    trial.write_result(TrialResult(key=TRIAL.key, outcome="ok", config=TRIAL.flat(), metrics={}))
    assert files(trial.path) == {"attempt.json", "config.json", "result.json"}


def test_failures_are_forgotten_and_read_anew(storage: Location) -> None:
    study = fill(storage)
    for trial in study.trials():
        trial.forget_failures()
    assert sorted(trial.finished() for trial in study.trials()) == [False, False, True]


def test_one_driver_at_a_time_and_a_dead_one_holds_nothing(storage: Location) -> None:
    study = StudyLedger(storage / "s")
    command = [sys.executable, "-c", LOCKED, str(study.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": PYTHON_PATH}) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match=f"another process is running study 's' .process {other.pid} of"):
            study.driver_lock()
        other.kill()
    with study.driver_lock():
        assert files(study.path) == set()


def test_a_driver_elsewhere_that_says_nothing_loses_its_study(
    storage: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = StudyLedger(storage / "s")
    write_bytes(study.path / ".driver.lock", json.dumps({"owner": "x", "host": "elsewhere", "pid": 1}).encode())
    with pytest.raises(StudyError, match="process 1 of elsewhere"):
        study.driver_lock()
    monkeypatch.setattr(locks, "LEASE_SECONDS", 1.0)
    time.sleep(2)
    with study.driver_lock():
        assert read_json(study.path / ".driver.lock")["host"] != "elsewhere"
    assert read_json(study.path / ".driver.lock") is None


def test_a_driver_that_lost_its_study_is_interrupted(storage: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    study = StudyLedger(storage / "s")
    with pytest.raises(KeyboardInterrupt), study.driver_lock():
        write_bytes(study.path / ".driver.lock", b'{"owner": "another"}')
        time.sleep(30)
    assert read_json(study.path / ".driver.lock") == {"owner": "another"}


def test_what_fails_while_the_store_is_away_is_done_once_it_is_back(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = s3.free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(objects, "FIRST_PATIENCE", objects.PATIENCE)
    objects._filesystem.cache_clear()
    started: list[subprocess.Popen[bytes]] = []
    timer = threading.Timer(1.5, lambda: started.append(s3.start(port)))
    timer.start()
    try:
        write_bytes(location(f"s3://{s3.BUCKET}/x"), b"kept")
        assert objects.tags_below(location(f"s3://{s3.BUCKET}")).keys() == {"x"}
    finally:
        timer.join()
        started[0].kill()
        started[0].wait()
        objects._filesystem.cache_clear()


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "Could not connect"),
        ("AWS_ACCESS_KEY_ID", "", "credentials"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line_within_a_minute(
    environment: dict[str, str], variable: str, text: str, told: str
) -> None:
    command = [sys.executable, "-m", "lejepa_platform.cli", "status", "--storage", f"s3://{s3.BUCKET}"]
    variables = {**os.environ, "PYTHONPATH": PYTHON_PATH, variable: text}
    begun = time.monotonic()
    ended = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert time.monotonic() - begun < 60
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert told in ended.stderr and "AWS_ENDPOINT_URL" in ended.stderr


def test_a_bucket_that_does_not_exist_is_named(environment: dict[str, str]) -> None:
    for use in (require_writable, study_names):
        with pytest.raises(StorageError, match=r"s3://nobody/x.*NoSuchBucket"):
            use(location("s3://nobody/x"))


@pytest.mark.parametrize("address", ["s3://", "gs://bucket/x", "s3:///x", "s3://id:secret@bucket/x"])
def test_other_addresses_are_refused_and_no_secret_is_repeated(address: str) -> None:
    with pytest.raises(StorageError, match="a folder or s3://BUCKET/PREFIX was wanted") as caught:
        location(address)
    assert "secret" not in str(caught.value)


def test_a_store_wants_a_tracker(storage: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TrackingError, match="--tracking-uri"):
        tracking_uri(None, storage)
    assert tracking_uri("http://127.0.0.1:5000", storage) == "http://127.0.0.1:5000"


def test_the_pages_of_a_store_are_its_trackers(storage: Location, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--storage", str(storage)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--tracking-uri" in error
