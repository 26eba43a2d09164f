"""A study that gains other data sets to be evaluated on, from the command line: nothing is trained again."""

import json
from pathlib import Path
from typing import Any

import pytest
from toys import write_folder

from lejepa_platform.ledger import StudyLedger
from lejepa_platform.tracking import default_uri
from lejepa_platform.tracking.client import connect
from sweeps.lambda_stability import main


def command(storage: Path, images: Path, *arguments: str) -> None:
    code = main(["--architectures", "resnet10t_w32", "--datasets", f"folder:{images}", "--lambdas", "0.05",
                 "--seeds", "1", "--epochs", "2", "--batch-size", "16", "--image-size", "16", "--storage",
                 str(storage), "--study", "s", *arguments])  # fmt: skip
    assert code == 0


def written(storage: Path, *names: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for name in names for path in storage.glob(f"s/trials/*/{name}")}


def summary(storage: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((storage / "s" / "summary.json").read_text())["transfer"]
    return rows


@pytest.mark.slow
def test_a_finished_study_gains_other_sets_and_keeps_its_encoders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, images = tmp_path / "studies", write_folder(tmp_path / "stripes", per_class=20)
    others = [f"folder:{write_folder(tmp_path / f'few_{n}', per_class=20, classes=n)}" for n in (2, 4)]
    command(storage, images, "--evaluate-on", others[0])
    trained = written(storage, "metrics.jsonl", "encoder.safetensors", "result.json")
    assert len(trained) == 3
    rows = summary(storage)
    assert {row["target"] for row in rows} == {"folder:few_2"}
    measured = written(storage, "transfer.json", "attempt.json")

    # What was asked for before is still wanted, and is there: nothing is left to do.
    command(storage, images)
    assert written(storage, "transfer.json", "attempt.json") == measured
    assert summary(storage) == rows

    capsys.readouterr()
    command(storage, images, "--evaluate-on", others[1])
    assert "encoders to evaluate on folder:few_4, without training again: 1" in capsys.readouterr().out
    assert written(storage, "metrics.jsonl", "encoder.safetensors", "result.json") == trained
    assert {row["target"] for row in summary(storage)} == {"folder:few_2", "folder:few_4"}
    client = connect(default_uri(storage))
    (run,) = client.search_runs([client.get_experiment_by_name("s").experiment_id], "tags.role = 'trial'")
    assert {f"transfer/folder:few_{n}/linear_top1_at_1" for n in (2, 4)} <= run.data.metrics.keys()


@pytest.mark.slow
def test_two_workers_of_ray_train_evaluate_on_another_set_once(tmp_path: Path) -> None:
    storage, images = tmp_path / "studies", write_folder(tmp_path / "stripes", per_class=20)
    other = f"folder:{write_folder(tmp_path / 'few', per_class=20, classes=2)}"
    command(storage, images, "--executor", "ray_train", "--workers-per-trial", "2", "--stream", "always",
            "--data-workers", "1", "--evaluate-on", other)  # fmt: skip
    (trial,) = StudyLedger.at(storage, "s").trials()
    result, transfer = trial.result(), trial.transfer()["folder:few"]
    assert result is not None
    assert (result["outcome"], result["metrics"]["objective/ranks"]) == ("ok", 2)
    assert transfer["outcome"] == "ok"
    assert 0.5 <= transfer["metrics"]["linear_top1"] <= 1
