import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scored_tables import scored

from dashboards.statistics.aggregate import aggregate_iqm, interquartile_mean, iqm_by_lambda

SIMULATIONS = 500


def test_the_iqm_is_the_mean_of_the_middle_half():
    assert interquartile_mean([9, 1, 2, 100, 3, 4, -50, 8]) == pytest.approx((2 + 3 + 4 + 8) / 4)


def test_the_iqm_is_scipys_trimmed_mean_over_all_runs_of_all_cells():
    # rliable's definition: scipy.stats.trim_mean(scores, proportiontocut=0.25, axis=None), scores (runs, tasks).
    runs = np.random.default_rng(0).normal(size=(7, 5))
    assert aggregate_iqm(list(runs)).iqm == pytest.approx(stats.trim_mean(runs, 0.25, axis=None))


def test_the_interval_of_equal_cells_is_about_students_around_the_middle_half():
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(1, 4000))
    found = aggregate_iqm(list(runs))
    # The trimmed mean's standard error (Tukey and McLaughlin 1963): winsorised spread / ((1 - 2·0.25)·√n).
    winsorised = stats.mstats.winsorize(runs[0], (0.25, 0.25)).std()
    assert found.high is not None and found.iqm is not None
    assert found.high - found.iqm == pytest.approx(1.96 * winsorised / (0.5 * np.sqrt(4000)), rel=0.05)


def test_seeds_are_drawn_within_cells():
    # Cells far apart and runs that are equal within each: nothing is uncertain.
    found = aggregate_iqm([np.full(3, value) for value in (0.1, 0.5, 0.6, 0.9)])
    assert found.low == pytest.approx(found.iqm) == pytest.approx(found.high)


def test_one_seed_or_too_few_degrees_of_freedom_have_no_interval():
    alone = aggregate_iqm([np.array([0.1, 0.2]), np.array([0.3])])
    assert alone.low is None and alone.iqm is not None and "1 of 2 cells have one seed" in alone.note
    assert aggregate_iqm([np.array([0.1, 0.2])] * 2).note.startswith("too few")
    assert aggregate_iqm([]).iqm is None


def test_a_lambda_is_judged_on_the_cells_that_all_lambdas_have():
    values = np.tile(np.array([0.2, 0.5, 0.8])[:, None, None, None], (1, 2, 2, 3))
    values[0, :, 1] = np.nan  # the hard architecture failed at the larger λ: that must not make it look better
    first, second = iqm_by_lambda(scored(values))
    assert first.aggregate.iqm == pytest.approx(second.aggregate.iqm)
    assert first.aggregate.cells == 4 and "left out for holes: a00 · d0, a00 · d1" in first.aggregate.note


def test_diverged_runs_are_in_and_said():
    points = scored(np.random.default_rng(2).normal(size=(3, 2, 2, 3)))
    points.loc[points["lambda"].idxmax(), "outcome"] = "diverged"
    assert [one.aggregate.note for one in iqm_by_lambda(points)] == ["", "1 diverged runs count as chance"]


def simulated(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> tuple[pd.DataFrame, list[float]]:
    """A study whose cells differ in level, curve over λ and noise, and its interquartile means over new seeds."""
    a, d, n, s = shape
    level = (
        0.6 + 0.15 * rng.normal(size=(1, d, 1)) + 0.05 * rng.normal(size=(a, 1, 1))
        - 0.03 * rng.random((a, d, 1)) * (np.linspace(-1, 1, n) - 0.3 * rng.normal(size=(a, 1, 1))) ** 2
    )  # fmt: skip
    run, rest = 0.01 * np.exp(0.4 * rng.normal(size=(a, d, 1))), 0.008
    noise = run[..., None] * rng.normal(size=(a, d, 1, s)) + rest * rng.normal(size=(a, d, n, s))
    again = rng.normal(size=(300, a, d, s)) * np.sqrt(run**2 + rest**2)
    each = [(level[:, :, i, None] + again).reshape(300, -1) for i in range(n)]
    truth = [float(stats.trim_mean(studies, 0.25, axis=1).mean()) for studies in each]
    return scored(level[..., None] + noise), truth


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 2, 4, 2), (6, 3, 6, 3)], ids=["quick", "pilot"])
def test_the_interval_covers_the_iqm_of_endless_seeds(shape: tuple[int, int, int, int]):
    """Coverage of a nominal 95 % over 500 studies and all their λ: quick 96.9 %, pilot 95.3 %, never too few.

    The truth is what studies of this shape find on average. Of the mixture of the cells' endless distributions the
    interval covered 91.8 % at the pilot shape: 54 runs do not divide into quarters.
    """
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(SIMULATIONS):
        points, truth = simulated(rng, shape)
        for found, true in zip(iqm_by_lambda(points), truth, strict=True):
            low, high = found.aggregate.low, found.aggregate.high
            covered.append(np.nan if low is None or high is None else float(low <= true <= high))
    print(shape, "covered", np.nanmean(covered), "too few", np.isnan(covered).mean())
    assert np.isnan(covered).mean() < 0.2
    assert 0.90 <= np.nanmean(covered) <= 0.98
