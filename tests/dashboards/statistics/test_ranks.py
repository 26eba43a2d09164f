import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scored_tables import scored

from dashboards.statistics.ranks import kendall_w, rank_flow, rank_stability


def test_w_is_friedmans_chi_square_per_judge_and_free_rank_ties_included():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, size=(5, 6)).astype(float)
    chi2 = stats.friedmanchisquare(*scores.T).statistic
    found = kendall_w(scores)
    assert found.w == pytest.approx(chi2 / (5 * 5))
    assert (found.judges, found.items, found.chance) == (5, 6, 0.2)


def test_the_permutation_p_is_friedmans_where_blocks_are_many():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(60, 4)) + np.array([0, 0.1, 0.2, 0.3])
    assert kendall_w(scores, 4999).p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, abs=0.02)


def test_w_is_one_for_one_order_and_a_share_of_judges_for_noise():
    assert kendall_w(np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))).w == pytest.approx(1)
    rng = np.random.default_rng(2)
    found = [kendall_w(rng.normal(size=(4, 5)), 1).w for _ in range(400)]
    assert np.mean([w for w in found if w is not None]) == pytest.approx(1 / 4, abs=0.025)


@pytest.mark.parametrize("shape", [(1, 5), (4, 2)])
def test_too_few_judges_or_items_have_no_w(shape: tuple[int, int]):
    found = kendall_w(np.random.default_rng(0).normal(size=shape))
    assert found.w is None and found.note.startswith("too few")


def test_equal_scores_everywhere_have_no_w():
    assert kendall_w(np.ones((3, 4))).note == "every order is one tie"


def test_stability_of_a_planted_order():
    quality = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    values = np.empty((5, 2, 3, 2))
    values[:, 0] = quality[:, None, None]
    values[:, 1, :2] = quality[:, None, None]
    values[:, 1, 2] = quality[::-1, None]  # at the largest λ of d1 the order is reversed
    found = rank_stability(scored(values))
    assert found.across_lambdas["d0"].w == pytest.approx(1)
    assert found.across_lambdas["d1"].w == pytest.approx(1 / 9)  # of three orders two cancel
    first, second = found.taus
    assert first.neighbours == pytest.approx(1) and second.neighbours == pytest.approx(0)
    np.testing.assert_allclose(np.array(second.tau, dtype=float), [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])


def test_tau_is_scipys_on_the_architectures_measured_at_both():
    values = np.random.default_rng(3).normal(size=(7, 1, 2, 1))
    values[2, 0, 1, 0] = np.nan
    (table,) = rank_stability(scored(values)).taus
    kept = np.arange(7) != 2
    assert table.tau[0][1] == pytest.approx(stats.kendalltau(*values[kept, 0, :, 0].T).statistic)
    assert table.n == ((7, 6), (6, 6))


def test_tau_of_three_architectures_is_not_said():
    (table,) = rank_stability(scored(np.random.default_rng(0).normal(size=(3, 1, 2, 1)))).taus
    assert table.neighbours is None and "too few" in table.note


def test_w_names_what_holes_left_out():
    values = np.random.default_rng(4).normal(size=(6, 1, 4, 1))
    values[:5, 0, 3] = np.nan
    values[0, 0, 1] = np.nan
    found = rank_stability(scored(values)).across_lambdas["d0"]
    assert (found.judges, found.items) == (3, 5)
    assert found.note == "left out for holes: λ 1, a00"


def test_rank_flow_keeps_holes_and_shares_ties():
    values = np.array([[0.9, 0.5], [0.7, np.nan], [0.7, 0.6]])[:, None, :, None]
    flow = rank_flow(scored(values, lambdas=[0.01, 0.1]))
    assert flow.columns.tolist() == ["dataset", "architecture", "lambda", "test", "n", "rank", "ranked"]
    np.testing.assert_equal(flow["rank"].tolist(), [1, 2, 2.5, np.nan, 2.5, 1])
    assert flow["n"].tolist() == [1, 1, 1, 0, 1, 1]
    assert flow["ranked"].tolist() == [3, 2, 3, 2, 3, 2]


def test_rank_flow_has_a_row_for_what_was_never_started():
    points = scored(np.ones((2, 1, 2, 1)), lambdas=[0.01, 0.1])
    flow = rank_flow(points[(points["architecture"] != "a01") | (points["lambda"] < 0.05)])
    assert len(flow) == 4 and flow["rank"].isna().sum() == 1


def test_nothing_measured_gives_empty_answers():
    nothing = scored(np.full((2, 1, 2, 1), np.nan))
    assert rank_stability(nothing).across_datasets.w is None
    assert pd.isna(rank_flow(nothing)["rank"]).all()
