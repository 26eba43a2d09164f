"""A process of the study dies or is told to: the trial's, or the driver's."""

import json
import signal
import time
from pathlib import Path

import pytest
from fault_rows import TPE, TWO_WORKERS, Row, assert_same, kill, named

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def test_a_trial_s_process_is_killed(row: Row, undisturbed: Path) -> None:
    driver = row.start()
    row.until(row.checkpoints, driver)
    hit = row.checkpoints()[0].parents[1]
    process = row.until(lambda: row.trial_processes().get(hit), driver)
    row.fault()
    kill([process])
    row.recovers(driver, [hit])
    row.end(driver)
    assert_same(row, undisturbed)
    assert set(row.attempts().values()) == {1}
    row.leaves_nothing()


def test_the_driver_is_killed(row: Row, undisturbed: Path) -> None:
    driver = row.start()
    # The last trial of three has just begun.
    row.until(lambda: len(row.results()) == 2 and row.checkpoints(), driver)
    finished = row.results()
    row.fault()
    driver.kill()
    driver.wait()
    again = row.start()
    row.recovers(again)
    row.end(again)
    assert_same(row, undisturbed)
    assert {key: row.attempts()[key] for key in finished} == dict.fromkeys(finished, 1), (
        "a finished trial is left alone"
    )
    assert max(row.attempts().values()) == 2, "the others go on"
    row.leaves_nothing()


def test_the_driver_of_a_search_is_killed(row: Row, undisturbed_search: Path) -> None:
    """Optuna's studies live in the driver's memory, rebuilt from the ledger: there is no storage to lose but this."""
    row.arguments = TPE
    driver = row.start()
    row.until(lambda: row.results() and row.checkpoints(), driver)
    finished = row.results()
    row.fault()
    driver.kill()
    driver.wait()
    again = row.start()
    row.recovers(again)
    row.end(again)
    assert_same(row, undisturbed_search)
    assert {key: row.attempts()[key] for key in finished} == dict.fromkeys(finished, 1)
    row.leaves_nothing()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_driver_is_told_to_stop(row: Row, undisturbed: Path, number: signal.Signals, code: int) -> None:
    driver = row.start()
    row.until(row.checkpoints, driver)
    said = len(row.log.read_text())
    row.fault()
    start = time.monotonic()
    driver.send_signal(number)
    row.end(driver, code)
    assert time.monotonic() - start < 15
    assert row.log.read_text()[said:].splitlines()[-1:] == ["stopped; the same command continues"]
    assert "Traceback" not in row.log.read_text()
    row.leaves_nothing()
    again = row.start()
    row.recovers(again)
    row.end(again)
    assert_same(row, undisturbed)


def test_the_driver_is_told_to_stop_twice(row: Row, undisturbed: Path) -> None:
    driver = row.start()
    row.until(row.checkpoints, driver)
    row.fault()
    driver.send_signal(signal.SIGINT)
    time.sleep(0.2)
    start = time.monotonic()
    driver.send_signal(signal.SIGINT)
    row.end(driver, 130)
    while row.processes():
        time.sleep(0.02)
    assert time.monotonic() - start < 2
    again = row.start()
    row.recovers(again)
    row.end(again)
    assert_same(row, undisturbed)


def test_a_second_driver_is_refused(row: Row, undisturbed: Path) -> None:
    driver = row.start()
    row.until(row.trials, driver)
    logged = row.log.read_text()
    row.end(row.start(), 2)
    said = row.log.read_text().removeprefix(logged)
    assert "error: another process is running study 's'; wait for it or stop it" in said
    row.end(driver)
    assert_same(row, undisturbed)
    assert set(row.attempts().values()) == {1}


def test_a_worker_of_two_is_killed(row: Row, undisturbed_pairs: Path) -> None:
    workers_killed(row, undisturbed_pairs, 1)


def test_both_workers_are_killed(row: Row, undisturbed_pairs: Path) -> None:
    workers_killed(row, undisturbed_pairs, 2)


def workers_killed(row: Row, undisturbed_pairs: Path, count: int) -> None:
    row.arguments = TWO_WORKERS
    driver = row.start()
    row.until(row.checkpoints, driver)
    workers = named(row, "ray::RayTrainWorker")
    assert len(workers) == 2, json.dumps([process.cmdline() for process in row.processes()])
    row.fault()
    kill(workers[:count])
    row.recovers(driver, row.trials())
    row.end(driver)
    assert_same(row, undisturbed_pairs)
    assert set(row.attempts().values()) == {1}
