import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dashboards.results import read_results
from dashboards.statistics.scores import (
    agreements,
    at_best_settings,
    choose,
    labelled,
    pooled_intervals,
    rank_agreement,
    score,
    t_interval,
)


def table(values: np.ndarray, architecture: str = "a") -> pd.DataFrame:
    """(S, L) accuracies as scored rows."""
    return pd.DataFrame(
        [
            {"architecture": architecture, "dataset": "d", "lambda": 0.01 * (1 + lam), "seed": seed,
             "test": value, "outcome": "ok"}
            for (seed, lam), value in np.ndenumerate(values)
        ]
    )  # fmt: skip


def test_failures_count_as_the_design_says(make_trial, write_study):
    trials = [
        make_trial(seed=0, val=0.8, test=0.7, loss=0.5),
        make_trial(seed=1, val=0.3, test=0.2, loss=0.4, outcome="collapsed"),
        make_trial(seed=2, val=None, test=None, loss=None, outcome="diverged"),
        make_trial(seed=3, val=0.8, test=0.7, outcome="stopped"),
        make_trial(seed=4, outcome="oom", floor=None),
        make_trial(seed=5, outcome=None),
    ]
    scored = score(read_results(write_study(trials)).trials)
    nan = float("nan")
    np.testing.assert_equal(scored["test"].tolist(), [0.7, 0.2, 0.1, nan, nan, nan])
    np.testing.assert_equal(scored["val"].tolist(), [0.8, 0.3, 0.1, nan, nan, nan])
    np.testing.assert_equal(scored["loss"].tolist(), [0.5, 0.4, np.inf, nan, nan, nan])
    assert scored["floor"].tolist() == [0.4] * 6
    assert labelled(scored) == ("digits",)


def test_t_interval_is_scipys():
    values = [1.0, 2.5, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = t_interval(values)
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 4)
    assert t_interval([1.0, 2.0]).low is None


def test_pooled_intervals_of_one_lambda_are_students():
    values = np.array([[0.5], [0.52], [0.57], [0.49]])
    (row,) = pooled_intervals(table(values)).to_dict("records")
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values[:, 0]))
    assert (row["low"], row["high"], row["df"]) == (pytest.approx(low), pytest.approx(high), 3)


def test_pooled_spread_is_the_residual_of_a_least_squares_fit():
    rng = np.random.default_rng(0)
    points = table(rng.normal(size=(3, 4))).drop(index=5)  # one trial missing
    design = pd.get_dummies(points["lambda"]).to_numpy(float)
    _, (residual,), rank, _ = np.linalg.lstsq(design, points["test"].to_numpy(), rcond=None)
    df = len(points) - rank
    found = pooled_intervals(points)
    half = stats.t.ppf(0.975, df) * np.sqrt(residual / df / found["n"])
    assert found["df"].unique().tolist() == [df]
    np.testing.assert_allclose(found["high"] - found["mean"], half)


def test_pooled_intervals_cover_the_truth_95_times_in_100():
    rng = np.random.default_rng(1)
    cells = [table(rng.normal(size=(2, 4)), architecture=f"a{i:03d}") for i in range(400)]
    found = pooled_intervals(pd.concat(cells))
    covered = ((found["low"] < 0) & (found["high"] > 0)).mean()
    assert covered == pytest.approx(0.95, abs=0.025)  # four standard errors of 400 independent cells at least


def test_too_few_seeds_or_a_diverged_one_get_no_interval():
    assert pooled_intervals(table(np.array([[0.1, 0.2, 0.3]])))["low"].isna().all()
    points = table(np.array([[0.5, 0.6, 0.1], [0.52, 0.61, 0.7], [0.51, 0.63, 0.72]]))
    without = pooled_intervals(points[points["lambda"] < 0.025])
    points.loc[(points["seed"] == 0) & (points["lambda"] > 0.025), "outcome"] = "diverged"
    found = pooled_intervals(points)
    assert found["low"].isna().tolist() == [False, False, True]
    pd.testing.assert_series_equal(found["low"][:2], without["low"])


def test_lambdas_with_a_collapsed_seed_lend_their_spread_to_each_other_only():
    points = table(np.random.default_rng(2).normal(size=(3, 4)))
    points.loc[points["seed"].eq(1) & points["lambda"].isin(sorted(set(points["lambda"]))[:2]), "outcome"] = "collapsed"
    collapsed = points["lambda"].isin(points.loc[points["outcome"] == "collapsed", "lambda"])
    apart = pd.concat([pooled_intervals(points[collapsed]), pooled_intervals(points[~collapsed])], ignore_index=True)
    assert apart["low"].notna().all()
    pd.testing.assert_frame_equal(pooled_intervals(points), apart)


def test_lambda_is_chosen_on_validation_and_ties_go_to_the_smaller(make_trial, write_study):
    trials = [
        make_trial(lam=0.1, seed=0, val=0.1 + 0.2, test=0.5), make_trial(lam=0.2, seed=0, val=0.3, test=0.9),
        make_trial(lam=0.1, seed=1, val=0.3, test=0.7), make_trial(lam=0.2, seed=1, val=0.1 + 0.2, test=0.9),
        make_trial(lam=0.4, seed=0, val=0.2, test=0.99), make_trial(lam=0.4, seed=1, val=0.2, test=0.99),
    ]  # fmt: skip
    (row,) = choose(score(read_results(write_study(trials)).trials)).to_dict("records")
    assert (row["lambda"], row["test"], row["n"]) == (0.1, pytest.approx(0.6), 2)


def test_other_settings_are_tuned_at_each_lambda_and_one_lucky_seed_does_not_win(make_trial, write_study):
    def at(lam: float, lr: float, seed: int, val: float | None) -> dict:
        outcome = "ok" if val is not None else "oom"
        return make_trial(lam=lam, seed=seed, val=val, test=val, outcome=outcome, config={"learning_rate": lr})

    trials = [
        at(0.1, 1e-3, 0, 0.5), at(0.1, 1e-3, 1, 0.5), at(0.1, 1e-2, 0, 0.6), at(0.1, 1e-2, 1, 0.6),
        at(0.2, 1e-3, 0, 0.5), at(0.2, 1e-3, 1, 0.5), at(0.2, 1e-2, 0, 0.9), at(0.2, 1e-2, 1, None),
    ]  # fmt: skip
    kept = at_best_settings(score(read_results(write_study(trials)).trials))
    assert kept.groupby("lambda")["learning_rate"].unique().map(list).to_dict() == {0.1: [1e-2], 0.2: [1e-3]}


def test_rank_agreement_is_minus_spearmans_rho_with_infinite_losses_worst():
    rng = np.random.default_rng(2)
    loss, accuracy = pd.Series(rng.normal(size=9)), pd.Series(rng.normal(size=9))
    found = rank_agreement(loss, accuracy)
    assert found.agreement == pytest.approx(-stats.spearmanr(loss, accuracy).statistic)
    infinite = pd.Series([1.0, 2.0, 3.0, np.inf, np.nan])
    assert rank_agreement(infinite, pd.Series([0.9, 0.8, 0.7, 0.1, 0.5])).agreement == pytest.approx(1)
    assert rank_agreement(infinite, pd.Series([0.9, 0.8, 0.7, 0.1, 0.5])).n == 4


@pytest.mark.parametrize("accuracy", [[0.1, 0.2, 0.3, np.nan], [0.5, 0.5, 0.5, 0.5]])
def test_rank_agreement_says_nothing_of_too_few_or_equal_values(accuracy: list[float]):
    assert rank_agreement(pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series(accuracy)).agreement is None


def test_agreement_within_cells_can_be_the_opposite_of_the_pooled_one(make_trial, write_study):
    trials = [
        make_trial(name, lam=lam, val=0.5, test=base + lam, loss=2 - 2 * base + lam)
        for name, base in (("bad", 0.2), ("good", 0.8))
        for lam in (0.01, 0.02, 0.05, 0.1)
    ]
    scored = score(read_results(write_study(trials)).trials)
    assert [pair.agreement for pair in agreements(scored).values()] == pytest.approx([-1, -1])
    pooled = rank_agreement(scored["loss"], scored["test"])
    assert pooled.agreement is not None and pooled.agreement > 0.5
