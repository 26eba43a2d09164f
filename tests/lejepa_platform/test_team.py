"""`lejepa server`: who is refused, and what a study makes of a server that is killed; on a real PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Database, database
from studies import ROOT, SMALL, results, wait_for
from toys import write_folder
from trackers import PYTHON_PATH, add_trial, free_port, make_study, trial
from trackers import wait_for as until

from lejepa_platform.cli import main
from lejepa_platform.errors import TrackingError
from lejepa_platform.tracking import check_tracking, sync
from lejepa_platform.tracking.client import connect

ADMIN, PASSWORD, DATABASE = "head", "correct-horse-7-battery", "s3cret of the database"
API = "api/2.0/mlflow/experiments"
AWAY = 60
"""Seconds that a server is away in the middle of a study."""


def secret(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text + "\n")
    return folder / name


class TeamServer:
    """`lejepa server` in a process group of its own."""

    def __init__(self, folder: Path, store: Database) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, "-m", "lejepa_platform.cli", "server", "--backend-store-uri", store.uri]
        self.command += ["--database-password-file", str(secret(folder, "database", store.password))]
        self.command += ["--admin", ADMIN, "--admin-password-file", str(secret(folder, "admin", PASSWORD))]
        self.command += ["--secret-key-file", str(secret(folder, "key", "k" * 40)), "--workers", "1"]
        self.command += ["--artifacts", str(folder / "artifacts"), "--port", str(self.port)]
        self.command += ["--allowed-hosts", "127.0.0.1"]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **PYTHON_PATH}, stdout=log, stderr=log, start_new_session=True
            )
        until(self.answers, 240)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.status("health") == 200
        except OSError:
            return False

    def status(self, path: str, *, data: bytes | None = None, host: str = "") -> int:
        headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        request = urllib.request.Request(f"{self.uri}/{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    with database(DATABASE) as store:
        server = TeamServer(tmp_path_factory.mktemp("server"), store)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_who_says_no_name_neither_reads_nor_writes(server: TeamServer, tmp_path: Path) -> None:
    assert server.status(f"{API}/search?max_results=1") == 401
    assert server.status(f"{API}/create", data=b'{"name": "mine"}') == 401
    assert server.status("ajax-api/2.0/mlflow/runs/search", data=b"{}") == 401
    assert server.status("api/2.0/mlflow-artifacts/artifacts/0/x", data=b"x") == 401
    assert server.status(f"{API}/search?max_results=1", host="evil.example") == 403
    with pytest.raises(TrackingError, match="401") as refused:
        check_tracking(server.uri)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_study_is_mirrored_and_the_password_of_the_address_is_nowhere(server: TeamServer, tmp_path: Path) -> None:
    study, uri = make_study(tmp_path, "kept"), server.uri.replace("//", f"//{ADMIN}:{PASSWORD}@")
    add_trial(study, trial())
    assert sync(study, uri) == 1
    client = connect(uri)
    runs = client.search_runs([client.get_experiment_by_name("kept").experiment_id])
    assert len(runs) == 3, "of the study, of its cell, of its trial"
    told = "".join(str(run.to_dictionary()) for run in runs)
    kept = [path for folder in (tmp_path, server.folder / "artifacts") for path in folder.rglob("*") if path.is_file()]
    assert [path for path in kept if path.name == "study.json"], "artifacts are kept by the server"
    assert PASSWORD not in told + server.log + "".join(path.read_text() for path in kept)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_server_that_is_killed_costs_a_study_nothing(server: TeamServer, member: None, tmp_path: Path) -> None:
    images, storage = write_folder(tmp_path / "images"), tmp_path / "storage"
    command = [sys.executable, str(ROOT / "sweeps" / "lambda_stability.py"), *SMALL, "--datasets", f"folder:{images}",
               "--storage", str(storage), "--study", "s", "--tracking-uri", server.uri, "--seeds", "4",
               "--epochs", "120", "--max-concurrent", "1"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                          env={**os.environ, **PYTHON_PATH}, start_new_session=True) as study:  # fmt: skip
        wait_for(lambda: len(results(storage)) > 0, seconds=400, process=study)
        server.kill()
        killed, done = time.monotonic(), len(results(storage))
        wait_for(lambda: len(results(storage)) > done, seconds=400, process=study)
        time.sleep(max(0.0, AWAY - (time.monotonic() - killed)))
        server.start()
        assert study.poll() is None, "the study was to outlast the server's absence"
        away = time.monotonic() - killed
        out, err = study.communicate(timeout=900)
    assert study.returncode == 0, err + out
    assert "lacks" not in err
    assert PASSWORD not in out + err + server.log
    assert DATABASE not in server.log
    client = connect(server.uri)
    experiment = client.get_experiment_by_name("s").experiment_id
    runs = client.search_runs([experiment], "tags.role = 'trial'", max_results=100)
    assert {run.data.tags["trial_key"] for run in runs} == results(storage).keys()
    assert len(runs) == 16
    assert {run.info.status for run in runs} == {"FINISHED"}
    print(f"away for {away:.0f} s")


def test_a_password_that_is_guessed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = secret(tmp_path, "key", "k" * 40)
    for password, told in (("short", "12 or more"), ("Password1234!", "easily guessed"), ("1" * 20, "easily guessed")):
        given = ["--admin-password-file", str(secret(tmp_path, "admin", password)), "--secret-key-file", str(key)]
        command = ["server", "--backend-store-uri", "postgresql://x@127.0.0.1/x", "--artifacts", str(tmp_path), *given]
        assert main([*command, "--port", str(free_port())]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert password not in error


def test_an_open_server_stays_on_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["server", "--backend-store-uri", "postgresql://x@127.0.0.1/x", "--artifacts", str(tmp_path)]
    assert main([*command, "--host", "0.0.0.0"]) == 2  # noqa: S104
    assert "--host 0.0.0.0 came without --admin-password-file" in capsys.readouterr().err
