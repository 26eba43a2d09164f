import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dashboards.compare import main as compare_main
from dashboards.comparison import compare, points_of
from dashboards.figures.variants import differences_data, dots_data, lines_data
from dashboards.report import main, write_report
from dashboards.results import Results, read_results
from dashboards.variants import POOLED, POOLED_MORE, same_lambdas, variant_rows
from lejepa_platform.errors import StudyError

VIEWS = (2, 4, 8)
LAMBDAS = (0.01, 0.1)
GAIN = {2: 0.0, 4: 0.03, 8: 0.05}
"""Of accuracy, by views."""


def axes(lambdas: tuple[float, ...], architectures: tuple[str, ...], seeds: int) -> dict[str, object]:
    return {
        "architectures": list(architectures), "datasets": ["d"], "lambdas": list(lambdas), "seeds": list(range(seeds)),
        "optimisers": {name: [[1e-3, 0.05]] for name in architectures},
        "variants": {f"views={n}": {"settings": {"views_global": n}, "lambdas": None} for n in VIEWS},
    }  # fmt: skip


def accuracy(views: int, lam: float, seed: int, place: int) -> float:
    """A cell's level, a gain by views, less away from the best λ; a seed's luck is the same for all, but for a part."""
    own = np.random.default_rng([views, seed, place, int(1000 * lam)]).normal(0, 0.004)
    return 0.6 + 0.05 * place + GAIN[views] - 0.2 * abs(lam - 0.1) + 0.01 * seed + own


@pytest.fixture
def make_study(make_trial: Callable, write_study: Callable) -> Callable[..., Path]:
    def make(
        lambdas: tuple[float, ...] = LAMBDAS,
        architectures: tuple[str, ...] = ("a", "b", "c"),
        seeds: int = 3,
        drop: int = 0,
    ) -> Path:
        trials = [
            make_trial(name, "d", lam, seed, config={"views_global": n}, floor=0.3,
                       val=accuracy(n, lam, seed, place), test=accuracy(n, lam, seed, place))
            for seed in range(seeds) for n in VIEWS for place, name in enumerate(architectures) for lam in lambdas
        ]  # fmt: skip
        planned = [trial["key"] for trial in trials]
        trials = trials[: len(trials) - drop]
        return write_study(trials, name="s", planned=planned, config=axes(lambdas, architectures, seeds))

    return make


def truth(results: Results, variant: str, architecture: str, lam: float) -> pd.Series:
    of = results.trials
    where = (of["variant"] == variant) & (of["architecture"] == architecture) & (of["lambda"] == lam)
    return of.loc[where, "test/linear_top1"]


def test_one_variant_is_the_study_that_it_would_be_alone(make_study: Callable[..., Path]) -> None:
    results = read_results(make_study(drop=2))
    assert results.variants == ("views=2", "views=4", "views=8")
    parts = [results.only(name) for name in results.variants]
    assert sorted(key for part in parts for key in part.trials["key"]) == sorted(results.trials["key"])
    assert [part.unstarted for part in parts] == [0, 0, 2]
    assert sum(part.unstarted for part in parts) == results.unstarted
    assert [part.config["views_global"] for part in parts] == list(VIEWS)
    assert all("variants" not in part.config and part.variants == ("",) for part in parts)
    assert parts[0].only("") is parts[0]
    with pytest.raises(StudyError, match="has no variant 'views=3'; it has: 'views=2' 'views=4' 'views=8'"):
        results.only("views=3")


def test_rows_hold_the_mean_over_seeds_and_an_interval_as_scipy_makes_it(make_study: Callable[..., Path]) -> None:
    results = read_results(make_study())
    rows = variant_rows(results)
    assert [row["variant"] for row in rows] == sorted(row["variant"] for row in rows)
    assert len(rows) == 3 * 3 * 2
    row = next(r for r in rows if (r["variant"], r["architecture"], r["lambda"]) == ("views=4", "b", 0.1))
    groups = [truth(results, "views=4", "b", lam) for lam in LAMBDAS]
    assert row["test"] == pytest.approx(groups[1].mean())
    # Two groups of one spread: what scipy's pooled test of their difference uses as well.
    difference = stats.ttest_ind(groups[1], groups[0]).confidence_interval(0.95)
    half = (difference.high - difference.low) / 2 / np.sqrt(2)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half)
    assert (row["interval"], row["n"], row["outcomes"]) == (POOLED, 3, {"ok": 3})


def test_with_one_lambda_variants_lend_each_other_their_spread(make_study: Callable[..., Path]) -> None:
    results = read_results(make_study(lambdas=(0.1,), architectures=("a",)))
    rows = variant_rows(results)
    groups = [truth(results, f"views={n}", "a", 0.1) for n in VIEWS]
    half = stats.t.ppf(0.975, 6) * np.sqrt(np.mean([group.var() for group in groups]) / 3)
    for row, group in zip(rows, groups, strict=True):
        assert (row["low"], row["high"]) == pytest.approx((group.mean() - half, group.mean() + half))
        assert row["interval"] == POOLED_MORE
    (panel,) = dots_data(results, rows)
    assert [(dot.architecture, dot.low, len(dot.points)) for dot in panel.dots] == [
        (row["variant"], row["low"], 3) for row in rows
    ]


def test_failures_count_where_they_happened(make_trial: Callable, write_study: Callable) -> None:
    outcomes = {2: ("ok", "oom"), 4: ("diverged", None)}
    trials = [
        make_trial("a", "d", 0.1, seed, config={"views_global": n}, outcome=outcome, val=0.5, test=0.5)
        for n, both in outcomes.items()
        for seed, outcome in enumerate(both)
    ]
    config = axes((0.1,), ("a",), 2)
    study = write_study(
        trials, name="s", planned=[t["key"] for t in trials] + [f"{n}" for n in range(2)], config=config
    )
    rows = {row["variant"]: row for row in variant_rows(read_results(study))}
    assert rows["views=2"]["outcomes"] == {"ok": 1, "oom": 1} and rows["views=2"]["n"] == 1
    assert rows["views=4"]["outcomes"] == {"diverged": 1, "pending": 1} and rows["views=4"]["test"] == 0.1
    assert rows["views=4"]["low"] is None
    summary = write_report(study)
    assert summary["counts"] == {"diverged": 1, "ok": 1, "oom": 1, "pending": 3}
    assert [one["trials"] for one in summary["variants"]] == [2, 2, 2]
    assert any(line.startswith("views=8: 0 of 2 trials ended ok (2 pending)") for line in summary["warnings"])


def test_windows_of_losses_are_as_wide_as_what_their_lambda_comes_to(
    make_trial: Callable, write_study: Callable
) -> None:
    factors = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
    odds = {"lejepa": 0.05 / 0.95, "vicreg": 1.0}
    grids = {name: [k * one / (1 + k * one) for k in factors] for name, one in odds.items()}
    grids["simclr"] = [0.1 * k for k in factors]
    trials = [
        make_trial("a", "d", lam, seed, config={"objective": name}, floor=0.1, val=value, test=value)
        for name, grid in grids.items()
        for seed in range(3)
        for k, lam in zip(factors, grid, strict=True)
        for value in [(0.5 if 0.5 <= k <= 4 else 0.4) + 0.001 * seed]
    ]
    config = axes((0.1,), ("a",), 3)
    config["variants"] = {
        name: {"settings": {"objective": name}, "lambdas": sorted(grid)} for name, grid in grids.items()
    }
    study = write_study(trials, name="s", planned=[trial["key"] for trial in trials], config=config)
    found = write_report(study)
    assert found["dials"] == {"lejepa": "λ / (1 - λ)", "vicreg": "λ / (1 - λ)", "simclr": "temperature"}
    for one in found["variants"]:
        assert one["window_dial"]["value"] == pytest.approx(np.log10(8))
        assert one["window_dial"]["grid_decades"] == pytest.approx(np.log10(64))
        # All three seeds say the same: without an effect the whole grid would be the window.
        assert one["window_dial"]["null_mean"] == pytest.approx(np.log10(64))
    by_lambda = {one["name"]: one["window"]["value"] for one in found["variants"]}
    assert by_lambda["vicreg"] == pytest.approx(np.log10(grids["vicreg"][5] / grids["vicreg"][2]))
    for name, default in (("lejepa", 0.05), ("vicreg", 0.5), ("simclr", 0.1)):
        alone = json.loads((study / f"summary-{name}.json").read_text())
        assert alone["default_lambda"] == {
            "published": default, "lambda": pytest.approx(default), "within_one_point": 1, "cells": 1
        }  # fmt: skip
    page = (study / "report.html").read_text()
    assert "0.90 of 1.81" in page and "temperature in simclr" in page


def test_differences_are_paired_with_an_interval_over_cells_or_else_over_seeds(make_study: Callable[..., Path]) -> None:
    of_cells = write_report(make_study())["differences"]
    assert [(row["variant"], row["reference"], row["cells"], row["pairs"]) for row in of_cells] == [
        ("views=4", "views=2", 3, 18), ("views=8", "views=2", 3, 18)
    ]  # fmt: skip
    assert of_cells[0]["note"] == "over 3 seeds, for these 3 cells"


def test_an_interval_over_seeds_is_scipys_of_paired_means(make_study: Callable[..., Path]) -> None:
    study = make_study(architectures=("a",))
    row = write_report(study)["differences"][1]
    table = read_results(study).trials.pivot_table(index="seed", columns="variant", values="test/linear_top1")
    known = stats.ttest_rel(table["views=8"], table["views=2"]).confidence_interval(0.95)
    assert (row["low_points"], row["high_points"]) == pytest.approx((100 * known.low, 100 * known.high))
    assert row["note"] == "over 3 seeds, for this cell"


def test_there_is_a_page_of_all_and_one_of_each(make_study: Callable[..., Path], capsys) -> None:
    study = make_study()
    assert main([str(study), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert json.loads((study / "summary.json").read_text()) == summary
    assert "on validation views=8 is best" in summary["verdict"] and "54 of 54 trials ended ok" in summary["verdict"]
    assert "views=8 is 4.7" in summary["verdict"] and "points above views=2 on test" in summary["verdict"]
    page = (study / "report.html").read_text()
    for one in summary["variants"]:
        alone = json.loads((study / one["summary"]).read_text())
        assert alone["name"] == f"s@{one['name']}"
        assert (one["window"], one["worst"], one["phi"]) == (
            alone["window"], alone["worst"], alone["stability"]["phi"]
        )  # fmt: skip
        assert {"null_mean", "low", "high"} <= one["worst"].keys()
        assert f'href="{one["page"]}"' in page
        assert 'href="report.html"' in (study / one["page"]).read_text()
    assert sorted(path.name for path in study.glob("*.html")) == [
        "report-views-2.html", "report-views-4.html", "report-views-8.html", "report.html"
    ]  # fmt: skip
    figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]
    assert len(figures) == 3 + 1  # a panel per cell, and the differences
    assert all(figure["layout"]["meta"]["table"]["rows"] for figure in figures)


def test_lines_are_drawn_in_the_order_of_variants_in_the_same_colours(make_study: Callable[..., Path]) -> None:
    results = read_results(make_study())
    panels = lines_data(results)
    assert [panel.title for panel in panels] == ["a · d", "b · d", "c · d"]
    for panel in panels:
        assert [(line.architecture, line.index) for line in panel.lines] == list(
            zip(results.variants, range(3), strict=True)
        )
        assert sum(len(line.points) for line in panel.lines) == 3 * 2 * 3
    rows = differences_data(results, {name: points_of(results.only(name)) for name in results.variants})
    assert [(row.name, len(row.points)) for row in rows] == [("views=4", 18), ("views=8", 18)]


@pytest.mark.parametrize("kind", ["unlabelled", "empty"])
def test_every_kind_of_study_has_a_page(kind: str, make_trial: Callable, write_study: Callable) -> None:
    trials = [
        make_trial("a", "d", 0.1, config={"views_global": n}, floor=None, chance=None)
        for n in (VIEWS if kind == "unlabelled" else ())
    ]
    study = write_study(trials, name="s", config=axes((0.1,), ("a",), 1))
    summary = write_report(study)
    assert "no accuracies to compare" in summary["verdict"] or "no trial has finished yet" in summary["verdict"]
    assert "What did not end ok?" in (study / "report.html").read_text()


def test_two_variants_of_a_study_are_compared(make_study: Callable[..., Path], capsys, tmp_path: Path) -> None:
    make_study().rename(tmp_path / "s")
    storage = ["--storage", str(tmp_path)]
    assert compare_main(["s@views=2", "s@views=8", *storage]) == 0
    text = capsys.readouterr().out
    assert text.startswith("s@views=8 is 4.7") and "views_global: 2 | 8" in text
    assert (tmp_path / "compare-s-views-2-s-views-8.html").exists()
    with pytest.raises(StudyError, match="has variants, and one was wanted: 's@views=2' 's@views=4'"):
        compare_main(["s", "s@views=8", *storage])
    with pytest.raises(StudyError, match="has no variant 'views=3'"):
        compare_main(["s@views=3", "s@views=8", *storage])
    with pytest.raises(StudyError, match="came twice"):
        compare_main(["s@views=8", "s@views=8", *storage])


DIALS = {"lejepa": (0.02, 0.05), "simclr": (0.05, 0.1)}
"""λ of each; 0.05 is in both, and means nothing in common."""


def test_other_objectives_are_compared_at_the_lambda_that_each_chose(
    make_trial: Callable, write_study: Callable
) -> None:
    truth = {("lejepa", 0.02): 0.7, ("lejepa", 0.05): 0.5, ("simclr", 0.05): 0.4, ("simclr", 0.1): 0.6}
    trials = [
        make_trial("a", "d", lam, seed, config={"objective": name}, val=truth[name, lam],
                   test=truth[name, lam] + 0.01 * seed)
        for name, lambdas in DIALS.items() for lam in lambdas for seed in range(3)
    ]  # fmt: skip
    variants = {name: {"settings": {"objective": name}, "lambdas": list(each)} for name, each in DIALS.items()}
    config = {**axes((0.02, 0.05), ("a",), 3), "variants": variants}
    study = write_study(trials, name="s", planned=[trial["key"] for trial in trials], config=config)
    summary = write_report(study)
    (row,) = summary["differences"]
    # By equal numbers it were 0.4 less 0.5; at the chosen ones it is 0.6 less 0.7, in three pairs of seeds.
    assert row["at_chosen"] and (row["pairs"], row["cells"]) == (3, 1)
    assert row["mean_points"] == pytest.approx(-10.0)
    said = "each at the λ that it chose, since λ is not the same in both, lejepa is 10.0 points above simclr on test"
    assert said in summary["verdict"] and "over all λ that both have" not in summary["verdict"]
    assert any("λ is not the same in lejepa and in simclr" in line for line in summary["warnings"])
    assert not any("Not all variants have the same λ" in line for line in summary["warnings"])
    page = (study / "report.html").read_text()
    assert "lejepa (each at its own λ)" in page
    results = read_results(study)
    (drawn,) = differences_data(results, {name: points_of(results.only(name)) for name in results.variants})
    assert drawn.labels[0] == "a · d, λ 0.1 less 0.02, seed 0" and drawn.mean == pytest.approx(-10.0)
    # Two studies, or two variants as if they were, are compared by the same rule.
    found = compare(results.only("lejepa"), results.only("simclr"))
    assert found["at_chosen"] and found["difference"]["pairs"] == 3
    assert found["difference"]["mean_points"] == pytest.approx(-10.0)
    assert found["notes"] == ["λ is not the same in both: a pair has the λ that each chose on validation in its cell."]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"objective": "lejepa"}, {}, True),
        ({"regularizer": "epps-pulley"}, {}, True),
        ({"regularizer": "cramer-von-mises"}, {}, False),
        ({"objective": "vicreg"}, {"objective": "simclr"}, False),
        ({"slices": 64}, {"slices": 256}, True),
    ],
)
def test_lambda_is_the_same_where_it_weighs_the_same(
    first: dict[str, object], second: dict[str, object], same: bool, make_trial: Callable, write_study: Callable
) -> None:
    variants = {name: {"settings": own, "lambdas": None} for name, own in (("one", first), ("other", second))}
    study = write_study([make_trial()], config={**axes((0.1,), ("a",), 1), "variants": variants})
    assert same_lambdas(read_results(study), "one", "other") is same


def test_variants_without_a_lambda_in_common_are_compared_at_the_lambda_that_each_chose(
    make_trial: Callable, write_study: Callable
) -> None:
    lambdas = {16: (0.2, 0.5), 64: (0.05, 0.1)}
    trials = [
        make_trial("a", "d", lam, seed, config={"batch_size": size}, val=1 - lam, test=1 - lam)
        for size, values in lambdas.items() for lam in values for seed in range(3)
    ]  # fmt: skip
    variants = {
        f"batch_size={size}": {"settings": {"batch_size": size}, "lambdas": list(values)}
        for size, values in lambdas.items()
    }
    config = {**axes((0.05, 0.1), ("a",), 3), "variants": variants}
    summary = write_report(write_study(trials, name="s", planned=[one["key"] for one in trials], config=config))
    (row,) = summary["differences"]
    assert row["at_chosen"] and row["mean_points"] == pytest.approx(15.0)
    assert "batch_size=64 is 15.0 points above batch_size=16" in summary["verdict"]
