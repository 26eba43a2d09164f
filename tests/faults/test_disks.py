"""The disk is full, or has lost a part of a file."""

import json
import shutil
from pathlib import Path

import pytest
from fault_rows import Row, assert_same, fill, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def test_the_disk_is_full_at_a_checkpoint(row: Row, undisturbed: Path) -> None:
    with small_disk(row.storage, 64):
        row.arguments = ("--max-concurrent", "1", "--tracking-uri", f"sqlite:///{row.folder / 'mlflow.db'}")
        driver = row.start()
        row.until(lambda: row.results() and row.checkpoints(), driver)
        finished = row.results()
        # Room for what is small, and none for a second checkpoint beside the one that it replaces.
        ballast = fill(row.storage, row.checkpoints()[0].stat().st_size // 2)
        row.until(lambda: len(row.results()) == 3, driver)
        driver.wait()
        failed = {key: result for key, result in row.results().items() if key not in finished}
        assert {result["outcome"] for result in failed.values()} == {"error"}
        assert all("No space left on device" in result["reason"] for result in failed.values()), failed
        assert "Traceback" not in row.log.read_text()
        ballast.unlink()
        row.fault()
        again = row.start("--retry-failed")
        row.recovers(again)
        row.end(again)
        assert_same(row, undisturbed)
        assert {key: row.attempts()[key] for key in finished} == dict.fromkeys(finished, 1)
        row.leaves_nothing()


def test_a_checkpoint_is_truncated(row: Row, undisturbed: Path) -> None:
    half_done(row)
    damaged = row.checkpoints()
    for path in damaged:
        truncate(path)
    goes_on(row, undisturbed)


def test_a_file_of_metrics_is_truncated(row: Row, undisturbed: Path) -> None:
    half_done(row)
    for path in row.storage.glob("s/trials/*/metrics.jsonl"):
        truncate(path)
        with pytest.raises(ValueError):
            [json.loads(line) for line in path.read_text().splitlines()]
    goes_on(row, undisturbed)


def test_a_result_is_truncated(row: Row, undisturbed: Path) -> None:
    shutil.copytree(undisturbed, row.storage)
    trial = row.trials()[0]
    truncate(trial / "result.json")
    goes_on(row, undisturbed)
    assert row.attempts() == {key: 2 if key == trial.name else 1 for key in row.attempts()}


def half_done(row: Row) -> None:
    """A study whose driver was killed when its trials had a checkpoint, and that nobody writes to any more."""
    driver = row.start()
    row.until(lambda: len(row.checkpoints()) == 2, driver)
    row.until(lambda: len(list(row.storage.glob("s/trials/*/metrics.jsonl"))) == 2, driver)
    driver.kill()
    driver.wait()
    row.until(lambda: not row.trial_processes())
    assert row.results() == {}


def goes_on(row: Row, undisturbed: Path) -> None:
    row.fault()
    driver = row.start()
    row.recovers(driver)
    row.end(driver)
    assert "Traceback" not in row.log.read_text()
    assert_same(row, undisturbed)


def truncate(path: Path) -> None:
    """Leave about half of a file, up to the middle of a line."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2].rstrip(b"}\n"))
