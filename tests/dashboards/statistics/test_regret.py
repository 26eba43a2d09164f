import numpy as np
import pytest

from dashboards.results import read_results
from dashboards.statistics.regret import Grid, Measures, make_grid, mean_of, measure, new_seed_test, observe, relabel
from dashboards.statistics.scores import at_best_settings, choose, score

LAMBDAS = np.array([0.01, 0.1, 1.0])


def grid_of(val_CSL: np.ndarray, test_CSL: np.ndarray) -> Grid:
    c, s, n = val_CSL.shape
    return Grid(
        cells=tuple((f"a{i}", "d") for i in range(c)),
        lambdas=np.logspace(-2, 0, n),
        seeds=tuple(range(s)),
        val_CSL=val_CSL,
        test_CSL=test_CSL,
        floor_CS=np.zeros((c, s)),
    )


def noise_grid(rng: np.random.Generator, effect: float = 0.0) -> Grid:
    test = rng.normal(size=(4, 3, 5)) + effect * np.arange(5)
    return grid_of(test + 0.5 * rng.normal(size=test.shape), test)


def test_regret_by_hand_where_validation_and_test_disagree():
    val = np.array([[[0.5, 0.6, 0.4], [0.5, 0.6, 0.3]]])
    test = np.array([[[0.50, 0.55, 0.60], [0.50, 0.57, 0.40]], [[0.9, 0.8, 0.7], [0.9, 0.8, 0.7]]])
    val = np.concatenate([val, test[1:]])
    found = observe(grid_of(val, test))
    assert found.chosen_BC.tolist() == [[1, 0]]
    np.testing.assert_allclose(found.regret_BCL[0], [[0.06, 0, 0.06], [0, 0.1, 0.2]])
    # On validation λ = 0.01 loses (0.1 + 0) / 2, λ = 0.1 (0 + 0.1) / 2: a tie, so the smaller one.
    assert found.fixed_B.tolist() == [0]
    assert found.fixed_mean_B[0] == pytest.approx(0.03)
    assert found.fixed_max_B[0] == pytest.approx(0.06)
    assert found.worst_B[0] == pytest.approx((0.06 + 0.2) / 2)


def test_windows_by_hand():
    lambdas = np.array([0.0, 0.01, 0.1, 1.0])
    test = np.array([[[0.5, 0.5, 0.495, 0.49], [0.5, 0.2, 0.3, 0.495], [0.4, 0.5, 0.3, 0.495]]])
    assert measure(test, test, lambdas).width_B[0] == pytest.approx(0)
    assert measure(test[:, :1], test[:, :1], lambdas).width_B[0] == pytest.approx(2)
    missing = test.copy()
    missing[0, 0, 2] = np.nan
    assert measure(missing[:, :1], missing[:, :1], lambdas).width_B[0] == pytest.approx(0)


def test_the_fixed_lambda_must_be_measured_as_widely_as_any():
    val = np.array([[[0.5, 0.5, np.nan], [0.6, np.nan, np.nan], [0.1, 0.7, 0.7]]])
    found = measure(val, val, LAMBDAS)
    assert found.fixed_B.tolist() == [0]
    assert found.fixed_mean_B[0] == pytest.approx(0.2)


def test_the_table_and_the_arrays_choose_the_same(make_trial, write_study):
    rng = np.random.default_rng(0)
    trials = [
        make_trial(a, d, lam, seed, val=float(rng.random()), test=float(rng.random()))
        for a in ("x", "y") for d in ("p", "q") for lam in (0.01, 0.1, 0.4) for seed in (0, 1)
    ]  # fmt: skip
    trials[3] |= {"outcome": "oom"}
    points = at_best_settings(score(read_results(write_study(trials)).trials))
    grid, table = make_grid(points), choose(points)
    found = observe(grid)
    assert list(zip(table["architecture"], table["dataset"], strict=True)) == list(grid.cells)
    np.testing.assert_array_equal(grid.lambdas[found.chosen_BC[0]], table["lambda"])
    best = np.take_along_axis(np.nanmean(grid.test_CSL, axis=1), found.chosen_BC[0][:, None], axis=1)[:, 0]
    np.testing.assert_allclose(best, table["test"])


def permute(grid: Grid, permutations: int, seed: int = 0) -> Measures:
    val, test = relabel(grid, permutations, seed)
    return measure(mean_of(val, axis=2), mean_of(test, axis=2), grid.lambdas)


def test_where_lambda_does_nothing_the_null_is_the_observed_regret_on_average():
    rng = np.random.default_rng(1)
    grids = [noise_grid(rng) for _ in range(150)]
    found = [(observe(grid), permute(grid, 60, seed=i)) for i, grid in enumerate(grids)]
    for name in ("fixed_mean_B", "fixed_max_B", "worst_B", "width_B"):
        differences = np.array([getattr(real, name)[0] - getattr(null, name).mean() for real, null in found])
        error = differences.std(ddof=1) / np.sqrt(len(differences))
        assert abs(differences.mean()) < 3.5 * error, name


def test_where_lambda_matters_no_relabelling_comes_near():
    grid = noise_grid(np.random.default_rng(2), effect=3.0)
    real, null = observe(grid), permute(grid, 199)
    assert real.worst_B[0] > null.worst_B.max()
    assert real.fixed_mean_B[0] < np.quantile(null.fixed_mean_B, 0.025)


def test_permuting_keeps_holes_and_each_seeds_own_values():
    test = np.array([[[0.1, 0.2, np.nan], [10.0, 20.0, 30.0]]])
    shuffled = permute(grid_of(test, test), 200)
    best = {round(float(x), 6) for x in (shuffled.regret_BCL[:, 0].max(axis=1) + 0)}
    # λ 1 holds seed 1 only, so its mean is 10, 20 or 30; the others are half sums of one value of each seed.
    assert np.isfinite(shuffled.regret_BCL).all()
    possible = set()
    for lone, first, second in (
        (10, 20, 30),
        (10, 30, 20),
        (20, 10, 30),
        (20, 30, 10),
        (30, 10, 20),
        (30, 20, 10),
    ):
        for a, b in ((0.1, 0.2), (0.2, 0.1)):
            means = [(first + a) / 2, (second + b) / 2, lone]
            possible.add(round(max(means) - min(means), 6))
    assert best == possible


def test_the_same_seed_gives_the_same_null():
    grid = noise_grid(np.random.default_rng(3))
    np.testing.assert_array_equal(permute(grid, 20, seed=5).worst_B, permute(grid, 20, seed=5).worst_B)


def test_a_new_seed_is_judged_at_the_lambda_of_the_others():
    val = np.array([[[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]])
    test = np.array([[[0.7, 0.3, 0.0], [0.4, 0.6, 0.0]]])
    # Seed 0 at λ_1 (seed 1's choice): 0.3; seed 1 at λ_0: 0.4.
    np.testing.assert_allclose(new_seed_test(grid_of(val, test)), [0.35])
    assert np.isnan(new_seed_test(grid_of(val[:, :1], test[:, :1]))).all()


def test_a_new_seed_is_not_flattered_by_luck():
    rng = np.random.default_rng(4)
    luck = rng.normal(size=(2000, 3, 5))  # test = validation = luck, whose mean is 0 at every λ
    grid = grid_of(luck, luck)
    chosen = observe(grid)
    means = luck.mean(axis=1)
    flattered = np.take_along_axis(means, chosen.chosen_BC[0][:, None], axis=1).mean()
    assert flattered > 0.5
    assert new_seed_test(grid).mean() == pytest.approx(0, abs=0.06)
