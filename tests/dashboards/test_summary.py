import json
from collections.abc import Callable

import numpy as np
import pytest

from dashboards import verdict
from dashboards.report import summarise
from dashboards.results import read_results


@pytest.fixture
def grid_trials(make_trial) -> Callable[..., list[dict]]:
    """Accuracies with λ = 0.05 best by 4 points per step, ±0.2 points between seeds."""

    def build(architectures=("x", "y", "z", "w"), seeds=(0, 1, 2), lambdas=(0.02, 0.05, 0.1)) -> list[dict]:
        return [
            make_trial(
                a, "d", lam, seed, floor=0.4, val=0.7 - 0.04 * abs(i - 1) + 0.002 * seed,
                test=0.6 + 0.01 * k - 0.04 * abs(i - 1) + 0.002 * seed, loss=1 + abs(i - 1) + 0.01 * seed,
            )
            for k, a in enumerate(architectures) for seed in seeds for i, lam in enumerate(lambdas)
        ]  # fmt: skip

    return build


def test_a_full_grid_by_hand(grid_trials, write_study):
    summary = summarise(read_results(write_study(grid_trials())))
    gains = [100 * (0.6 + 0.01 * k + 0.002 - 0.4) for k in range(4)]
    assert summary["gain"]["mean_points"] == pytest.approx(np.mean(gains))
    # Each seed of a cell is 0.2 points above the one before, in every λ: the mean of three has a standard error of
    # 0.2 / √3 points, and that of four such cells half of it.
    assert summary["gain"]["low_points"] < np.mean(gains) < summary["gain"]["high_points"]
    assert summary["gain"]["high_points"] - np.mean(gains) < 4 * 0.2 / np.sqrt(12)
    assert [cell["lambda"] for cell in summary["cells"]] == [0.05] * 4
    assert all(cell["edge"] is None for cell in summary["cells"])
    assert summary["fixed"]["lambda"] == 0.05
    assert summary["fixed"]["max_regret_points"] == pytest.approx(0)
    assert [row["mean_points"] for row in summary["regret_per_lambda"]] == pytest.approx([4, 0, 4])
    assert summary["worst"]["p"] == pytest.approx(1 / 501)
    assert summary["worst"]["value"] == pytest.approx(4)
    assert summary["window"]["value"] == pytest.approx(0)
    assert summary["default_lambda"] == {"published": 0.05, "lambda": 0.05, "within_one_point": 4, "cells": 4}
    assert "beats a randomly initialised backbone by 21.7 points" in summary["verdict"]
    assert "12 of 12" not in summary["verdict"] and "36 of 36 trials ended ok" in summary["verdict"]
    assert summary["cost"]["seconds"] == pytest.approx(360)
    assert summary["warnings"] == []


def test_the_summary_is_strict_json_whatever_happened(grid_trials, make_trial, write_study):
    trials = grid_trials(("x",), (0, 1))
    trials += [
        make_trial("y", "d", 0.05, 0, outcome="diverged", val=None, test=None, loss=None),
        make_trial("q", "e", 0.05, 0, outcome="oom", floor=None, chance=None),
        make_trial("q", "photos", 0.05, 0, floor=None, chance=None),
    ]
    summary = summarise(read_results(write_study(trials)))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["counts"] == {"diverged": 1, "ok": 7, "oom": 1}
    assert summary["unlabelled_datasets"] == ["photos"]
    diverged = next(cell for cell in summary["cells"] if cell["architecture"] == "y")
    assert diverged["test"] == 0.1


def test_one_cell_of_one_seed_gives_no_interval_and_says_so(grid_trials, write_study):
    summary = summarise(read_results(write_study(grid_trials(("x",), (0,)))))
    assert summary["gain"]["low_points"] is None
    assert "1 cell and 1 seed: too few for an interval" in summary["verdict"]
    assert any("one seed" in warning for warning in summary["warnings"])


def test_one_seed_has_no_null(grid_trials, write_study):
    summary = summarise(read_results(write_study(grid_trials(("x", "y", "z"), (0,)))))
    assert "p" not in summary["worst"] and summary["null"]["draws"] == 0
    assert "one seed a cell: no telling how much of that is noise" in summary["verdict"]


def test_a_best_lambda_at_the_edge_is_censored(grid_trials, write_study):
    summary = summarise(read_results(write_study(grid_trials(lambdas=(0.02, 0.05)))))
    assert {cell["edge"] for cell in summary["cells"]} == {"high"}
    assert any("4 of 4 cells the best λ is at the edge" in warning for warning in summary["warnings"])


def test_no_effect_is_called_noise(make_trial, write_study):
    rng = np.random.default_rng(0)
    trials = [
        make_trial(a, "d", lam, seed, val=float(v), test=float(v))
        for a in ("x", "y", "z") for seed in range(3) for lam in (0.01, 0.05, 0.2)
        for v in [0.6 + 0.01 * rng.normal()]
    ]  # fmt: skip
    assert "no more than noise would" in summarise(read_results(write_study(trials)))["verdict"]


def test_collapsed_and_diverged_trials_are_named(grid_trials, write_study):
    trials = grid_trials()
    trials[1]["outcome"] = "collapsed"
    trials[2]["outcome"] = "diverged"
    summary = summarise(read_results(write_study(trials)))
    assert "34 of 36 trials ended ok (1 collapsed, 1 diverged)" in summary["verdict"]
    assert any("1 trials collapsed (1 cell chose such a λ)" in warning for warning in summary["warnings"])


def test_a_search_claims_no_stability(make_trial, write_study):
    trials = [
        make_trial(lam=lam, val=val, test=0.6, config={"learning_rate": lr})
        for lam, lr, val in ((0.011, 1e-3, 0.7), (0.052, 3e-3, 0.9), (0.31, 2e-3, 0.8))
    ]
    summary = summarise(read_results(write_study(trials, config={"search": "tpe"})))
    assert summary["fixed"] is None and summary["worst"] is None and summary["regret_per_lambda"] == []
    assert "best λ from search: 0.052" in summary["verdict"]
    assert summary["cells"][0]["learning_rate"] == 3e-3
    assert "stability claims come from a grid" in summary["warnings"][0]


def test_without_labels_the_verdict_says_so(make_trial, write_study):
    trials = [make_trial(lam=lam, floor=None, chance=None) for lam in (0.01, 0.1)]
    summary = summarise(read_results(write_study(trials)))
    assert "the images have no labels" in summary["verdict"]
    assert summary["gain"] is None and summary["cells"] == []


def test_nothing_finished_and_nothing_started(make_trial, write_study):
    study = write_study([make_trial(outcome=None)], planned=[make_trial()["key"], "other"])
    summary = summarise(read_results(study))
    assert summary["verdict"] == "No trial has finished yet: 0 of 2."
    assert summary["counts"] == {"pending": 2}


def test_one_lambda_is_told_apart_from_the_one_that_other_seeds_choose(grid_trials, write_study):
    verdict = summarise(read_results(write_study(grid_trials())))["verdict"]
    assert "one λ for all 4 cells, chosen on other seeds, loses 0.0 points on average" in verdict
    assert "over all seeds it is 0.05, which loses at most 0.0 in a cell" in verdict


def test_cells_of_one_seed_are_not_counted_where_lambda_is_chosen_on_others(grid_trials, write_study):
    trials = grid_trials() + grid_trials(("one",), (0,))
    summary = summarise(read_results(write_study(trials)))
    assert "one λ for 4 of 5 cells, chosen on other seeds" in summary["verdict"]
    assert (summary["gain"]["n"], summary["gain"]["cells"]) == (4, 5)
    assert "for these cells, from 4 of 5 cells" in summary["verdict"]


def test_two_seeds_that_share_no_cell_are_as_one(grid_trials, write_study):
    summary = summarise(read_results(write_study(grid_trials(("x",), (0,)) + grid_trials(("y",), (1,)))))
    assert summary["stability"] is None and summary["gain"]["mean_points"] == pytest.approx(20.1)
    assert "2 cells and 2 seeds: too few for an interval" in summary["verdict"]


def test_each_lambda_stands_against_the_best_one_and_has_its_mean(grid_trials, write_study):
    low, best, _ = summarise(read_results(write_study(grid_trials())))["regret_per_lambda"]
    assert best["against_best"] is None
    assert low["against_best"]["points"] == pytest.approx(-4)
    # Both λ of a seed move together: nothing is uncertain.
    assert low["against_best"]["low_points"] == pytest.approx(-4) == pytest.approx(low["against_best"]["high_points"])
    # Of 0.60 to 0.63 with ±0.002 by seed, twelve runs, the middle six.
    assert best["iqm"]["value"] == pytest.approx(0.617)
    assert best["iqm"]["low"] < best["iqm"]["value"] < best["iqm"]["high"]


def test_a_shared_lambda_that_gains_has_the_interval_of_the_gain():
    regret = {"value": -0.9, "low": -2.3, "high": 0.5, "null_mean": 0.1, "note": "", "n": 6, "cells": 6}
    numbers = {"lambdas": {"values": [0.01, 0.1]}, "fixed": {"cells": 6, "lambda": 0.03, "max_regret_points": 0.4}}
    numbers["fixed"]["regret"] = regret
    assert "gains 0.9 points on average (95 % CI −0.5 to 2.3; −0.1 if λ did nothing)" in verdict._fixed(numbers)
    numbers["fixed"]["regret"] = {**regret, "value": 0.9, "low": -0.5, "high": 2.3}
    assert "loses 0.9 points on average (95 % CI −0.5 to 2.3; 0.1 if λ did nothing)" in verdict._fixed(numbers)
