import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dashboards.report import write_report
from dashboards.results import read_results
from dashboards.transfer import transfer_table

LAMBDAS = (0.01, 0.1)
DRAWS = np.array([[0.40, 0.44, 0.48, 0.42, 0.46], [0.50, 0.53, 0.58, 0.51, 0.56], [0.44, 0.46, 0.50, 0.47, 0.49]])
"""Test accuracy of each seed (rows) and draw at one label per class."""


def entry(seed: int, lam: float) -> dict:
    """What a trial has on fmnist: at one label λ = 0.1 is worse by 0.1, at all labels better by 0.1."""
    few, many = DRAWS[seed] - (0.1 if lam == 0.1 else 0), 0.7 + 0.01 * seed + (0.1 if lam == 0.1 else 0)
    metrics = {
        "linear_top1": many, "val/linear_top1": many, "knn_top1": 0.6, "linear_top1_at_1": few.mean(),
        "val/linear_top1_at_1": few.mean(), "knn_top1_at_1": 0.3, "floor/chance": 0.1,
        "floor/random_init_linear_top1": 0.5, "floor/random_init_linear_top1_at_1": 0.2,
    }  # fmt: skip
    draws = {"linear_top1": [many], "linear_top1_at_1": few.tolist()}
    return {"fingerprint": "f", "outcome": "ok", "reason": "", "metrics": metrics, "draws": draws, "seconds": 1.0}


@pytest.fixture
def study(make_trial, write_study) -> Path:
    trials = [make_trial(lam=lam, seed=seed, val=0.5, test=0.5) for lam in LAMBDAS for seed in range(3)]
    folder = write_study(trials)
    for trial in trials:
        own = {"fmnist": entry(trial["config"]["seed"], trial["config"]["lambda"])}
        (folder / "trials" / trial["key"] / "transfer.json").write_text(json.dumps(own))
    return folder


def rows(study: Path, shots: int | None) -> dict[float, dict]:
    table = transfer_table(read_results(study))
    return {row["lambda"]: row for row in table if row["shots"] == shots}


def change(study: Path, key: str, **changes) -> None:
    path = study / "trials" / key / "transfer.json"
    path.write_text(json.dumps({"fmnist": {**json.loads(path.read_text())["fmnist"], **changes}}))


def test_lambda_is_chosen_for_each_set_and_number_of_labels(study: Path):
    assert {lam: row["chosen"] for lam, row in rows(study, 1).items()} == {0.01: True, 0.1: False}
    assert {lam: row["chosen"] for lam, row in rows(study, None).items()} == {0.01: False, 0.1: True}


def test_the_interval_over_draws_is_of_the_mean_over_seeds(study: Path):
    row, means = rows(study, 1)[0.01], DRAWS.mean(axis=0)
    assert row["test"] == pytest.approx(DRAWS.mean())
    expected = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert (row["draws_low"], row["draws_high"]) == pytest.approx(expected)
    assert (rows(study, None)[0.01]["draws"], rows(study, None)[0.01]["draws_low"]) == (1, None)


def test_the_interval_over_seeds_is_pooled_over_lambda(study: Path):
    row, by_seed = rows(study, 1)[0.01], DRAWS.mean(axis=1)
    # Both λ have the same spread over seeds: 4 degrees of freedom.
    half = stats.t.ppf(0.975, 4) * by_seed.std(ddof=1) / np.sqrt(3)
    assert row["test_high"] - row["test"] == pytest.approx(half)
    assert row["seeds"] == 3


def test_floors_stand_beside(study: Path):
    assert (rows(study, 1)[0.1]["floor"], rows(study, 1)[0.1]["chance"]) == pytest.approx((0.2, 0.1))
    assert rows(study, None)[0.1]["gain_points"] == pytest.approx(31.0)


def test_a_diverged_trial_counts_as_chance_of_the_other_set(make_trial, write_study):
    good, bad = make_trial(seed=0), make_trial(seed=1, outcome="diverged", chance=0.3)
    study = write_study([good, bad])
    (study / "trials" / good["key"] / "transfer.json").write_text(json.dumps({"fmnist": entry(0, 0.05)}))
    row = rows(study, None)[0.05]
    assert row["test"] == pytest.approx((0.7 + 0.1) / 2)
    assert row["draws_low"] is None


def test_an_evaluation_that_failed_is_a_hole_and_a_note(study: Path):
    (first, *_) = read_results(study).trials["key"]
    change(study, first, outcome="oom", reason="no memory", metrics={}, draws={})
    assert rows(study, 1)[0.01]["seeds"] == 2
    assert "Evaluations on fmnist that failed: 1 (no memory)." in read_results(study).notes


def test_the_report_has_a_section_only_where_there_is_something(study: Path):
    summary = write_report(study)
    text = (study / "report.html").read_text()
    assert "Transfer: what are the encoders worth" in text
    assert json.dumps("digits → fmnist, 1 per class")[1:-1] in text
    assert "on fmnist" in text
    assert json.loads((study / "summary.json").read_text())["transfer"] == summary["transfer"] != []
    for path in study.glob("trials/*/transfer.json"):
        path.unlink()
    assert write_report(study)["transfer"] == []
    assert "Transfer: what" not in (study / "report.html").read_text()


def test_of_a_search_the_chosen_lambda_is_told_without_an_interval_over_seeds(study: Path):
    about = json.loads((study / "study.json").read_text())
    about["config"]["search"] = "tpe"
    (study / "study.json").write_text(json.dumps(about))
    (row,) = rows(study, None).values()
    assert (row["lambda"], row["chosen"], row["test_low"]) == (0.1, True, None)
    write_report(study)
    assert "Transfer: what" in (study / "report.html").read_text()
