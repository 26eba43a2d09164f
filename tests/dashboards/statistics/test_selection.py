import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dashboards.statistics.scores import score
from dashboards.statistics.selection import Ranked, Selection, select
from dashboards.statistics.selection_best import best_criterion, rank_candidates
from dashboards.statistics.selection_criteria import CRITERIA, matched_prediction, rank_within, scaled_loss
from dashboards.statistics.selection_families import families
from dashboards.statistics.selection_intervals import Pairs, crossed_interval
from dashboards.statistics.selection_regret import cross_fit, outcomes, regrets

LAMBDAS = (0.003, 0.01, 0.03, 0.1, 0.3)
CELL = ["architecture", "dataset"]


def planted(architectures: int = 3, datasets: int = 3, seeds: int = 2, measured: bool = True) -> pd.DataFrame:
    """A grid whose labels have a peak over λ that differs from cell to cell; retrieval follows accuracy."""
    rng = np.random.default_rng(0)
    rows = []
    for a in range(architectures):
        for d in range(datasets):
            peak = rng.normal(-1.5, 0.4)
            for lam in LAMBDAS:
                for seed in range(seeds):
                    accuracy = 0.6 + 0.03 * a - 0.05 * (np.log10(lam) - peak) ** 2
                    rows.append((f"a{a}", f"d{d}", lam, seed, 1e-3, 0.05, "ok", accuracy, accuracy, lam, 0.1))
    names = [*CELL, "lambda", "seed", "learning_rate", "weight_decay", "outcome"]
    table = pd.DataFrame(rows, columns=[*names, "val/linear_top1", "test/linear_top1", "train/loss", "floor/chance"])
    if measured:
        table["heldout/retrieval_top1"] = np.exp(5 * table["test/linear_top1"])
        table["geometry/embedding_rank"] = 7.0
        table["geometry/lidar"] = -table["test/linear_top1"]
    return table


def row(found: Selection, name: str) -> Ranked:
    return next(r for r in found.ranked if r.name == name)


def quick(trials: pd.DataFrame, **settings: object) -> Selection:
    return select(trials, **{"resamples": 50, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["cell", "dataset"])
def test_a_monotone_function_of_accuracy_loses_nothing(by):
    found = row(quick(planted(), by=by), "retrieval")
    assert found.regret.mean == pytest.approx(0, abs=1e-12)
    assert found.worst == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("by", ["cell", "dataset"])
def test_a_constant_loses_what_a_random_choice_does_and_that_is_the_mean(by):
    trials = planted()
    found = quick(trials, by=by)
    groups = trials.groupby(CELL if by == "cell" else "dataset")["test/linear_top1"]
    wanted = (groups.max() - groups.mean()).mean()
    assert row(found, "rankme").regret.mean == pytest.approx(wanted)
    assert row(found, "random").regret.mean == pytest.approx(wanted)


def test_the_wrong_sign_loses_most_and_labels_lose_nothing_by_definition():
    trials = planted()
    cells = trials.groupby(CELL)["test/linear_top1"]
    found = quick(trials)
    assert row(found, "lidar").regret.mean == pytest.approx((cells.max() - cells.min()).mean())
    assert row(found, "labels").regret.mean == 0


def test_labels_choose_on_validation_and_pay_on_test():
    trials = planted(architectures=1, datasets=1)
    trials["val/linear_top1"] = (trials["lambda"] == 0.3) * 0.5
    at = trials.groupby("lambda")["test/linear_top1"].mean()
    assert row(quick(trials), "retrieval").regret.mean == pytest.approx(at[0.3] - at.max())


def test_a_collapsed_run_is_chosen_only_without_the_guard():
    trials = planted()
    dead = trials["lambda"] == 0.003
    trials.loc[dead, "outcome"] = "collapsed"
    trials.loc[dead, "heldout/retrieval_top1"] = 1e6
    trials.loc[dead, "test/linear_top1"] = 0.1
    trials.loc[dead, "val/linear_top1"] = 0.1
    found = row(quick(trials), "retrieval")
    assert found.regret.mean == pytest.approx(0, abs=1e-12)
    assert found.unguarded > 0.3


def test_a_small_spread_is_dead_whatever_the_outcome_says():
    trials = planted()
    trials["geometry/spread"] = np.where(trials["lambda"] == 0.003, 0.01, 1.0)
    trials.loc[trials["lambda"] == 0.003, "heldout/retrieval_top1"] = 1e6
    found = row(quick(trials), "retrieval")
    assert found.regret.mean < found.unguarded


def test_one_dead_seed_is_enough_to_avoid_a_lambda():
    trials = planted(architectures=1, datasets=1)
    best = trials["test/linear_top1"].idxmax()
    trials.loc[best, "outcome"] = "collapsed"
    ranked = rank_candidates(trials, "retrieval", by="cell")
    assert ranked.iloc[-1]["lambda"] == trials.loc[best, "lambda"]
    assert ranked.iloc[-1]["dead"] == 0.5


@pytest.mark.parametrize("by", ["cell", "dataset"])
@pytest.mark.parametrize("present", [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3), (2,), (3, 4)])
def test_a_seed_in_which_few_have_finished_changes_no_choice(by, present):
    trials = planted(architectures=1, datasets=1, seeds=3)
    first = trials[trials["seed"] < 2]
    late = trials[(trials["seed"] == 2) & trials["lambda"].isin([LAMBDAS[i] for i in present])]
    late = late.assign(**{"heldout/retrieval_top1": -late["heldout/retrieval_top1"]})
    whole, more = (rank_candidates(table, "retrieval", by=by) for table in (first, pd.concat([first, late])))
    pd.testing.assert_frame_equal(whole, more)


def test_where_no_seed_is_whole_the_fullest_count():
    trials = planted(architectures=1, datasets=1, seeds=2)
    gone = ((trials["seed"] == 0) & (trials["lambda"] == 0.3)) | ((trials["seed"] == 1) & (trials["lambda"] < 0.03))
    ranked = rank_candidates(trials[~gone], "retrieval", by="cell").set_index("lambda")
    assert ranked["n"].to_dict() == {0.003: 1, 0.01: 1, 0.03: 1, 0.1: 1, 0.3: 0}
    assert np.isnan(ranked["rank"][0.3])


def test_where_all_are_dead_the_criterion_still_chooses():
    trials = planted().assign(outcome="collapsed")
    assert row(quick(trials), "retrieval").regret.mean == pytest.approx(0, abs=1e-12)


def test_a_diverged_run_is_worst_with_and_without_the_guard():
    trials = planted()
    trials.loc[trials["lambda"] == 0.3, ["outcome", "train/loss"]] = ["diverged", np.nan]
    ranks = rank_within(pd.Series(1.0, index=trials.index), score(trials), CELL, guarded=False)
    assert (ranks[trials["lambda"] == 0.3] < ranks[trials["lambda"] != 0.3].min()).all()


def test_a_missing_value_is_counted_and_no_bad_score():
    trials = planted()
    hole = trials.index[(trials["architecture"] == "a0") & (trials["seed"] == 0)]
    trials.loc[hole[0], "heldout/retrieval_top1"] = np.nan
    found = row(quick(trials), "retrieval")
    assert found.missing == 1
    assert found.regret.mean == pytest.approx(0, abs=1e-12)


def test_a_cell_without_values_is_said_and_its_criterion_does_not_compete():
    trials = planted()
    trials.loc[(trials["architecture"] == "a0") & (trials["dataset"] == "d0"), "heldout/retrieval_top1"] = np.nan
    found = quick(trials)
    assert np.isnan(row(found, "retrieval").by_group["a0 on d0"])
    assert row(found, "retrieval").regret.n == 8
    assert "1 of 9" in row(found, "retrieval").note
    assert row(found, "retrieval").p_best is None
    assert best_criterion(found).name != "retrieval"


def test_trials_without_accuracy_are_left_out_and_counted():
    trials = planted()
    trials.loc[0, "outcome"] = "oom"
    found = quick(trials)
    assert found.left_out == 1 and found.n == len(trials) - 1


def test_a_planted_alpha_is_fitted_on_other_data_sets():
    trials = planted()
    trials["train/loss"] = trials["lambda"] ** 0.7 / trials["test/linear_top1"]
    found = row(quick(trials), "loss_fitted")
    assert found.regret.mean == pytest.approx(0, abs=1e-12)
    assert found.member == "α = 0.7"
    assert set(found.member_by_group.values()) == {"α = 0.7"}
    assert row(quick(trials), "loss_0.4").regret.mean > 0.01


def test_the_fixed_choice_is_that_of_the_other_data_sets():
    trials = planted(architectures=1, datasets=2)
    best = {"d0": 0.01, "d1": 0.1}
    labels = [float(best[d] == lam) for d, lam in zip(trials["dataset"], trials["lambda"], strict=True)]
    trials["val/linear_top1"] = trials["test/linear_top1"] = labels
    found = row(quick(trials), "fixed")
    assert found.member_by_group == {"a0 on d0": "lambda 0.1", "a0 on d1": "lambda 0.01"}
    assert found.regret.mean == 1


def test_the_fit_never_sees_the_labels_of_what_is_held_out():
    rng = np.random.default_rng(0)
    val, test = rng.random((2, 5, 1, 6))
    held = np.array(["x", "x", "y", "y", "z", "z"], dtype=object)
    changed = val.copy()
    changed[:, :, :2] = rng.random((5, 1, 2))
    first, second = cross_fit(val, test, held)[0], cross_fit(changed, test, held)[0]
    np.testing.assert_array_equal(first[:, :2], second[:, :2])


def test_with_one_data_set_nothing_can_be_fitted_on_others():
    found = row(quick(planted(datasets=1)), "loss_fitted")
    assert found.regret.n == 0
    assert found.regret.low is None
    assert row(quick(planted(datasets=1), leave="architecture"), "loss_fitted").regret.n == 3


def test_one_cell_and_one_seed_give_a_regret_without_an_interval():
    found = row(quick(planted(architectures=1, datasets=1, seeds=1)), "retrieval")
    assert found.regret.mean == pytest.approx(0, abs=1e-12)
    assert found.regret.low is None and "too few" in found.note


def test_a_table_without_labels_has_no_regret_but_a_choice():
    trials = planted()
    labels = trials.pop("test/linear_top1")
    found = quick(trials.assign(**{"val/linear_top1": np.nan}))
    assert found.n == 0 and best_criterion(found) is None
    ranked = rank_candidates(trials, "retrieval").groupby("dataset").head(1)
    best = trials.loc[labels.groupby(trials["dataset"]).idxmax()]
    assert list(ranked["lambda"]) == list(best["lambda"])
    assert list(ranked["architecture"]) == list(best["architecture"])


def test_the_best_criterion_is_told_apart_from_a_useless_one_only():
    trials = planted(architectures=6, datasets=4)
    rng = np.random.default_rng(2)
    trials["heldout/retrieval_projection_top1"] = trials["test/linear_top1"] + 1e-9 * rng.random(len(trials))
    best = best_criterion(quick(trials))
    told = {other.name: other.told_apart for other in best.others}
    assert best.name == "retrieval"
    assert not told["projection_retrieval"]
    assert told["lidar"] and told["random"]
    assert 0 < best.p_best <= 1


def test_the_best_of_many_useless_criteria_is_judged_on_other_groups():
    trials = planted(architectures=5, datasets=4)
    rng = np.random.default_rng(1)
    for name in ("heldout/retrieval_top1", "geometry/embedding_rank", "geometry/lidar", "geometry/alpha_req"):
        trials[name] = rng.random(len(trials))
    trials["train/loss"] = rng.random(len(trials))
    best = best_criterion(quick(trials))
    assert best.honest.mean > best.regret.mean


def test_matched_prediction_finds_who_lies_below_the_line():
    table = score(planted(architectures=2, datasets=1))
    sigreg = 1 / table["lambda"]
    offset = np.where(table["architecture"] == "a1", 0.9, 1.0)
    table = table.assign(**{"heldout/sigreg": sigreg, "heldout/prediction": offset * sigreg**-0.5})
    found = matched_prediction(table, ["dataset"])
    assert found[table["architecture"] == "a1"].min() == pytest.approx(-0.5 * np.log(0.9))
    assert found[table["architecture"] == "a0"].max() == pytest.approx(0.5 * np.log(0.9))


def test_matched_prediction_is_missing_where_there_is_no_line():
    table = score(planted()).assign(**{"heldout/sigreg": 2.0, "heldout/prediction": 1.0})
    assert matched_prediction(table, CELL).isna().all()


def test_the_scaled_loss_has_no_score_at_lambda_zero():
    table = score(planted())
    table.loc[0, "lambda"] = 0.0
    assert np.isnan(scaled_loss(0.4)(table, CELL)[0])
    assert scaled_loss(0)(table, CELL)[0] == -table.loc[0, "loss"]


def test_alpha_req_and_sigreg_are_best_at_their_targets():
    table = (
        score(planted())
        .iloc[:3]
        .assign(**{"geometry/alpha_req": [0.5, 1.1, 3.0], "heldout/sigreg_share": [-0.02, 0.01, 0.6]})
    )
    assert CRITERIA["alpha_req"].score(table, CELL).argmax() == 1
    assert CRITERIA["sigreg_floor"].score(table, CELL).argmax() == 1


def test_a_combination_is_the_mean_of_ranks():
    table = score(planted()).assign(**{"heldout/sigreg_share": 0.1})
    parts = [rank_within(CRITERIA[n].score(table, CELL), table, CELL, True) for n in ("retrieval", "lidar")]
    found = families()["retrieval+lidar"].ranks(table, CELL, True)[""]
    np.testing.assert_allclose(found, sum(parts) / 2)


def test_resampling_seeds_is_what_repeating_their_trials_is():
    rng = np.random.default_rng(0)
    val, test, rank = rng.random((3, 2, 3, 4))
    weights = np.array([[[2, 0, 1], [0, 3, 0]]], dtype=float)
    found = regrets(rank, outcomes(val, test, np.zeros_like(val), weights), True)[1][0]
    for g, counts in enumerate(weights[0].astype(int)):
        v, t, r = (np.repeat(x[g], counts, axis=0).mean(axis=0) for x in (val, test, rank))
        assert found[g] == pytest.approx(t[v.argmax()] - t[r.argmax()])


def test_other_settings_than_lambda_are_chosen_too():
    trials = pd.concat([planted(), planted().assign(learning_rate=3e-3)], ignore_index=True)
    slow = trials["learning_rate"] == 1e-3
    for name in ("test/linear_top1", "val/linear_top1"):
        trials.loc[slow, name] -= 0.1
    trials.loc[slow, "heldout/retrieval_top1"] = 0.0
    found = quick(trials)
    assert found.candidates == 10
    assert row(found, "retrieval").regret.mean == pytest.approx(0, abs=1e-12)


def pairs_of(architectures: int, datasets: int) -> Pairs:
    a, d = np.divmod(np.arange(architectures * datasets), datasets)
    return Pairs(architecture_G=a.astype(object), dataset_G=d.astype(object))


def test_the_variance_of_a_crossed_mean_is_that_of_the_two_way_anova():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(6, 1)) + 2 * rng.normal(size=(1, 5)) + 0.3 * rng.normal(size=(6, 5))).ravel()
    grid = values.reshape(6, 5)
    ms_a, ms_d = 5 * grid.mean(axis=1).var(ddof=1), 6 * grid.mean(axis=0).var(ddof=1)
    rest = grid - grid.mean(axis=1, keepdims=True) - grid.mean(axis=0) + grid.mean()
    ms_r = (rest**2).sum() / 20
    df = (ms_a + ms_d - ms_r) ** 2 / (ms_a**2 / 5 + ms_d**2 / 4 + ms_r**2 / 20)
    wanted = stats.t.ppf(0.975, df) * np.sqrt((ms_a + ms_d - ms_r) / 30)
    found, _ = crossed_interval(values, pairs_of(6, 5))
    assert found.high - found.mean == pytest.approx(wanted)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 9), (9, 1), (2, 20)])
def test_too_few_architectures_or_data_sets_give_no_interval(shape):
    values = np.random.default_rng(0).random(shape[0] * shape[1])
    found, note = crossed_interval(values, pairs_of(*shape))
    assert found.low is None and "too few" in note


def test_equal_values_give_no_interval():
    found, note = crossed_interval(np.zeros(12), pairs_of(4, 3))
    assert found.low is None and "same" in note


# C architectures, D data sets, S seeds, L lambdas
def simulated(rng: np.random.Generator, shape: tuple[int, int], crossed: float) -> dict[str, np.ndarray]:
    """Regrets of a study whose best λ and criterion's error differ between cells.

    `crossed` is the share of that variance that comes from the architecture and the data set alone.
    """
    c, d = shape
    log_L, noise = np.log10(np.geomspace(0.002, 0.5, 6)), rng.normal

    def differs(sd: float) -> np.ndarray:
        shared = noise(0, sd, (c, 1)) + noise(0, sd, (1, d))
        return (np.sqrt(1 - crossed) * noise(0, sd, (c, d)) + np.sqrt(crossed / 2) * shared).reshape(-1, 1)

    peak = differs(0.5) - 1.3
    run = (-0.05 * (log_L - peak) ** 2)[:, None] + noise(0, 0.01, (c * d, 3, 6))
    val, test = run + noise(0, 0.015, (2, *run.shape))
    rank = ((-0.05 * (log_L - peak - differs(0.3)) ** 2)[:, None] + noise(0, 0.02, run.shape)).argsort(2).argsort(2)
    means = outcomes(val, test, np.zeros_like(val), np.ones((1, c * d, 3)))
    fixed = [(best[..., None] - each).transpose(2, 0, 1) for best, each in (
        (means.best_val_BG, means.val_BGK), (means.best_test_BG, means.test_BGK))]  # fmt: skip
    found = {"criterion": regrets(rank.astype(float), means, True)[1][0]}
    found["random"] = regrets(np.zeros_like(val), means, True)[1][0]
    found["good"] = regrets((run + noise(0, 0.005, run.shape)).argsort(2).argsort(2) / 6, means, True)[1][0]
    found["fixed"] = cross_fit(fixed[0], fixed[1], np.tile(np.arange(d), c).astype(object))[0][0]
    found["criterion - fixed"] = found["criterion"] - found["fixed"]
    return found


def test_a_fit_with_few_parts_held_out_has_no_interval():
    values = np.random.default_rng(0).random(24)
    assert crossed_interval(values, pairs_of(6, 4))[0].low is not None
    found, note = crossed_interval(values, pairs_of(6, 4), folds=4)
    assert found.low is None and "4 parts" in note


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "crossed"), [((6, 3), 0.0), ((6, 3), 0.5), ((6, 5), 0.0), ((6, 5), 0.5)])
def test_intervals_cover_or_are_not_given(shape, crossed):
    """Share of 500 studies whose 95 % interval holds the truth: between 90 and 98 %, or there is none."""
    rng, pairs = np.random.default_rng(0), pairs_of(*shape)
    truth = [simulated(rng, shape, crossed) for _ in range(1500)]
    studies = [simulated(rng, shape, crossed) for _ in range(500)]
    covered = {}
    for name in studies[0]:
        folds = shape[1] if name == "fixed" else None
        mean = np.mean([regret[name].mean() for regret in truth])
        bounds = [crossed_interval(study[name], pairs, folds=folds)[0] for study in studies]
        if bounds[0].low is not None:
            covered[name] = float(np.mean([found.low <= mean <= found.high for found in bounds]))
    print(shape, crossed, covered)
    assert ("fixed" in covered) == (shape[1] >= 5)
    assert all(0.90 <= share <= 0.98 for share in covered.values()), covered


def test_candidates_are_those_of_a_choice_and_not_of_all_choices():
    trials = planted()
    trials.loc[trials["dataset"] == "d0", "lambda"] *= 1.5
    assert quick(trials).candidates == len(LAMBDAS)
