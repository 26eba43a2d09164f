import numpy as np
import pytest

from dashboards.figures.dots import dots_data, draw_dots
from dashboards.figures.ranks import draw_difference, draw_ranks, ranks_data
from dashboards.figures.regret import regret_data
from dashboards.figures.variance import draw_bars, importance_bars, variance_bars
from dashboards.figures.windows import draw_windows, windows_data
from dashboards.floor import floor_words
from dashboards.results import read_results
from dashboards.statistics.differences import CriticalDifference
from dashboards.statistics.importance import Importance, Importances
from dashboards.statistics.scores import pooled_intervals
from dashboards.statistics.variance import Share, Variance


def trials_of(make_trial, write_study, tests: dict[tuple[str, float], float | None], seeds: int = 2):
    rows = [
        make_trial(
            name, "d", lam, seed, val=test and test + 0.01 * seed, test=test and test + 0.01 * seed,
            outcome="oom" if test is None else "ok",
        )
        for (name, lam), test in tests.items() for seed in range(seeds)
    ]  # fmt: skip
    return read_results(write_study(rows)).trials


def test_a_bump_chart_keeps_holes_and_names_each_line_where_it_ends(make_trial, write_study):
    tests = {("a", 0.01): 0.5, ("a", 0.1): 0.6, ("b", 0.01): 0.7, ("b", 0.1): 0.5, ("c", 0.01): 0.4, ("c", 0.1): None}
    (panel,) = ranks_data(trials_of(make_trial, write_study, tests))
    assert [[place.rank for place in flow.places] for flow in panel.flows] == [[2, 1], [1, 2], [3, None]]
    figure = draw_ranks(panel)
    assert [list(trace.y) for trace in figure.data] == [[2, 1], [1, 2], [3, None]]
    assert not any(trace.connectgaps for trace in figure.data)
    assert [(note.text, note.x, note.y) for note in figure.layout.annotations] == [
        ("a", -1, 1),
        ("b", -1, 2),
        ("c", -2, 3),
    ]


def test_a_critical_difference_diagram_joins_cliques_and_shows_its_scale():
    found = CriticalDifference(
        groups=("a", "<b>", "c"), mean_ranks=(1.2, 1.9, 2.9), cd=0.9, p=0.01, cliques=(("a", "<b>"),), blocks=9, note=""
    )
    figure = draw_difference(found, "λ")
    dots, clique, scale = figure.data
    assert list(dots.x) == [1.2, 1.9, 2.9] and list(clique.y) == [0, 1]
    assert scale.x[1] - scale.x[0] == pytest.approx(0.9)
    assert figure.layout.yaxis.ticktext == ("a", "&lt;b&gt;", "c")


def test_too_few_blocks_are_drawn_without_a_critical_difference():
    found = CriticalDifference(groups=("a",), mean_ranks=(1.0,), cd=None, p=None, cliques=(), blocks=1, note="too few")
    assert len(draw_difference(found, "λ").data) == 1


def test_shares_below_zero_are_drawn_as_zero_and_chance_is_grey():
    shares = (
        Share(source="λ", df=3, eta2=0.3, omega2=0.25, f=9.0, p=0.0002),
        Share(source="architecture × λ", df=6, eta2=0.02, omega2=-0.05, f=0.4, p=0.9),
        Share(source="seed × λ", df=20, eta2=0.68, omega2=0.8, f=None, p=None),
    )
    bars = variance_bars(Variance(shares=shares, p_lambda=0.01, n=40, of=40, note=""))
    assert [(bar.share, bar.raw, bar.chance) for bar in bars] == [
        (0.25, 0.3, False),
        (0, 0.02, False),
        (0.8, 0.68, True),
    ]
    assert "-5.0%" in bars[1].hover and "p 2e-04" in bars[0].hover
    drawn, _, _ = draw_bars(bars, "d", "chance left in").data
    assert list(drawn.x) == [0.25, 0, 0.8]


def test_importances_stand_beside_chance():
    settings = (
        Importance(name="lambda", share=0.9, divergence=0.09, chance=0.01, p=0.01),
        Importance(name="weight_decay", share=0.1, divergence=0.01, chance=0.01, p=0.5),
    )
    found = Importances(architecture=None, dataset=None, settings=settings, best=6, n=60, note="")
    bars = importance_bars(found)
    assert [(bar.label, bar.share, bar.chance) for bar in bars] == [("λ", 0.9, False), ("weight decay", 0.1, True)]
    assert [bar.raw for bar in bars] == pytest.approx([0.1, 0.1])


def test_windows_are_sorted_by_width_and_marked_where_the_grid_ends():
    def row(name: str, low: float | None, high: float | None, *censored: bool) -> dict:
        ends = {"censored_low": censored[0], "censored_high": censored[1]} if censored else {}
        about = {"architecture": name, "dataset": "d", "low": low, "high": high, "best": low}
        return {**about, "censored_low": False, "censored_high": False, **ends}

    rows = [
        row("none", None, float("nan")),
        row("narrow", 0.01, 0.1),
        row("wide", 0.01, 1, True, False),
        row("zero", 0, 0.1),
    ]
    windows = windows_data(rows)
    assert [window.architecture for window in windows] == ["zero", "wide", "narrow", "none"]
    assert [window.width for window in windows] == [None, pytest.approx(2), pytest.approx(1), None]
    figure = draw_windows(windows, [0, 0.01, 0.1, 1], 0.01)
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(line.x) for line in lines] == [
        pytest.approx([-3, -1]),
        pytest.approx([-2, 0]),
        pytest.approx([-2, -1]),
    ]
    assert lines[1].marker.symbol == ("triangle-left", "line-ns")
    assert "at least 2.00 decades" in lines[1].hovertext
    assert [note.text for note in figure.layout.annotations] == ["no window"]


def test_dots_rank_architectures_at_their_chosen_lambda_even_with_one_lambda(make_trial, write_study):
    trials = trials_of(make_trial, write_study, {("a", 0.1): 0.5, ("b", 0.1): 0.7, ("c", 0.1): None}, seeds=4)
    (panel,) = dots_data(trials)
    assert [dot.architecture for dot in panel.dots] == ["b", "a"] and panel.unmeasured == ("c",)
    (first, _) = panel.dots
    assert [point.value for point in first.points] == pytest.approx([0.7, 0.71, 0.72, 0.73])
    assert (first.mean, first.floor, panel.chance) == (pytest.approx(0.715), pytest.approx(0.4), pytest.approx(0.1))
    half = first.high - first.mean
    assert half == pytest.approx(3.182 * np.std([0, 0.01, 0.02, 0.03], ddof=1) / 2, rel=1e-3)
    assert list(draw_dots(panel, floor_words(False)).data[1].x) == pytest.approx(
        [0.7, 0.71, 0.72, 0.73, 0.5, 0.51, 0.52, 0.53]
    )


def test_dots_have_the_intervals_of_the_accuracy_figure_and_none_in_a_search(make_trial, write_study):
    tests = {("a", 0.1): 0.5, ("a", 0.2): 0.6}
    trials = trials_of(make_trial, write_study, tests, seeds=3)
    ((dot,),) = [panel.dots for panel in dots_data(trials)]
    table = pooled_intervals(trials.assign(test=trials["test/linear_top1"]))
    assert dot.lam == 0.2 and dot.low == pytest.approx(table["low"].max())
    assert dots_data(trials, searched=True)[0].dots[0].low is None


def test_rows_of_the_heat_map_are_clustered_by_family(make_trial, write_study):
    names = {"a_vit": "vit", "b_res": "res", "c_vit": "vit"}
    trials = [make_trial(name, "d", 0.1, 0, val=0.5, test=0.5) for name in names]
    for trial in trials:
        trial["config"]["family"] = names[trial["config"]["architecture"]]
    data = regret_data(read_results(write_study(trials)).trials)
    assert [name for name, _ in data.cells] == ["b_res", "a_vit", "c_vit"]
