import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scored_tables import scored

from dashboards.statistics.differences import compare, compare_architectures, compare_lambdas


def test_the_critical_difference_is_that_of_demsars_table():
    # Demšar (2006), table 5 a: q(0.05) = 2.343, 2.569, 2.728, 3.164 for 3, 4, 5 and 10 groups.
    for k, q in ((3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        table = pd.DataFrame(np.random.default_rng(k).normal(size=(14, k)))
        assert compare(table).cd == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), abs=2e-3)


def test_p_is_friedmans_and_the_best_comes_first():
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(40, 4)) + np.array([0, 0.3, 0.1, 0.2]), columns=list("abcd")
    )
    found = compare(table)
    assert found.p == pytest.approx(stats.friedmanchisquare(*table.to_numpy().T).pvalue, abs=0.03)
    assert found.mean_ranks == tuple(sorted(found.mean_ranks)) and found.groups[0] == "b"
    assert found.mean_ranks[0] == pytest.approx(stats.rankdata(-table, axis=1).mean(axis=0)[1])


def test_cliques_are_the_runs_closer_than_the_critical_difference():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(30, 6)) + np.array([0, 0, 0.7, 1.4, 1.4, 3]), columns=list("abcdef"))
    found = compare(table)
    ranks = dict(zip(found.groups, found.mean_ranks, strict=True))
    assert found.cd is not None
    for clique in found.cliques:
        assert ranks[clique[-1]] - ranks[clique[0]] < found.cd
    for i, better in enumerate(found.groups):
        for worse in found.groups[i + 1 :]:
            together = any({better, worse} <= set(clique) for clique in found.cliques)
            assert together == (ranks[worse] - ranks[better] < found.cd)


def test_equal_groups_are_told_apart_five_times_in_a_hundred():
    rng = np.random.default_rng(2)
    apart = []
    for _ in range(200):
        table = pd.DataFrame(rng.normal(size=(6, 4)))  # blocks and groups of the quick study
        ranks = table.rank(axis=1).mean()
        critical = stats.studentized_range.ppf(0.95, 4, np.inf) / np.sqrt(2) * np.sqrt(4 * 5 / 36)
        apart.append(np.ptp(ranks) > critical)
    assert np.mean(apart) < 0.08
    assert compare(table).cd == pytest.approx(critical)


@pytest.mark.parametrize("shape", [(4, 5), (9, 2), (0, 3)])
def test_too_few_blocks_or_groups_have_no_critical_difference(shape: tuple[int, int]):
    found = compare(pd.DataFrame(np.random.default_rng(0).normal(size=shape)))
    assert found.cd is None and found.cliques == () and "too few" in found.note


def test_lambdas_are_blocked_by_cells():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4, 2, 3, 2)) * 0.01 + np.array([0.5, 0.7, 0.6])[:, None]
    values[0, 0, 1] = np.nan
    found = compare_lambdas(scored(values, lambdas=[0.01, 0.1, 1]))
    assert found.groups == ("0.1", "1", "0.01") and found.blocks == 7
    assert found.note == "left out for holes: a00 · d0"


def test_architectures_are_blocked_by_data_set_and_lambda_and_say_that_these_share_images():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(3, 2, 4, 2)) * 0.01 + np.array([0.5, 0.7, 0.6])[:, None, None, None]
    found = compare_architectures(scored(values))
    assert found.groups == ("a01", "a02", "a00") and found.blocks == 8
    assert "share its images" in found.note
