"""The entrypoints refuse what is not safe before anything starts, and hand secrets on as files."""

import configparser
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from containers import DOCKER, ENTRYPOINTS, entrypoint, environment, secret

GOOD = "3f1c9e0b7a5d42688e90c1d7b6a45f20"


@pytest.mark.parametrize(
    ("value", "mode", "line"),
    [
        ("", 0o600, "is empty"),
        ("3f1c9e0b7a5d", 0o600, "holds 12 characters, at least 20 were wanted"),
        ("password-password-password", 0o600, "looks like a placeholder"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0o600, "looks like a placeholder"),
        (f"{GOOD}\n{GOOD}", 0o600, "several lines"),
        (GOOD, 0o604, "everybody can read it"),
    ],
)
def test_a_weak_secret_is_refused_in_one_line(tmp_path: Path, value: str, mode: int, line: str) -> None:
    token = secret(tmp_path / "token", value, mode)
    done = entrypoint("study.sh", "true", home=tmp_path, RAY_AUTH_TOKEN_PATH=str(token))
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.startswith("error: the Ray token") and done.stderr.count("\n") == 1
    assert not value or value not in done.stderr


def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    done = entrypoint("study.sh", "true", home=tmp_path, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert done.returncode == 2 and "no file" in done.stderr


@pytest.mark.parametrize("name", ["ray-head.sh", "ray-worker.sh", "mlflow.sh", "study.sh"])
def test_root_is_refused(tmp_path: Path, name: str) -> None:
    command = ["unshare", "--user", "--map-root-user", str(ENTRYPOINTS / name), "true"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 2 and "started as root" in done.stderr


@pytest.mark.parametrize("name", ["ray-head.sh", "ray-worker.sh"])
def test_ray_does_not_start_without_a_token(tmp_path: Path, name: str) -> None:
    done = entrypoint(name, home=tmp_path, RAY_AUTH_TOKEN_PATH=str(secret(tmp_path / "token", "")))
    assert done.returncode == 2 and "the Ray token" in done.stderr and not done.stdout


@pytest.mark.parametrize("weak", ["POSTGRES_PASSWORD_FILE", "MLFLOW_PASSWORD_FILE", "MLFLOW_SESSION_KEY_FILE"])
def test_mlflow_does_not_start_with_a_weak_secret(tmp_path: Path, weak: str) -> None:
    names = ("POSTGRES_PASSWORD_FILE", "MLFLOW_PASSWORD_FILE", "MLFLOW_SESSION_KEY_FILE")
    files = {name: str(secret(tmp_path / name, "password1234" if name == weak else None)) for name in names}
    done = entrypoint("mlflow.sh", home=tmp_path, **files)
    assert done.returncode == 2 and weak in done.stderr


def test_a_client_gets_the_path_of_the_token_and_not_the_token(tmp_path: Path) -> None:
    token = secret(tmp_path / "token")
    done = entrypoint("study.sh", "env", home=tmp_path, RAY_AUTH_TOKEN_PATH=str(token), RAY_AUTH_TOKEN="another")
    assert f"RAY_AUTH_TOKEN_PATH={token}" in done.stdout and "RAY_AUTH_MODE=token" in done.stdout
    assert "RAY_AUTH_TOKEN=" not in done.stdout and token.read_text() not in done.stdout


def test_mlflow_is_told_who_a_client_is_by_a_private_file(tmp_path: Path) -> None:
    token, password = secret(tmp_path / "token"), secret(tmp_path / "password", "%40" + GOOD)
    variables = {"RAY_AUTH_TOKEN_PATH": str(token), "MLFLOW_PASSWORD_FILE": str(password)}
    done = entrypoint("study.sh", "env", home=tmp_path, MLFLOW_TRACKING_URI="http://mlflow:5000", **variables)
    assert done.returncode == 0 and password.read_text() not in done.stdout
    credentials = tmp_path / ".mlflow" / "credentials"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    read = configparser.ConfigParser()
    read.read(credentials)
    assert dict(read["mlflow"]) == {"mlflow_tracking_username": "admin", "mlflow_tracking_password": "%40" + GOOD}


@pytest.fixture
def make_secrets(tmp_path: Path) -> Callable[[], str]:
    """Run a copy of docker/make-secrets.sh; returns what it printed."""
    script = shutil.copy(DOCKER / "make-secrets.sh", tmp_path)
    return lambda: subprocess.run([script], check=True, capture_output=True, text=True).stdout


def test_secrets_are_random_long_and_private(tmp_path: Path, make_secrets: Callable[[], str]) -> None:
    make_secrets()
    files = list((tmp_path / "secrets").iterdir())
    assert len({file.read_text() for file in files}) == len(files) == 5
    assert all(len(file.read_text()) == 64 and stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_secrets_that_exist_stay(tmp_path: Path, make_secrets: Callable[[], str]) -> None:
    make_secrets()
    before = (tmp_path / "secrets" / "ray_token").read_text()
    assert make_secrets() == ""
    assert (tmp_path / "secrets" / "ray_token").read_text() == before


def test_containers_never_run_as_root(tmp_path: Path, make_secrets: Callable[[], str]) -> None:
    make_secrets()
    who = dict(line.split("=") for line in (tmp_path / ".env").read_text().split())
    assert int(who["LEJEPA_UID"]) > 0
    assert (tmp_path / "secrets" / "ray_token").stat().st_uid == int(who["LEJEPA_UID"])
