"""A node of a cluster is lost: one that works, one in the middle of a checkpoint, and the head."""

from pathlib import Path

import pytest
from fault_nodes import join, lose, raylet, start_head, stop_in_checkpoint, trial_on
from fault_rows import Row, assert_same, kill

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def test_the_raylet_of_the_second_node_is_killed(row: Row, undisturbed: Path) -> None:
    address, _ = start_head(row, 1)
    second = join(row, address, 1)
    driver = row.start("--address", address)
    trial, process = row.until(lambda: trial_on(row, second), driver)
    row.fault()
    kill([raylet(second)])
    row.until(lambda: not process.is_running())
    row.recovers(driver, [trial])
    row.end(driver)
    assert_same(row, undisturbed)
    assert set(row.attempts().values()) == {1}


def test_the_second_node_is_lost_in_a_checkpoint(row: Row, undisturbed: Path) -> None:
    address, _ = start_head(row, 1)
    second = join(row, address, 1)
    driver = row.start("--address", address)
    trial, process = row.until(lambda: trial_on(row, second), driver)
    stop_in_checkpoint(trial, process)
    row.fault()
    lose(second)
    row.recovers(driver, [trial])
    row.end(driver)
    assert_same(row, undisturbed)
    assert set(row.attempts().values()) == {1}


def test_the_head_is_lost(row: Row, undisturbed: Path) -> None:
    address, head = start_head(row, 2)
    driver = row.start("--address", address)
    row.until(row.checkpoints, driver)
    row.fault()
    lose(head)
    assert driver.wait(90) == 2, row.log.read_text()
    assert "Traceback" not in row.log.read_text()
    _, again = start_head(row, 2, int(address.partition(":")[2]))
    second = row.start("--address", address)
    row.recovers(second)
    row.end(second)
    assert_same(row, undisturbed)
    lose(again)
    row.leaves_nothing()
