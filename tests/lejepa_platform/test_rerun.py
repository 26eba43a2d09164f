"""Trials repeated from their record: bit for bit, and what is said when they are not."""

import json
from pathlib import Path
from typing import Any

import pytest
from toys import stripes_study
from trackers import make_store

from lejepa_platform.cli import main
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.rerunning import _run
from lejepa_platform.tracking import default_uri, read_mirrored, sync

SEEDS = {"seed": 3, "lambda_": 0.2, "epochs": 2}
VIT = {"architecture": "vit_mini_p4", "epochs": 2}


def rerun(capfd: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str]:
    code = main(["rerun", *map(str, arguments)])
    captured = capfd.readouterr()
    return code, captured.out + captured.err


def metrics(study: StudyLedger, key: str) -> dict[str, float | None]:
    result = study.trial(key).result()
    assert result is not None
    return {name: value for name, value in result["metrics"].items() if value is not None}


@pytest.mark.parametrize("changes", [SEEDS, VIT])
def test_a_trial_repeats_bit_for_bit(
    changes: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study, task = stripes_study(tmp_path, **changes)
    key = task.ledger.key
    code, out = rerun(capfd, key, "--storage", tmp_path, "--to", tmp_path / "again")
    assert (code, out) == (0, f"identical: {len(metrics(study, key))} metrics\n")
    assert metrics(StudyLedger(tmp_path / "again"), key) == metrics(study, key)


@pytest.mark.slow
def test_a_trial_of_two_processes_repeats_on_two(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study, task = stripes_study(tmp_path, train=lambda task: _run(task, 2))
    assert metrics(study, task.ledger.key)["objective/ranks"] == 2
    code, out = rerun(capfd, task.ledger.key, "--storage", tmp_path)
    assert (code, out) == (0, f"identical: {len(metrics(study, task.ledger.key))} metrics\n")


@pytest.mark.slow
def test_a_trial_is_repeated_from_mlflow_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").mkdir()
    make_store(tmp_path / "here")
    uri = default_uri(tmp_path / "here")
    study, task = stripes_study(tmp_path / "there")
    sync(study, uri)
    (run,) = read_mirrored("study", uri).trials
    code, out = rerun(capfd, run.run_id, "--storage", tmp_path / "here", "--data", task.source)
    assert (code, out) == (0, f"identical: {len(metrics(study, task.ledger.key))} metrics\n")
    assert not list((tmp_path / "here" / ".reruns").iterdir())


def test_a_difference_is_told_with_what_differs_of_the_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study, task = stripes_study(tmp_path)
    folder = study.trial(task.ledger.key).path
    result = json.loads((folder / "result.json").read_text())
    result["metrics"]["train/loss"] += 1e-12
    (folder / "result.json").write_text(json.dumps(result))
    environment = json.loads((folder / "environment.json").read_text())
    environment["versions"]["torch"] = "1.0"
    (folder / "environment.json").write_text(json.dumps(environment))
    code, out = rerun(capfd, task.ledger.key, "--storage", tmp_path)
    assert code == 1
    assert out.startswith("different: 1 of ")
    assert f"train/loss: {result['metrics']['train/loss']!r} there" in out
    assert "environment: versions.torch 1.0 there, 2." in out


def test_other_images_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, task = stripes_study(tmp_path)
    other, _ = stripes_study(tmp_path / "other")
    (next((tmp_path / "other" / "stripes").glob("*/3.png"))).unlink()
    source = f"folder:{other.path.parent / 'stripes'}"
    code, out = rerun(capfd, task.ledger.key, "--storage", tmp_path, "--data", source)
    assert code == 2
    assert "have changed (fingerprint" in out
