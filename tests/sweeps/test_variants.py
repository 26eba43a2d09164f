"""A study of two variants from the command line: real Ray, real MLflow, real images."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from studies import results, run

from lejepa_platform.cli import main as lejepa
from lejepa_platform.tracking import default_uri
from sweeps.lambda_stability import main
from sweeps.varying import varied

SMALL = ["--datasets", "digits", "--architectures", "resnet10t_w32", "--epochs", "1", "--image-size", "16",
         "--batch-size", "64", "--limit-train", "256", "--slices", "16"]  # fmt: skip


def test_a_study_of_variants_trains_tracks_and_reports_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = tmp_path / "studies"
    out, err = run(storage, tmp_path, *SMALL, "--vary", "views_global=2,3")
    names = ["views_global=2", "views_global=3"]
    trials = results(storage)
    assert {result["outcome"] for result in trials.values()} == {"ok"}
    told = {key: f"views_global={result['config']['views_global']}" for key, result in trials.items()}
    assert sorted(told.values()) == sorted(2 * names)
    assert all(f"{name} / resnet10t_w32 / digits" in err for name in names)

    summary = json.loads((storage / "s" / "summary.json").read_text())
    assert summary["verdict"] in out
    assert [(one["name"], one["counts"]) for one in summary["variants"]] == [(name, {"ok": 2}) for name in names]
    assert len(summary["rows"]) == 4
    for one in summary["variants"]:
        assert json.loads((storage / "s" / one["summary"]).read_text())["counts"] == {"ok": 2}

    client = MlflowClient(default_uri(storage))
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
    assert {run.data.tags["trial_key"]: run.data.params["variant"] for run in runs if "trial_key" in run.data.tags} == (
        told
    )
    cells = {run.data.tags["variant"] for run in runs if run.data.tags["role"] == "cell"}
    (top,) = (run for run in runs if run.data.tags["role"] == "study")
    held = {file.path for file in client.list_artifacts(top.info.run_id)}
    assert cells == set(names)
    assert {"report.html", *(one["page"] for one in summary["variants"])} <= held

    capsys.readouterr()
    assert lejepa(["status", "s", "--storage", str(storage), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["variants"] == dict.fromkeys(names, "2/2")
    assert main(["--extend", "--study", "s", "--storage", str(storage), "--vary", "views_global=4", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 + 1
    assert told.items() <= {line.split()[0]: line.split()[-1] for line in lines[:-1]}.items()


def test_every_combination_is_a_variant_named_by_its_values() -> None:
    found = varied(["t_max=3,5", "sampler=gaussian,sobol", "global_scale=[0.2,1]", "limit_train=null"])
    assert list(found) == [
        f"t_max={t} sampler={s} global_scale=[0.2,1] limit_train=null" for t in (3, 5) for s in ("gaussian", "sobol")
    ]
    assert found["t_max=5 sampler=sobol global_scale=[0.2,1] limit_train=null"].settings == {
        "t_max": 5.0, "sampler": "sobol", "global_scale": (0.2, 1.0), "limit_train": None
    }  # fmt: skip
    assert varied([]) == {}
