import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from trackers import (
    PYTHON_PATH,
    add_trial,
    assert_mirrored,
    black_hole,
    free_port,
    make_store,
    make_study,
    trial,
)

from lejepa_platform.cli import main
from lejepa_platform.errors import TrackingError
from lejepa_platform.tracking import Tracker, check_tracking, default_uri, masked, run_links, sync, ui


def refuse(uri: str, *, seconds: float = 4.0) -> str:
    start = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        check_tracking(uri, seconds=seconds)
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unusable_trackers_are_refused_in_time(tmp_path: Path) -> None:
    port = free_port()
    assert "connection refused" in refuse(f"http://127.0.0.1:{port}")
    assert "unknown host" in refuse("http://no-such-host.invalid:5000")
    assert "connection refused" in refuse(f"postgresql://me:geheim@127.0.0.1:{port}/mlflow")
    with black_hole() as hole:
        assert "no answer within" in refuse(f"http://127.0.0.1:{hole}")
    for uri in ("ftp://example.org/x", str(tmp_path), f"file://{tmp_path}", "", "http://"):
        assert "wanted" in refuse(uri) or "names no host" in refuse(uri)
    (tmp_path / "file").write_text("not a folder")
    assert "Not a directory" in refuse(f"sqlite:///{tmp_path}/file/mlflow.db")
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 20)
    assert "not a database" in refuse(f"sqlite:///{tmp_path}/text.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE cats (name)")
    assert "something else" in refuse(f"sqlite:///{tmp_path}/other.db")
    old = make_store(tmp_path).rename(tmp_path / "old.db")
    with closing(sqlite3.connect(old)) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.commit()
    assert "out-of-date database schema" in refuse(f"sqlite:///{old}")


def test_credentials_are_never_shown(tmp_path: Path) -> None:
    for uri in (
        f"http://me:ge%2Fheim@127.0.0.1:{free_port()}",
        "mlflow://me:ge/h#eim@host/x?password=geheim",
    ):
        message = refuse(uri)
        assert "***@" in message
        assert "heim" not in message
    tracker = Tracker(make_study(tmp_path), f"http://me:geheim@127.0.0.1:{free_port()}")
    tracker.open()
    assert "geheim" not in tracker.close()
    assert masked("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "demo"),
        ("rerun", "0" * 32),
        ("export", "0" * 32, "--to", "out"),
        ("report", "demo", "--from", "mlflow"),
    ],
)
def test_no_command_shows_the_password_of_an_address(
    command: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    add_trial(make_study(tmp_path), trial())
    uri = f"http://me:ge%2Fheim@127.0.0.1:{free_port()}"
    assert main([*command, "--storage", str(tmp_path), "--tracking-uri", uri]) == 2
    shown = capfd.readouterr()
    assert "http://***@127.0.0.1" in shown.err
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "heim" not in shown.out + shown.err + caplog.text + written


def test_checking_makes_no_file(tmp_path: Path) -> None:
    check_tracking(default_uri(tmp_path / "new" / "storage"))
    assert list(tmp_path.iterdir()) == []


def test_storage_may_have_any_name(tmp_path: Path) -> None:
    storage = tmp_path / "a b%20λ?#c"
    storage.mkdir()
    make_store(storage)
    study, config = make_study(storage), trial()
    add_trial(study, config)
    assert sync(study, default_uri(storage)) == 1
    assert_mirrored(study, storage / "mlflow.db", [config])


def test_mlflow_is_not_imported_before_it_is_used() -> None:
    code = "import sys, lejepa_platform.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, **PYTHON_PATH}).returncode == 0


def test_the_pages_need_something_to_show_and_a_port(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="holds no mlflow"):
        ui(tmp_path)
    make_store(tmp_path)
    with black_hole() as taken, pytest.raises(TrackingError, match="choose another with --port"):
        ui(tmp_path, port=taken)


def test_links_without_a_tracker_are_none(tmp_path: Path) -> None:
    assert run_links(make_study(tmp_path).name, default_uri(tmp_path)) == {}
    assert not (tmp_path / "mlflow.db").exists()
    assert json.loads((tmp_path / "demo" / "study.json").read_text())["name"] == "demo"
