"""Windows and regrets of the LeJEPA paper's table of λ (Table 7), worked out by hand; censoring; holes."""

import numpy as np
import pytest

from dashboards.statistics.regret import Grid
from dashboards.statistics.sensitivity import regret_at
from dashboards.statistics.windows import cell_windows, lost_to_chosen, median_width, window

LAMBDAS = np.array([0.001, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
HOLE = np.nan
TABLE_7 = np.array([
    [81.41, 82.73, 83.49, 82.99, 82.23, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE],
    [79.88, 83.04, 84.36, 84.68, 84.33, 83.00, 82.91, 81.05, 78.58, HOLE, HOLE, HOLE],
    [76.67, 81.58, 83.59, 83.49, 83.76, 84.32, 83.66, 83.07, 82.16, 81.00, 79.25, 77.72],
]) / 100  # fmt: skip
"""Rows: 2, 4 and 8 views. ResNet-50, ImageNet-100, 400 epochs (arXiv 2511.08544)."""
LOST = np.nanmax(TABLE_7, axis=1, keepdims=True) - TABLE_7


@pytest.mark.parametrize(
    ("eps", "ends", "median"),
    [
        (0.005, [(0.01, 0.02), (0.01, 0.025), (0.05, 0.05)], np.log10(2)),
        (0.01, [(0.005, 0.02), (0.01, 0.025), (0.01, 0.1)], np.log10(4)),
        (0.02, [(0.005, 0.025), (0.005, 0.1), (0.01, 0.15)], np.log10(15)),
    ],
)
def test_windows_of_the_papers_table(eps, ends, median):
    found = [window(row, LAMBDAS, eps) for row in LOST]
    assert [(one.low, one.high) for one in found] == ends
    assert [one.best for one in found] == [0.01, 0.02, 0.05]
    assert [one.censored_low for one in found] == [False, False, False]
    # With 2 views λ was not taken beyond 0.025, which still is within 2 points.
    assert [one.censored_high for one in found] == [eps == 0.02, False, False]
    assert median_width(LOST[None], LAMBDAS, eps)[0] == pytest.approx(median)


def test_regrets_of_the_papers_table():
    assert regret_at(TABLE_7, 3) == pytest.approx((0.0050 + 0 + 0.0083) / 3)
    # λ = 0.05 was not run with 2 views.
    assert regret_at(TABLE_7, 5) == pytest.approx((0.0168 + 0) / 2)


def test_a_best_lambda_at_the_edge_censors_a_window_elsewhere():
    found = window(np.array([0.0, 0.03, 0.004, 0.004]), np.array([0.01, 0.1, 0.2, 0.3]), 0.005)
    assert (found.low, found.high) == (0.2, 0.3)
    assert found.censored_low and found.censored_high


def test_a_hole_ends_a_window_and_no_lambda_inside_is_none():
    found = window(np.array([0.0, HOLE, 0.0, 0.0]), np.array([0.01, 0.1, 0.2, 0.3]), 0.005)
    assert (found.low, found.high, found.n) == (0.2, 0.3, 2)
    assert window(np.array([0.03, 0.02]), np.array([0.1, 0.2]), 0.01) is None


def test_a_window_from_lambda_0_counts_from_its_first_positive_lambda():
    found = window(np.zeros(3), np.array([0.0, 0.1, 1.0]), 0.01)
    assert (found.low, found.decades, found.censored_low) == (0.0, 1.0, True)


def test_what_is_lost_is_lost_to_the_lambda_that_the_other_seed_chose():
    val = np.array([[[[0.6, 0.5], [0.5, 0.6]]]])
    test = np.array([[[[0.70, 0.66], [0.60, 0.64]]]])
    # Seed 0 is judged at seed 1's λ (0.66), seed 1 at seed 0's (0.60): 0.63; the means are 0.65 and 0.65.
    np.testing.assert_allclose(lost_to_chosen(val, test), [[[-0.02, -0.02]]])
    np.testing.assert_allclose(lost_to_chosen(val[:, :, :1], test[:, :, :1]), [[[0.0, 0.04]]])


def test_rows_of_windows_name_their_cells():
    accuracy = np.array([[[0.5, 0.6, 0.595], [0.5, 0.6, 0.595]]])
    grid = Grid(
        cells=(("vit", "digits"),), lambdas=np.array([0.01, 0.1, 1.0]), seeds=(0, 1),
        val_CSL=accuracy, test_CSL=accuracy, floor_CS=np.zeros((1, 2)),
    )  # fmt: skip
    (row,) = cell_windows(grid, 0.01).to_dict("records")
    assert row == {
        "architecture": "vit", "dataset": "digits", "low": 0.1, "high": 1.0, "best": 0.1, "decades": 1.0,
        "censored_low": False, "censored_high": True, "n": 2,
    }  # fmt: skip
