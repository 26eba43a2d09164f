import json
from pathlib import Path

import pytest

from dashboards.results import METRICS, NUMBERS, TEXTS, read_results
from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import StudyLedger, TrialResult


def test_every_outcome_and_every_unfinished_trial_is_a_row(make_trial, write_study):
    trials = [
        make_trial(lam=0.1, val=0.8, test=0.75),
        make_trial(lam=0.2, outcome="oom", reason="out of memory"),
        make_trial(lam=0.05, outcome=None),
    ]
    planned = [trial["key"] for trial in trials] + ["not-started-1", "not-started-2"]
    results = read_results(write_study(trials, planned=planned, notes=["2 images skipped"]))
    assert {*TEXTS, *NUMBERS, *METRICS} <= set(results.trials.columns)
    assert list(results.trials["lambda"]) == [0.05, 0.1, 0.2]
    assert list(results.trials["outcome"]) == ["pending", "ok", "oom"]
    assert results.trials["epochs_done"][0] == 2
    assert results.trials["test/linear_top1"][1] == 0.75
    assert results.trials["reason"][2] == "out of memory"
    assert results.unstarted == 2
    assert results.notes == ("2 images skipped",)


def test_a_trial_that_is_not_in_the_grids_plan_is_left_out_with_a_note(make_trial, write_study):
    old, new = make_trial(config={"epochs": 5}), make_trial(config={"epochs": 10})
    results = read_results(write_study([old, new], planned=[new["key"]]))
    assert list(results.trials["key"]) == [new["key"]]
    assert "1 trials in the folder are not in the present plan" in results.notes[0]


def test_a_damaged_file_is_noted_and_does_not_stop_the_report(make_trial, write_study):
    damaged, foreign = make_trial(lam=0.1), make_trial(lam=0.2, outcome=None)
    study = write_study([damaged, foreign])
    (study / "trials" / damaged["key"] / "result.json").write_text('{"outcome": "o')
    (study / "trials" / foreign["key"] / "config.json").unlink()
    results = read_results(study)
    assert list(results.trials["outcome"]) == ["pending"]
    assert any(damaged["key"] in note for note in results.notes)
    assert any(foreign["key"] in note for note in results.notes)


@pytest.mark.parametrize("content", [None, "[1, 2]", "{"])
def test_a_folder_without_a_study_is_one_line(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(StudyError) as caught:
        read_results(tmp_path)
    assert "study.json" in str(caught.value) and "\n" not in str(caught.value)


def test_it_reads_what_the_ledger_writes(tmp_path: Path):
    config = TrialConfig(
        architecture="vit_tiny", family="vit", lambda_=0.05, learning_rate=1e-3, weight_decay=0.05, seed=3,
        dataset="digits", data_fingerprint="abc",
    )  # fmt: skip
    study = StudyLedger(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"name": "s", "config": {}, "planned": [config.key]}))
    trial = study.trial(config.key).begin(config)
    trial.write_metrics([{"epoch": 1, "train/loss": 1.0}])
    assert read_results(tmp_path).trials["epochs_done"].tolist() == [1]
    metrics = {"test/linear_top1": 0.9, "train/loss": float("nan")}
    trial.write_result(TrialResult(key=config.key, outcome="ok", config=config.flat(), metrics=metrics, seconds=2.5))
    (row,) = read_results(tmp_path).trials.to_dict("records")
    assert (row["architecture"], row["lambda"], row["seed"]) == ("vit_tiny", 0.05, 3)
    assert (row["outcome"], row["test/linear_top1"], row["seconds"]) == ("ok", 0.9, 2.5)
