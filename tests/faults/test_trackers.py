"""The tracker is killed, absent, slow or full: training goes on, and what was missed comes later."""

from pathlib import Path

import pytest
from fault_rows import Row, assert_same, fill, kill, of_session, small_disk
from fault_trackers import assert_mirrored, slowed, start_server, synchronise
from trackers import make_store

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def test_the_mlflow_server_is_killed_and_comes_back(row: Row, undisturbed: Path) -> None:
    uri, server = start_server(row)
    driver = row.start("--tracking-uri", uri)
    row.until(row.checkpoints, driver)
    row.fault()
    kill(of_session(server.pid))
    server.wait()
    row.recovers(driver, row.trials())
    start_server(row, int(uri.rpartition(":")[2]))
    row.end(driver)
    assert_same(row, undisturbed)
    assert set(row.attempts().values()) == {1}
    synchronise(row, uri)
    assert_mirrored(row, row.folder / "mlflow.db")


def test_the_mlflow_server_is_away_for_the_rest_of_the_study(row: Row, undisturbed: Path) -> None:
    uri, server = start_server(row)
    driver = row.start("--tracking-uri", uri)
    row.until(row.trials, driver)
    driver.kill()
    driver.wait()
    row.fault()
    kill(of_session(server.pid))
    server.wait()
    again = row.start("--tracking-uri", uri)
    row.recovers(again)
    row.end(again)
    assert_same(row, undisturbed)
    assert "`lejepa sync" in row.log.read_text()
    start_server(row, int(uri.rpartition(":")[2]))
    synchronise(row, uri)
    assert_mirrored(row, row.folder / "mlflow.db")


def test_the_mlflow_server_is_slow(row: Row, undisturbed: Path) -> None:
    uri, _ = start_server(row)
    with slowed(int(uri.rpartition(":")[2]), 1.0) as port:
        row.complete("--tracking-uri", f"http://127.0.0.1:{port}")
    assert_same(row, undisturbed)
    synchronise(row, uri)
    assert_mirrored(row, row.folder / "mlflow.db")


def test_the_disk_of_the_tracking_store_is_full(row: Row, undisturbed: Path) -> None:
    with small_disk(row.folder / "small", 4) as disk:
        database = make_store(disk)
        uri = f"sqlite:///{database}"
        driver = row.start("--tracking-uri", uri)
        row.until(row.trials, driver)
        row.fault()
        ballast = fill(disk, 0)
        row.recovers(driver, row.trials())
        row.end(driver)
        assert_same(row, undisturbed)
        assert "disk is full" in row.log.read_text()
        ballast.unlink()
        synchronise(row, uri)
        assert_mirrored(row, database)
