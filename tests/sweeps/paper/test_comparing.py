"""Published beside measured: who stands beside whom, what is said of both, and that scales are never mixed up."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paper_studies import peak, results_of
from scipy import stats

from dashboards.formats import signed
from dashboards.pages import SCALED, banner
from dashboards.report import summarise
from dashboards.variants import overview
from lejepa_platform.config import Variant
from sweeps.paper.comparing import compare_item, compared, lines, render, stand_ins, study_words
from sweeps.paper.figures import curves_data, dots_data, draw_curves
from sweeps.paper.item import LINEAR
from sweeps.paper.matching import agreements, best_lambdas, matched, orders
from sweeps.paper.measured import Row, measured_rows, variants_of, without_number
from sweeps.paper.planning import study_of
from sweeps.paper.registry import ITEMS
from sweeps.paper.running import label
from sweeps.paper.scaling import Scaled, scaled
from sweeps.paper.trend import VARIED, trend


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


def test_means_are_in_percent_with_the_intervals_of_the_report() -> None:
    found = scaled(ITEMS["figure11"], "cpu")
    results = results_of(found, peak(0.08), **{"floor/random_init_linear_top1": lambda _: 0.3})
    own = {(row.architecture, row.dataset): row for row in measured_rows(results, ()) if row.chosen}
    cells = summarise(results)["cells"]
    assert len(cells) == len(own) > 0
    for cell in cells:
        row = own[cell["architecture"], cell["dataset"]]
        assert (row.mean, row.low, row.high) == pytest.approx(
            (100 * cell["test"], 100 * cell["test_low"], 100 * cell["test_high"])
        )
        # Seeds differ by 0.1 points at every λ, and lend each other this spread: 2 degrees of freedom for each λ.
        df = 2 * len(found.recipe.lambdas)
        assert row.high is not None and row.high - row.mean == pytest.approx(
            stats.t.ppf(0.975, df) * 0.1 / math.sqrt(3)
        )


def test_where_a_seed_diverged_there_is_no_interval() -> None:
    found = scaled(ITEMS["figure11"], "cpu")
    worst = max(found.recipe.lambdas)

    def outcome(trial: Any) -> str:
        return "diverged" if (trial.lambda_, trial.seed) == (worst, 2) else "ok"

    rows = measured_rows(results_of(found, lambda _: 0.5, outcome=outcome, **{"test/x": lambda t: 0.3 + 0.01 * t.seed}),
                         ("test/x",))  # fmt: skip
    for row in rows:
        assert (row.low is None) == (row.lambda_ == worst) and row.not_ok == (row.lambda_ == worst)
    # The probe of a diverged seed counts as chance, and nothing else does.
    probes = [row for row in rows if row.lambda_ == worst and row.metric == LINEAR]
    assert probes and all((row.mean, row.n) == (pytest.approx((50.0 + 50.1 + 10.0) / 3), 3) for row in probes)
    assert {row.n for row in rows if row.lambda_ == worst and row.metric == "test/x"} == {2}


def test_the_order_of_rows_is_that_of_spearman() -> None:
    found = scaled(ITEMS["table1c"], "pilot")
    rising = measured_rows(results_of(found, lambda trial: trial.batch_size / 1000), ())
    (order,) = orders(matched(found, rising))
    # Published 72.20, 74.15, 74.72, 74.07: ranks 1, 3, 4, 2 against 1, 2, 3, 4.
    assert order.rho == pytest.approx(1 - 6 * (0 + 1 + 1 + 4) / (4 * 15))
    each = [stats.spearmanr(range(4), other).statistic for other in itertools.permutations(range(4))]
    assert order.p == pytest.approx(np.mean(np.abs(each) >= abs(order.rho) - 1e-9))


def test_the_best_lambda_of_both_is_told_variant_by_variant() -> None:
    found = scaled(ITEMS["table7"], "pilot")
    said = {b.variant: b for b in best_lambdas(matched(found, measured_rows(results_of(found, peak(0.01)), ())))}
    assert said["views_global=2"].published == said["views_global=2"].measured == 0.01


def test_numbers_are_subtracted_at_full_scale_alone() -> None:
    small = scaled(ITEMS["lightly"], "cpu")
    assert agreements(small, matched(small, measured_rows(results_of(small, lambda _: 0.64), ()))) == []
    full = scaled(ITEMS["lightly"], "full")
    (close,) = agreements(full, matched(full, measured_rows(results_of(full, lambda _: 0.64, seeds=4), ())))
    assert close.mean_points == pytest.approx(0.15)
    assert (close.metric, close.inside, close.n) == (LINEAR, 1, 1)
    other = scaled(ITEMS["lightly"], "full", ("cifar10",))
    assert agreements(other, matched(other, measured_rows(results_of(other, lambda _: 0.64), ()))) == []


def test_each_metric_is_subtracted_by_itself_and_only_accuracies_on_test_are() -> None:
    found = scaled(ITEMS["table2"], "full")
    names = [f"transfer/{target}/linear_top1_at_1" for target in found.evaluate_on]
    results = results_of(found, lambda _: 0.7, **{name: lambda _: 0.3 for name in names})
    rows = measured_rows(results, [one.metric for one in ITEMS["table2"].published], found.evaluate_on)
    pairs = matched(found, rows)
    assert {pair.published.metric for pair in pairs if pair.measured} == {names[0].replace("dtd", "*"), LINEAR}
    close = {one.metric: (one.mean_points, one.n) for one in agreements(found, pairs)}
    # Published 29.55 and 31.58, and 77.1 and 78.5; three seeds, 0.1 points apart.
    assert close == {
        "transfer/*/linear_top1_at_1": (pytest.approx(30 - (29.55 + 31.58) / 2), 2),
        LINEAR: (pytest.approx(70.1 - (77.1 + 78.5) / 2), 2),
    }
    correlated = scaled(ITEMS["figure11"], "full")
    rows = measured_rows(results_of(correlated, peak(0.08), **{"train/loss": lambda t: t.lambda_}), ("C(0)",))
    pairs = matched(correlated, rows)
    assert any(pair.measured for pair in pairs) and agreements(correlated, pairs) == []


def test_what_no_trial_is_of_has_nothing_beside_it() -> None:
    found = scaled(ITEMS["table5"], "cpu")
    pairs = matched(found, measured_rows(results_of(found, lambda _: 0.5), ()))
    assert all(pair.measured is None for pair in pairs if pair.published.aside)
    assert any(pair.measured is not None for pair in pairs)


def test_transfer_is_the_mean_over_the_other_sets_of_the_item() -> None:
    found = replace(scaled(ITEMS["table2"], "cpu"), evaluate_on=("a", "b", "patches"))
    metric = "transfer/*/linear_top1_at_1"
    held = {"transfer/a/linear_top1_at_1": lambda _: 0.2, "transfer/b/linear_top1_at_1": lambda _: 0.4,
            "transfer/b/linear_top1_at_10": lambda _: 0.9, "transfer/c/linear_top1_at_1": lambda _: 0.9}  # fmt: skip

    def means(metric: str, targets: tuple[str, ...]) -> list[float]:
        rows = measured_rows(results_of(found, lambda _: 0.5, **held), (metric,), targets)
        return [row.mean for row in rows if row.metric == metric]

    # On patches they were pretrained.
    assert means(metric, ("a", "b", "patches")) == pytest.approx([30.0] * len(found.architectures))
    # A mean over some of the sets is none over all of them.
    assert means(metric, ("a", "b", "digits")) == means("transfer/*/linear_top1_at_10", ("a", "b")) == []
    assert means(metric, ()) == []


def test_odds_in_proportion_to_views_have_slope_one() -> None:
    found = scaled(ITEMS["views-lambda"], "pilot", ("digits",))
    results = results_of(found, lambda trial: peak({2: 0.01, 4: 0.02, 8: 0.05}[trial.views_global])(trial))
    said = trend(results, found.recipe.variants)
    assert said is not None and said.each == len(found.recipe.architectures) * 3
    assert said.slope.mean == pytest.approx(math.log((0.05 / 0.95) / (0.01 / 0.99)) / math.log(4), rel=1e-6)
    assert said.grows == said.each
    flat = trend(results_of(found, peak(0.05)), found.recipe.variants)
    assert flat is not None and flat.slope.mean == pytest.approx(0.0, abs=1e-12)


def test_a_trend_is_said_beside_its_null_in_words_and_data() -> None:
    found = scaled(ITEMS["batch-lambda"], "pilot", ("digits",))
    results = results_of(found, peak(0.05))
    rows = measured_rows(results, ())
    said = compared(found, rows, trend(results, found.recipe.variants))
    (sentence,) = [line for line in said["findings"] if line.startswith("Best λ by batch")]
    assert "its λN / (1 - λ) goes with batch to the power" in sentence and "curves shuffled among variants" in sentence
    # The best λ is the same at all batches, and so its weight is not.
    assert said["trend"]["p"] < 0.01 and "not what chance gives." in sentence
    assert sentence in render(said, found, rows)
    seven = scaled(ITEMS["table7"], "cpu")
    results = results_of(seven, peak(0.02))
    findings = compared(seven, measured_rows(results, ()), trend(results, seven.recipe.variants))["findings"]
    assert any("The variants have λ of their own, which move with the setting:" in line for line in findings)
    (published,) = [line for line in findings if line.startswith("The published table's power of views is +0.67.")]
    assert "Judged on the 5 values that all have, curves shuffled" in published


def test_a_study_that_was_extended_or_lacks_a_variant_is_compared() -> None:
    planned = scaled(ITEMS["views-lambda"], "cpu")
    first, *others = planned.recipe.variants
    more = Variant(settings={"views_global": 16})
    variants = {**{name: planned.recipe.variants[name] for name in others}, "views_global=16": more}
    found = replace(planned, recipe=replace(planned.recipe, variants=variants))
    results = results_of(found, peak(0.05))
    assert variants_of(results) == variants and first not in variants
    rows = measured_rows(results, ())
    said = compared(found, rows, trend(results, variants_of(results)))
    assert set(said["trend"]["best"]) == {4.0, 8.0, 16.0}
    panel = curves_data(found, rows)[-1]
    assert [line.name.split(" · ")[0] for line in panel.lines] == list(variants)
    assert panel.lines[-1].xs[0] == pytest.approx(min(found.recipe.lambdas) / (1 - min(found.recipe.lambdas)) / 16)


def test_the_command_compares_a_study_as_it_is_and_not_as_its_item_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = scaled(ITEMS["table7"], "cpu")
    own = {**planned.recipe.variants, "views_global=16": Variant(settings={"views_global": 16})}
    own.pop("views_global=2")
    study = study_of(replace(planned, recipe=replace(planned.recipe, variants=own)))
    folder = tmp_path / study.name
    for trial in study.grid():
        result = {"key": trial.key, "config": trial.flat(), "outcome": "ok", "seconds": 1.0,
                  "metrics": {"val/linear_top1": 0.5, "test/linear_top1": 0.5, "floor/chance": 0.1}}  # fmt: skip
        (folder / "trials" / trial.key).mkdir(parents=True)
        for name in ("config.json", "result.json"):
            (folder / "trials" / trial.key / name).write_text(json.dumps(result))
    about = {"name": study.name, "method_version": 1, "config": study.flat(), "planned": [], "notes": []}
    (folder / "study.json").write_text(json.dumps(about))
    (folder / "summary.json").write_text(json.dumps({"verdict": "9 of 9 trials ended ok."}))
    compare_item(ITEMS["table7"], "cpu", tmp_path, study=None, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert set(said["trend"]["best"]) == {"4.0", "8.0", "16.0"}
    assert {row["variant"] for row in said["others"]} == {"views_global=16"}
    assert all(not row["measured"] for row in said["rows"] if row["published"]["variant"] == "views_global=2")
    assert said["findings"][0] == "The study by itself: 9 of 9 trials ended ok."
    assert "views_global=16" in (folder / "paper.html").read_text()


def test_a_variant_that_nobody_published_stands_for_nobody() -> None:
    found = scaled(ITEMS["table1c"], "cpu")
    (smaller, larger), *_ = [(here, there) for here, there in found.variants.items() if here != there]
    row = measured_rows(results_of(found, lambda _: 0.5), ())[0]
    rows = [replace(row, variant=larger), replace(row, variant=smaller)]
    beside = {pair.published.variant: pair.measured for pair in matched(found, rows)}
    assert beside[larger] == rows[1]


def test_weights_are_constant_where_the_study_holds_them_constant() -> None:
    found = scaled(ITEMS["batch-lambda"], "full")
    panel = curves_data(found, measured_rows(results_of(found, peak(0.05)), ()))[-1]
    assert panel.axis == "λN / (1 - λ)"
    assert all(line.xs == pytest.approx(panel.lines[0].xs, rel=1e-3) for line in panel.lines)
    assert VARIED["views_global"].drawn.of(4.0, 0.5) == 0.25


def test_points_of_runs_that_failed_have_a_ring_and_none_has_a_bar_of_no_length() -> None:
    found = scaled(ITEMS["views-lambda"], "cpu")
    worst = min(found.recipe.lambdas)
    results = results_of(found, peak(0.05), outcome=lambda t: "collapsed" if t.lambda_ == worst else "ok", seeds=1)
    rows = measured_rows(results, ())
    figure = draw_curves(curves_data(found, rows)[0])
    lines_drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
    rings = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(lines_drawn) == len(rings) and all(ring.x == (worst,) for ring in rings)
    for line in lines_drawn:
        assert set(line.error_y.array) == {None} and line.customdata[line.x.index(worst)] == "<br>1 not ok"
    said = compared(found, rows, None)
    assert any(text.endswith("n 1 (1 not ok)") for text in lines(said))
    well = measured_rows(results_of(found, peak(0.05), seeds=1), ())
    assert "Rings:" in render(said, found, rows) and "Rings:" not in render(compared(found, well, None), found, well)


def test_windows_and_sensitivity_of_different_losses_are_said_one_below_the_other() -> None:
    floor = {"floor/random_init_linear_top1": lambda _: 0.2}
    results = results_of(scaled(ITEMS["comparators"], "cpu"), peak(0.05), seeds=2, **floor)
    whole = overview(results, {name: summarise(results.only(name)) for name in results.variants})
    first, *each = study_words(whole)
    assert first == f"The study by itself: {whole['verdict']}"
    assert [line.split(":")[0] for line in each] == ["lejepa", "vicreg", "simclr"]
    for line, variant, dial in zip(each, whole["variants"], ["λ / (1 - λ)"] * 2 + ["temperature"], strict=True):
        window, phi = variant["window_dial"], variant["phi"]
        assert f"{dial} that loses at most 1 point spans {window['value']:.2f} of its grid's " in line
        assert list(window["wider"]) == ["2"]
        assert f"p = {window['p']:.2g}" in line and f"sensitivity Φ {signed(phi['value'], 2)} (" in line
    alike = results_of(scaled(ITEMS["views-lambda"], "cpu"), peak(0.05), seeds=1, **floor)
    assert len(study_words(overview(alike, {name: summarise(alike.only(name)) for name in alike.variants}))) == 1


def test_places_whose_trials_all_failed_are_named_on_the_page() -> None:
    found = scaled(ITEMS["views-lambda"], "cpu")
    worst = min(found.recipe.lambdas)
    ends = {0: "oom", 1: "error", 2: "error"}
    results = results_of(found, peak(0.05), outcome=lambda t: ends[t.seed] if t.lambda_ == worst else "ok")
    lost = without_number(results)
    (dataset,) = found.recipe.datasets
    assert len(lost) == len(found.recipe.variants) * len(found.recipe.architectures)
    name = next(iter(found.recipe.variants))
    assert f"{name} · {found.recipe.architectures[0]} · {dataset} · λ {worst:g}: 2 error, 1 oom" in lost
    rows = measured_rows(results, ())
    assert not any(row.lambda_ == worst for row in rows)
    said = compared(found, rows, None, lost=lost)
    assert f"no number: {lost[0]}" in lines(said) and lost[0] in render(said, found, rows)


def test_losses_are_drawn_over_multiples_of_what_each_was_published_with() -> None:
    found = scaled(ITEMS["comparators"], "pilot")
    rows = measured_rows(results_of(found, peak(0.05)), ())
    panels = curves_data(found, rows)
    cells = {
        f"{architecture} · {data}" for architecture in found.recipe.architectures for data in found.recipe.datasets
    }
    assert len(panels) == 4 and {panel.title for panel in panels} == cells
    assert {panel.axis for panel in panels} == {"times the published default"}
    for panel in panels:
        assert [line.name for line in panel.lines] == ["lejepa", "vicreg", "simclr"]
        assert [line.index for line in panel.lines] == [0, 1, 2]
    for line in itertools.chain.from_iterable(panel.lines for panel in panels):
        assert line.xs == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], rel=1e-4)


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
    for text in ("Scaled down: scale cpu", "measured, scale cpu", "What was changed from the full study?"):
        assert text in page
    assert any(line.startswith(SCALED) for line in lines(said))
    assert len(said["rows"]) == len(ITEMS[name].published)


def test_what_nobody_published_has_no_columns_for_it() -> None:
    found = scaled(ITEMS["regularizers"], "cpu")
    rows = measured_rows(results_of(found, peak(0.05)), ())
    said = compared(found, rows, None)
    assert said["findings"] == ["Nobody has published numbers for this."]
    assert "published, full scale" not in render(said, found, rows)


def test_a_study_at_full_scale_has_no_banner_and_a_smaller_one_says_so_in_its_notes() -> None:
    assert label(scaled(ITEMS["table7"], "full")) == []
    notes = label(scaled(ITEMS["table7"], "cpu"))
    assert banner(notes) == notes[0] and "not the published setting" in notes[0]
    assert banner(["digits: 1 unreadable image was skipped"]) == ""


def test_published_numbers_without_a_lambda_are_drawn_beside_the_chosen_one() -> None:
    found = scaled(ITEMS["figure9"], "cpu")
    rows = measured_rows(results_of(found, peak(0.1)), ())
    (measured,) = curves_data(found, rows)
    assert len({line.index for line in measured.lines}) == len(found.recipe.architectures)
    published, own = dots_data(found, matched(found, rows), rows)
    assert len(published.dots) == 30
    assert len(own.dots) == len(found.recipe.architectures) and all("λ 0.1" in dot.name for dot in own.dots)
    said = compared(found, rows, None)
    assert render(said, found, rows).count('class="plot"') == 3
    n = len(found.recipe.architectures)
    said_last = f"30 published accuracies lie between 91.5 and 95, the {n} measured ones"
    assert said["findings"][-1].startswith(said_last)
    # Where all that was published is over λ, the panels over λ show it.
    seven = scaled(ITEMS["table7"], "cpu")
    rows = measured_rows(results_of(seven, peak(0.02)), ())
    assert dots_data(seven, matched(seven, rows), rows) == ()


def test_a_network_has_one_colour_published_and_measured() -> None:
    found = scaled(ITEMS["eb_jepa"], "cpu")
    published, measured = curves_data(found, measured_rows(results_of(found, peak(0.1)), ()))
    assert [line.index for line in published.lines] == [line.index for line in measured.lines] == [0]


def test_stand_ins_are_told_where_there_are_any() -> None:
    assert stand_ins(scaled(ITEMS["lightly"], "cpu")) == "other networks on other images"
    assert stand_ins(scaled(ITEMS["lightly"], "full")) == ""
    assert stand_ins(scaled(ITEMS["lightly"], "full", ("cifar10",))) == "the same networks on other images"
    # The same network and images, made smaller.
    found = replace(scaled(ITEMS["minimal"], "full"), changes=("epochs: 800 → 8",))
    rows = measured_rows(results_of(found, peak(0.05)), ())
    page = render(compared(found, rows, None), found, rows)
    assert "only their shapes" not in page and "not the published setting" in page


def test_a_benchmark_is_compared_row_by_row_and_its_spread_is_no_interval() -> None:
    item = ITEMS["table6"]
    recipe = scaled(ITEMS["lightly"], "cpu").recipe
    found = Scaled(item=item, scale="full", recipe=recipe)
    row = Row(variant="samples=512 slices=512 points=16", architecture="SIGReg", dataset="", lambda_=None,
              metric="milliseconds", mean=3.0, low=None, high=None, sd=0.125, n=10, chosen=True, not_ok=0)  # fmt: skip
    (pair,) = [pair for pair in matched(found, [row]) if pair.measured is not None]
    assert (pair.published.value, pair.published.sd) == (0.465, 0.012)
    # Milliseconds of another machine are not accuracies, whatever the scale.
    assert agreements(found, [pair]) == []
    said = compared(found, [row], None)
    page = render(said, found, [row])
    assert "sd of 10 passes" in page and "± 0.125" in page and "95 %" not in page
    assert any("3 ± 0.12 (standard deviation), n 10" in line for line in lines(said))
    published, measured = dots_data(found, matched(found, [row]), [row])
    assert {published.bars, measured.bars} == {"± 1 standard deviation"}
    assert (measured.dots[0].low, measured.dots[0].high) == (2.875, 3.125)
