import time
from dataclasses import replace

import numpy as np
import pytest

from dashboards.statistics.bootstrap import redraw
from dashboards.statistics.images import Images
from dashboards.statistics.noise import image_variance, seed_noise
from dashboards.statistics.regret import Grid
from dashboards.statistics.sensitivity import sensitivity, worst_cost
from dashboards.statistics.stability import MEASURES, differences, stability
from dashboards.statistics.windows import EPSILONS

POINT = 0.01


def grid_of(test_CSL: np.ndarray, val_CSL: np.ndarray | None = None) -> Grid:
    c, s, n = test_CSL.shape
    return Grid(
        cells=tuple((f"a{i % 10}", f"d{i // 10}") for i in range(c)),
        lambdas=np.logspace(-2, 0, n),
        seeds=tuple(range(s)),
        val_CSL=test_CSL if val_CSL is None else val_CSL,
        test_CSL=test_CSL,
        floor_CS=np.full((c, s), 0.3),
    )


def binary_study(rng: np.random.Generator, truth_CL: np.ndarray, seeds: int, n: int) -> tuple[Grid, Images]:
    """Every answer drawn on its own: images have nothing in common between trainings."""
    c, lambdas = truth_CL.shape
    right = (rng.random((c, seeds, lambdas, n)) < truth_CL[:, None, :, None]).astype(np.float32)
    grid = replace(grid_of(right.mean(axis=-1).astype(float)), cells=tuple((f"a{i}", "d") for i in range(c)))
    return grid, Images(scores={"d": right})


def test_phi_by_hand():
    # Percentiles of three values: 5 % lies a tenth of the way from the lowest to the middle one.
    scores = np.array([[0.0, 1.0, 2.0], [40.0, 20.0, 0.0]])
    # Scaled by 1.8 and 36: losses to the best are (2, 1, 0) / 1.8 and (0, 20, 40) / 36; the middle λ loses
    # (1/1.8 + 20/36) / 2, the others (2/1.8) / 2: all the same.
    assert sensitivity(scores) == pytest.approx(1 / 1.8)
    assert sensitivity(scores[:1]) == pytest.approx(0)
    assert worst_cost(scores) == pytest.approx(21)


def test_at_face_value_noise_looks_like_regret_and_sensitivity_and_cross_fitted_it_does_not():
    noise = np.random.default_rng(0).normal(scale=POINT, size=(600, 3, 6))
    found = stability(grid_of(0.5 + noise), fixed=0.1, permutations=20, draws=20)
    # The highest of six normal values lies 1.267 standard deviations up: 0.73 points for means of 3 seeds.
    assert found.regret.in_sample == pytest.approx(1.267 * POINT / np.sqrt(3), rel=0.1)
    assert found.regret.in_sample_null == pytest.approx(found.regret.in_sample, rel=0.1)
    assert 0.45 < found.phi.in_sample < 0.65
    assert found.phi.in_sample_null == pytest.approx(found.phi.in_sample, rel=0.1)
    for one in (found.regret, found.phi, found.worst):
        assert abs(one.null_mean) < 0.12 * one.in_sample
        assert one.low < 0 < one.high


def test_windows_stand_beside_those_that_their_seeds_alone_would_show():
    # Six λ alike, but for one in the middle that fails, and stays out of the window on the right.
    rng = np.random.default_rng(7)
    truth = np.full((40, 1, 6), 0.6)
    flat = [stability(grid_of(truth[:8] + rng.normal(scale=POINT, size=(8, 3, 6))), draws=2) for _ in range(40)]
    truth[:, :, 2] = 0.2
    found = stability(grid_of(truth + rng.normal(scale=POINT, size=(40, 3, 6))), permutations=200, draws=2)
    for eps in EPSILONS:
        seen = np.array([one.windows[eps].value for one in flat])
        nulls = np.array([one.windows[eps].null_mean for one in flat])
        error = (seen - nulls).std(ddof=1) / np.sqrt(len(flat))
        assert abs((seen - nulls).mean()) < 3.5 * error + 0.01
        assert found.windows[eps].null_mean == pytest.approx(nulls.mean(), abs=0.25)
    assert found.windows[0.02].value < found.windows[0.02].null_low and found.windows[0.02].p < 0.02
    assert found.worst.p < 0.02
    # Not more often than it should be is a flat curve said to be narrower than noise makes it.
    assert sum(one.windows[0.01].p <= 0.05 for one in flat) <= 6


def test_without_noise_every_measure_is_the_truth():
    truth = np.array([[0.50, 0.60, 0.595, 0.40], [0.70, 0.68, 0.71, 0.69], [0.5, 0.49, 0.48, 0.47]])
    found = stability(grid_of(np.repeat(truth[:, None], 3, axis=1)), fixed=0.01)
    assert found.fixed == 0.01
    assert found.regret.value == pytest.approx((0.10 + 0.01 + 0) / 3) == found.regret.in_sample
    assert found.worst.value == pytest.approx((0.20 + 0.03 + 0.03) / 3) == found.worst.in_sample
    assert found.gain.value == pytest.approx((0.30 + 0.41 + 0.20) / 3)
    assert found.phi.value == pytest.approx(found.phi.in_sample)
    step = 2 / 3
    assert [found.windows[eps].value for eps in EPSILONS] == pytest.approx([0, step, step])


def test_the_spread_of_seeds_is_the_residual_variance_of_an_additive_table_with_holes():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(1, 4, 5))
    table[0, 1, 2] = table[0, 3, 0] = np.nan
    seed, lam = np.nonzero(np.isfinite(table[0]))
    design = np.concatenate([np.eye(4)[seed], np.eye(5)[lam]], axis=1)
    values = table[0][seed, lam]
    rest = values - design @ np.linalg.lstsq(design, values)[0]
    found = seed_noise(table, paired=True)
    assert found.df_C.tolist() == [10]
    weights = np.isfinite(table[0]).sum(axis=0)
    # The profile over λ is normalised to a mean of 1.
    assert found.variance_CL.mean() == pytest.approx(rest @ rest / 10, rel=1e-4)
    assert weights.sum() == 18


def test_what_the_images_add_is_what_trainings_have_in_common():
    rng = np.random.default_rng(2)
    hard, own = rng.normal(size=4000), rng.normal(size=(3, 4000))
    assert image_variance(hard + 2 * own) * 4000 == pytest.approx(9, rel=0.2)
    assert image_variance(own) * 4000 < 0.4
    assert image_variance(own[:1]) == 0


def test_redrawn_studies_vary_as_answers_do():
    truth = np.full((4, 3), 0.6)
    grid, images = binary_study(np.random.default_rng(3), truth, seeds=20, n=500)
    _, drawn = redraw(grid, images, 3000)
    # Nothing is shared, so a training's variance is the binomial one; means over 20 seeds have a 20th of it.
    binomial = 0.6 * 0.4 / 500
    assert drawn.mean(axis=2).var(axis=0).mean() == pytest.approx(binomial / 20, rel=0.25)


def test_differences_between_lambdas_are_paired_t_intervals_where_images_share_nothing():
    rng = np.random.default_rng(4)
    grid = grid_of(0.5 + POINT * rng.normal(size=(12, 3, 2)) + 0.05 * rng.normal(size=(12, 3, 1)))
    (found,) = differences(grid, reference=1.0).values()
    pairs = grid.test_CSL[..., 0] - grid.test_CSL[..., 1]
    assert found.value == pytest.approx(pairs.mean())
    # 24 degrees of freedom in all, fewer where cells differ; the quantile stays near 2.06.
    pooled = np.sqrt(pairs.var(axis=1, ddof=1).mean() / pairs.size)
    half = (found.these_cells.high - found.these_cells.low) / 2
    assert 2.06 * pooled <= half < 2.4 * pooled
    assert "too few" not in found.new_architectures.note and found.n == 12


@pytest.mark.parametrize(("cells", "seeds"), [(12, 1), (1, 2)])
def test_too_little_data_says_so(cells, seeds):
    grid = grid_of(np.random.default_rng(5).random((cells, seeds, 4)))
    found = stability(grid)
    for one in (*(getattr(found, name) for name in MEASURES), *found.windows.values()):
        assert one.low is None and ("too few seeds" in one.note or one.note == "one cell: nothing to share")
        assert one.new_low is None


def test_three_architectures_are_too_few_to_speak_of_others():
    grid = grid_of(np.random.default_rng(6).random((3, 3, 4)))
    found = stability(grid, permutations=50, draws=50).worst
    assert found.low is not None
    assert found.new_low is None and found.new_note == "too few architectures: 3, wanted 5"


def test_a_window_narrower_than_the_noise_has_no_interval():
    noise = np.random.default_rng(10).normal(scale=POINT, size=(12, 2, 4))
    found = stability(grid_of(0.5 + noise), permutations=20, draws=50).windows
    # The standard error of a difference is √(2 / 2) = 1 point: more than 1.5 ε for ε = 0.5 points only.
    assert [one.note.startswith("too few seeds or test images") for one in found.values()] == [True, False, False]
    assert found[0.005].note.startswith("too few seeds or test images: two λ of a cell differ by 0.9 points")


def test_a_window_as_wide_as_the_grid_has_a_lower_bound_only():
    noise = np.random.default_rng(2).normal(scale=0.002, size=(12, 3, 5))
    found = stability(grid_of(0.5 + noise), permutations=20, draws=50).windows[0.02]
    assert found.value == pytest.approx(2)
    assert found.low is None and found.high is None
    # Half the distance between neighbours of this grid, 0.25 decades, is the least that a width may be off by.
    assert found.note == "cut off by the grid: at least 1.75 decades"


def test_holes_and_a_cell_of_one_seed_are_no_obstacle():
    curve = 0.5 - 0.05 * np.array([1, 0, 0, 1, 1])
    test = curve + POINT * np.random.default_rng(7).normal(size=(6, 3, 5))
    test[0, :, 2], test[1, 1], test[2, 1:] = np.nan, np.nan, np.nan
    found = stability(grid_of(test), fixed=0.1, permutations=20, draws=50)
    for one in (*(getattr(found, name) for name in MEASURES), found.windows[0.02]):
        assert np.isfinite([one.value, one.low, one.high, one.null_mean, one.in_sample]).all()


def test_two_thousand_draws_of_a_pilot_take_seconds():
    grid, images = binary_study(np.random.default_rng(9), np.full((18, 6), 0.6), seeds=3, n=1000)
    start = time.process_time()
    stability(grid, images, draws=2000)
    assert time.process_time() - start < 10


def test_only_cells_in_which_lambda_could_be_chosen_count():
    test = 0.5 + POINT * np.random.default_rng(10).normal(size=(8, 3, 4))
    test[6:, 1:] = np.nan
    found = stability(grid_of(test), permutations=0, draws=50)
    for one in (found.regret, found.gain, found.windows[0.02]):
        assert (one.n, one.cells) == (6, 8) and one.note.endswith("from 6 of 8 cells")
    test[3:, 1:] = np.nan
    found = stability(grid_of(test), permutations=0, draws=50)
    for one in (found.regret, found.gain, found.windows[0.02]):
        assert one.n == 3 and one.low is None
        assert one.note == "too few cells with two or more seeds; from 3 of 8 cells"


def test_no_interval_says_whether_lambda_could_be_chosen():
    test = np.tile([0.5, 0.7, 0.6], (4, 3, 1)) + 0.001 * np.arange(3)[:, None]
    assert stability(grid_of(test), permutations=0, draws=10).regret.note == "the same λ everywhere"
    assert stability(grid_of(test[:1]), permutations=0, draws=10).regret.note == "one cell: nothing to share"
    alone = stability(grid_of(test[:, :1]), permutations=0, draws=10).regret
    assert alone.n == 0 and alone.note.startswith("too few seeds: nothing to choose λ on")
