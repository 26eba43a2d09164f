"""Published beside measured: who stands beside whom, what is said of both, and that scales are never mixed up."""

import math
from dataclasses import replace
from typing import Any

import pytest

from dashboards.pages import SCALED, banner
from dashboards.results import Results, tabulate, trial_row
from sweeps.paper.comparing import compared, lines, published_slope, render
from sweeps.paper.figures import curves_data, dots_data
from sweeps.paper.item import LINEAR
from sweeps.paper.matching import agreement, best_lambdas, matched, orders
from sweeps.paper.measured import Row, measured_rows
from sweeps.paper.planning import study_of
from sweeps.paper.registry import ITEMS
from sweeps.paper.running import label
from sweeps.paper.scaling import Scaled, scaled
from sweeps.paper.trend import slope, trend, weight


def results_of(found: Scaled, accuracy: Any, *, seeds: int = 3, **metrics: Any) -> Results:
    """A study as if it had been run; `accuracy` and metrics are functions of (trial)."""
    config = replace(study_of(found), seeds=tuple(range(seeds)))
    rows = [
        trial_row(
            {
                "key": trial.key,
                "config": trial.flat(),
                "outcome": "ok",
                "reason": "",
                "seconds": 1.0,
                "metrics": {
                    "test/linear_top1": accuracy(trial) + 0.001 * trial.seed,
                    "val/linear_top1": accuracy(trial) + 0.001 * trial.seed,
                    "floor/chance": 0.1,
                    "train/loss": 1.0,
                    **{name: function(trial) for name, function in metrics.items()},
                },
            }
        )
        for trial in config.grid()
    ]
    about = {"name": config.name, "config": config.flat(), "planned": [row["key"] for row in rows], "notes": []}
    return tabulate(about, rows, {row["key"]: {} for row in rows}, {}, ())


def peak(best: float) -> Any:
    """An accuracy that falls with the distance from a λ, in decades."""
    return lambda trial: 0.8 - 0.1 * abs(math.log10(trial.lambda_ / best))


def test_each_published_number_stands_beside_what_was_measured_in_its_place() -> None:
    found = scaled(ITEMS["table7"], "cpu")
    rows = measured_rows(results_of(found, peak(0.02)), ())
    beside = [pair for pair in matched(found, rows) if pair.measured is not None]
    assert len(beside) == sum(len(lambdas) for _, _, lambdas in found.recipe.resolved)
    for pair in beside:
        assert pair.measured is not None
        assert (pair.measured.variant, pair.measured.lambda_) == (pair.published.variant, pair.published.lambda_)
        assert pair.measured.architecture == "resnet10t_w32"
        assert pair.measured.n == 3 and pair.measured.low is not None and pair.measured.low < pair.measured.mean


def test_means_are_in_percent_with_the_interval_of_student() -> None:
    found = scaled(ITEMS["lightly"], "cpu")
    (row,) = [row for row in measured_rows(results_of(found, lambda _: 0.5), ()) if row.metric == LINEAR]
    assert row.mean == pytest.approx(50.1)
    # Standard deviation 0.1 of three seeds, t(0.975, 2) = 4.3027.
    assert row.high is not None and row.high - row.mean == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)


def test_the_order_of_rows_is_that_of_spearman() -> None:
    found = scaled(ITEMS["table1c"], "pilot")
    rising = measured_rows(results_of(found, lambda trial: trial.batch_size / 1000), ())
    (order,) = orders(matched(found, rising))
    # Published 72.20, 74.15, 74.72, 74.07: ranks 1, 3, 4, 2 against 1, 2, 3, 4.
    assert order.rho == pytest.approx(1 - 6 * (0 + 1 + 1 + 4) / (4 * 15))


def test_the_best_lambda_of_both_is_told_variant_by_variant() -> None:
    found = scaled(ITEMS["table7"], "pilot")
    said = {b.variant: b for b in best_lambdas(matched(found, measured_rows(results_of(found, peak(0.01)), ())))}
    assert said["views_global=2"].published == said["views_global=2"].measured == 0.01


def test_numbers_are_subtracted_at_full_scale_alone() -> None:
    small = scaled(ITEMS["lightly"], "cpu")
    assert agreement(small, matched(small, measured_rows(results_of(small, lambda _: 0.64), ()))) is None
    full = scaled(ITEMS["lightly"], "full")
    close = agreement(full, matched(full, measured_rows(results_of(full, lambda _: 0.64), ())))
    assert close is not None and close.mean_points == pytest.approx(0.1)
    assert (close.inside, close.n) == (1, 1)
    other = scaled(ITEMS["lightly"], "full", ("cifar10",))
    assert agreement(other, matched(other, measured_rows(results_of(other, lambda _: 0.64), ()))) is None


def test_rivals_have_nothing_beside_them() -> None:
    found = scaled(ITEMS["table5"], "cpu")
    pairs = matched(found, measured_rows(results_of(found, lambda _: 0.5), ()))
    assert all(pair.measured is None for pair in pairs if pair.published.rival)
    assert any(pair.measured is not None for pair in pairs)


def test_transfer_is_the_mean_over_the_other_sets() -> None:
    found = scaled(ITEMS["table2"], "cpu")
    metric = "transfer/*/linear_top1_at_1"
    results = results_of(found, lambda _: 0.5, **{"transfer/a/linear_top1_at_1": lambda _: 0.2,
                                                  "transfer/b/linear_top1_at_1": lambda _: 0.4,
                                                  "transfer/b/linear_top1_at_10": lambda _: 0.9})  # fmt: skip
    means = [row.mean for row in measured_rows(results, (metric,)) if row.metric == metric]
    assert means == pytest.approx([30.0] * len(found.architectures))


def test_odds_in_proportion_to_views_have_slope_one() -> None:
    found = scaled(ITEMS["views-lambda"], "pilot", ("digits",))
    odds = {2: 0.01, 4: 0.02, 8: 0.04}
    assert slope((v, o / (1 + o)) for v, o in odds.items()) == pytest.approx(1.0)
    results = results_of(found, lambda trial: peak({2: 0.01, 4: 0.02, 8: 0.05}[trial.views_global])(trial))
    said = trend(results, found.recipe.variants)
    assert said is not None and said.slope.n == len(found.recipe.architectures) * 3
    assert said.slope.mean == pytest.approx(math.log((0.05 / 0.95) / (0.01 / 0.99)) / math.log(4), rel=1e-6)
    assert said.grows == said.slope.n
    flat = trend(results_of(found, peak(0.05)), found.recipe.variants)
    assert flat is not None and flat.slope.mean == pytest.approx(0.0, abs=1e-12)


def test_the_published_slope_is_that_of_table_7() -> None:
    # Best at .01, .02, .05 of 2, 4, 8 views; with three evenly spaced abscissae the slope is that of the ends.
    expected = (math.log(0.05 / 0.95) - math.log(0.01 / 0.99)) / math.log(4)
    assert published_slope(scaled(ITEMS["table7"], "cpu")) == pytest.approx(expected)


def test_weights_are_constant_where_the_study_holds_them_constant() -> None:
    found = scaled(ITEMS["batch-lambda"], "full")
    panel = curves_data(found, measured_rows(results_of(found, peak(0.05)), ()))[-1]
    assert panel.axis == "λN / (1 - λ)"
    assert all(line.xs == pytest.approx(panel.lines[0].xs, rel=1e-3) for line in panel.lines)
    assert weight("views_global", 4.0, 0.5) == 0.25


def test_published_and_measured_are_panels_of_their_own() -> None:
    found = scaled(ITEMS["table7"], "cpu")
    rows = measured_rows(results_of(found, peak(0.02)), ())
    titles = [panel.title for panel in curves_data(found, rows)]
    assert titles[:2] == ["published, full scale", "measured, scale cpu"]
    one = scaled(ITEMS["table1c"], "cpu")
    found_rows = measured_rows(results_of(one, lambda _: 0.3), ())
    published, measured = dots_data(one, matched(one, found_rows), found_rows)
    assert len(published.dots) == 4 and len(measured.dots) == len(one.recipe.variants)


@pytest.mark.parametrize("name", [name for name, item in ITEMS.items() if item.make is not None])
def test_every_item_has_a_page_that_says_its_scale(name: str) -> None:
    found = scaled(ITEMS[name], "cpu")
    rows = measured_rows(results_of(found, peak(0.05)), [row.metric for row in ITEMS[name].published])
    said = compared(found, rows, None)
    page = render(said, found, rows)
    for text in ("Scaled down: scale cpu", "measured, scale cpu", "What was made smaller?"):
        assert text in page
    assert any(line.startswith(SCALED) for line in lines(said))
    assert len(said["rows"]) == len(ITEMS[name].published)


def test_a_study_at_full_scale_has_no_banner_and_a_smaller_one_says_so_in_its_notes() -> None:
    assert label(scaled(ITEMS["table7"], "full")) == []
    notes = label(scaled(ITEMS["table7"], "cpu"))
    assert banner(notes) == notes[0] and "not the published setting" in notes[0]
    assert banner(["digits: 1 unreadable image was skipped"]) == ""


def test_a_benchmark_is_compared_row_by_row() -> None:
    item = ITEMS["table6"]
    found = Scaled(item=item, scale="cpu", recipe=scaled(ITEMS["lightly"], "cpu").recipe, changes=("smaller",))
    row = Row(variant="samples=512 slices=512 points=16", architecture="SIGReg", dataset="", lambda_=None,
              metric="milliseconds", mean=3.0, low=2.9, high=3.1, n=10, chosen=True, failed=0)  # fmt: skip
    (pair,) = [pair for pair in matched(found, [row]) if pair.measured is not None]
    assert (pair.published.value, pair.published.sd) == (0.465, 0.012)
