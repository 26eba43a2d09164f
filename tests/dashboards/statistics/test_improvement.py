import numpy as np
import pytest
from scipy import stats
from scored_tables import scored

from dashboards.statistics.improvement import improvements


def test_probability_of_improvement_is_the_mann_whitney_share_averaged_over_cells():
    values = np.random.default_rng(0).integers(0, 5, size=(3, 2, 2, 4)).astype(float)
    (found,) = improvements(scored(values, lambdas=[0.01, 0.1]), permutations=1)
    shares = [stats.mannwhitneyu(values[a, d, 1], values[a, d, 0]).statistic / 16 for a in range(3) for d in range(2)]
    assert found.probability == pytest.approx(np.mean(shares))
    assert (found.better, found.than, found.cells) == (0.1, 0.01, 6)


def test_p_is_uniform_for_equal_lambdas_that_share_the_luck_of_seeds():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(100):
        values = rng.normal(size=(3, 2, 1, 2)) + 0.3 * rng.normal(size=(3, 2, 2, 2))
        p.append(improvements(scored(values), permutations=99)[0].p)
    assert np.mean(np.array(p, dtype=float) <= 0.1) == pytest.approx(0.1, abs=0.09)


def test_a_better_lambda_is_found():
    values = np.random.default_rng(2).normal(size=(4, 3, 3, 2)) + np.array([0, 0, 5])[:, None]
    first, second, third = improvements(scored(values), permutations=199)
    assert first.p is not None and first.p > 0.01 and first.probability == pytest.approx(0.5, abs=0.2)
    for found in (second, third):
        assert found.probability == pytest.approx(1, abs=0.01) and found.p == pytest.approx(1 / 200)


def test_common_cells_count_and_their_lack_is_said():
    values = np.random.default_rng(3).normal(size=(2, 1, 2, 2))
    values[0, 0, 0] = np.nan
    assert improvements(scored(values), permutations=1)[0].cells == 1
    values[1, 0, 0] = np.nan
    values[0, 0, 0] = 1
    values[0, 0, 1] = np.nan
    (found,) = improvements(scored(values), permutations=1)
    assert (found.probability, found.note) == (None, "no common cells")
