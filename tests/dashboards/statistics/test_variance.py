import numpy as np
import pandas as pd
import pytest
from scored_tables import scored
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from dashboards.statistics.balance import balanced
from dashboards.statistics.variance import Variance, variance_shares


def effects(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """An effect whose mean over each axis is 0 and whose mean square is 1."""
    found = rng.normal(size=shape)
    for axis in range(found.ndim):
        found -= found.mean(axis=axis, keepdims=True)
    return found / np.sqrt((found**2).mean())


def planted(rng: np.random.Generator, shape: tuple[int, int, int, int], seed: float, rest: float) -> np.ndarray:
    """Variances: architecture 4, data set 9, λ 2, architecture × λ 1, `seed`, `rest`."""
    a, d, n, s = shape
    return (
        2 * effects(rng, a)[:, None, None, None]
        + 3 * effects(rng, d)[None, :, None, None]
        + 2**0.5 * effects(rng, n)[None, None, :, None]
        + effects(rng, a, n)[:, None, :, None]
        + seed**0.5 * rng.normal(size=(a, d, 1, s))
        + rest**0.5 * rng.normal(size=shape)
    )


def shares(found: Variance, name: str = "omega2") -> dict[str, float]:
    return {share.source: getattr(share, name) for share in found.shares}


def test_planted_shares_are_recovered():
    rng = np.random.default_rng(0)
    found = [shares(variance_shares(scored(planted(rng, (6, 3, 6, 3), 2, 2)), permutations=1)) for _ in range(60)]
    mean = pd.DataFrame(found).mean()
    expected = {
        "architecture": 4, "data set": 9, "λ": 2, "architecture × data set": 0, "architecture × λ": 1,
        "data set × λ": 0, "architecture × data set × λ": 0, "seed": 2, "seed × λ": 2,
    }  # fmt: skip
    assert list(mean.index) == list(expected)
    np.testing.assert_allclose(mean, np.array(list(expected.values())) / 20, atol=0.01)


def test_one_table_is_enough_where_chance_is_small():
    found = shares(variance_shares(scored(planted(np.random.default_rng(1), (6, 3, 6, 3), 0.2, 0.2)), permutations=1))
    expected = {"architecture": 4, "data set": 9, "λ": 2, "architecture × λ": 1, "seed": 0.2, "seed × λ": 0.2}
    for name, variance in expected.items():
        assert found[name] == pytest.approx(variance / 16.4, abs=0.05), name


def test_sums_of_squares_are_those_of_statsmodels():
    points = scored(planted(np.random.default_rng(1), (4, 3, 3, 2), 1, 1))
    names = {"architecture": "a", "dataset": "d", "lambda": "l"}
    formula = "test ~ C(a) * C(d) * C(l) + C(a):C(d):C(seed)"
    theirs = anova_lm(ols(formula, points.rename(columns=names)).fit(), typ=2)
    found = {share.source: share for share in variance_shares(points, permutations=1).shares}
    total = theirs["sum_sq"].sum()
    for ours, row in {
        "architecture": "C(a)", "λ": "C(l)", "architecture × data set": "C(a):C(d)", "data set × λ": "C(d):C(l)",
        "architecture × data set × λ": "C(a):C(d):C(l)", "seed": "C(a):C(d):C(seed)", "seed × λ": "Residual",
    }.items():  # fmt: skip
        assert found[ours].eta2 == pytest.approx(theirs.loc[row, "sum_sq"] / total)
        assert found[ours].df == theirs.loc[row, "df"]
    # λ is judged by what is left, as statsmodels judges everything; an architecture by seeds.
    assert found["λ"].f == pytest.approx(theirs.loc["C(l)", "F"])
    assert found["λ"].p == pytest.approx(theirs.loc["C(l)", "PR(>F)"])
    seeds = theirs.loc["C(a):C(d):C(seed)", "F"]
    assert found["architecture"].f == pytest.approx(theirs.loc["C(a)", "F"] / seeds)


def test_parts_of_variance_add_up_to_one():
    for shape in ((3, 2, 4, 2), (3, 1, 4, 1), (5, 2, 1, 3), (1, 1, 4, 3)):
        found = variance_shares(scored(np.random.default_rng(2).normal(size=shape)), permutations=1)
        assert sum(shares(found).values()) == pytest.approx(1)
        assert sum(shares(found, "eta2").values()) == pytest.approx(1)


def test_a_test_of_architectures_is_not_fooled_by_seeds_that_all_lambdas_share():
    rng = np.random.default_rng(3)
    small = []
    for _ in range(100):
        values = rng.normal(size=(4, 2, 1, 2)) + 0.1 * rng.normal(size=(4, 2, 6, 2))
        found = variance_shares(scored(values), permutations=1)
        small.append(next(share.p for share in found.shares if share.source == "architecture"))
    assert np.mean(np.array(small, dtype=float) < 0.05) == pytest.approx(0.05, abs=0.06)


def test_p_of_lambda_is_uniform_where_lambda_does_nothing_and_small_where_it_acts():
    rng = np.random.default_rng(4)
    values = [rng.normal(size=(3, 2, 1, 2)) + rng.normal(size=(3, 2, 4, 2)) for _ in range(100)]
    p = [variance_shares(scored(value), permutations=99).p_lambda for value in values]
    assert np.mean(np.array(p, dtype=float) <= 0.1) == pytest.approx(0.1, abs=0.09)
    acting = values[0] + 3 * np.arange(4)[:, None]
    assert variance_shares(scored(acting), permutations=99).p_lambda == pytest.approx(0.01)


def test_with_one_seed_the_highest_interaction_is_chance():
    found = variance_shares(scored(np.random.default_rng(5).normal(size=(4, 1, 5, 1))))
    assert list(shares(found)) == ["architecture", "λ", "chance"]
    assert "one data set" in found.note and "one seed" in found.note


def test_with_one_lambda_seeds_are_chance():
    found = variance_shares(scored(np.random.default_rng(6).normal(size=(4, 3, 1, 2))))
    assert list(shares(found)) == ["architecture", "data set", "architecture × data set", "seed"]
    assert found.p_lambda is None


def test_a_hole_costs_one_level_and_is_named():
    values = np.random.default_rng(7).normal(size=(6, 2, 4, 2))
    values[2, 1, 3, 0] = np.nan
    found = variance_shares(scored(values), permutations=1)
    assert (found.n, found.of) == (80, 95)
    assert found.note == "left out for holes: a02 (80 of 95 trials are in)"


def test_diverged_trials_are_in_and_said():
    points = scored(np.random.default_rng(8).normal(size=(3, 2, 3, 2)))
    points.loc[:1, "outcome"] = "diverged"
    found = variance_shares(points, permutations=1)
    assert found.n == 36 and "2 diverged trials" in found.note


@pytest.mark.parametrize("shape", [(1, 1, 4, 1), (1, 1, 1, 3)])
def test_too_few_trials_have_no_shares(shape: tuple[int, ...]):
    found = variance_shares(scored(np.random.default_rng(9).normal(size=shape)))
    assert found.shares == () and "too few" in found.note


def test_nothing_measured_has_no_shares():
    assert variance_shares(scored(np.full((2, 2, 2, 2), np.nan))).shares == ()


def test_the_balanced_part_is_a_whole_grid():
    rng = np.random.default_rng(10)
    values = np.where(rng.random((6, 3, 6, 3)) < 0.03, np.nan, 1.0)
    part, words = balanced(scored(values).dropna(subset=["test"]))
    axes = ["architecture", "dataset", "lambda", "seed"]
    assert len(part) == np.prod([part[axis].nunique() for axis in axes]) > 0
    assert words.startswith("left out for holes: ")
