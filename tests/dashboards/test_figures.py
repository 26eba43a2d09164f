import numpy as np
import pandas as pd
import pytest

from dashboards.figures.accuracy import accuracy_data, draw_accuracy
from dashboards.figures.paired import draw_paired, paired_data
from dashboards.figures.parallel import draw_parallel, parallel_data
from dashboards.figures.proxy import draw_proxy, proxy_data
from dashboards.figures.regret import draw_regret, regret_data
from dashboards.figures.style import lambda_axis
from dashboards.figures.terms import draw_terms, terms_data
from dashboards.floor import floor_words
from dashboards.results import read_results


@pytest.fixture
def mixed(make_trial, write_study):
    """Two architectures, three λ, two seeds; one diverged, one collapsed, two out of memory, one pending."""
    trials = []
    for name, base in (("a", 0.6), ("b", 0.7)):
        for i, lam in enumerate((0.01, 0.1, 0.4)):
            for seed in (0, 1):
                test = base - 0.05 * abs(i - 1) + 0.01 * seed
                trials.append(make_trial(name, "d", lam, seed, val=test, test=test, loss=1 + 0.1 * i))
    trials[0] |= {"outcome": "diverged"}
    trials[5] |= {"outcome": "collapsed"}
    for trial in trials[-2:]:
        trial["outcome"] = "oom"
    trials[8] |= {"outcome": None}
    return read_results(write_study(trials)).trials


def test_accuracy_data_drops_nothing(mixed):
    (panel,) = accuracy_data(mixed)
    first, second = panel.lines
    assert (panel.dataset, panel.chance, panel.lambdas) == ("d", 0.1, (0.01, 0.1, 0.4))
    assert [(mean.lam, mean.n) for mean in first.means] == [(0.01, 2), (0.1, 2), (0.4, 2)]
    assert [(mean.n, mean.mean is None) for mean in second.means] == [(2, False), (1, False), (0, True)]
    assert first.means[0].mean == pytest.approx((0.1 + 0.56) / 2)
    assert first.means[0].low is None
    assert [(p.value, p.outcome) for p in first.points if p.lam == 0.01] == [
        (0.1, "diverged"),
        (pytest.approx(0.56), "ok"),
    ]
    assert [p.outcome for p in first.points if p.lam == 0.4] == ["ok", "collapsed"]
    assert (first.floor, first.seeds) == (pytest.approx(0.4), 2)


def test_accuracy_drawing_marks_failures_and_holes(mixed):
    figure = draw_accuracy(accuracy_data(mixed)[0], floor_words(False))
    symbols = {trace.marker.symbol for trace in figure.data if trace.mode == "markers"}
    assert symbols == {"circle", "x-thin", "circle-open"}
    assert "n=1" in [text for trace in figure.data if trace.mode == "lines+markers+text" for text in trace.text]
    assert {"n=0", "chance"} <= {annotation.text for annotation in figure.layout.annotations}


def test_a_search_has_points_but_no_means(mixed):
    (panel,) = accuracy_data(mixed, searched=True)
    assert all(line.means == () and line.points for line in panel.lines)
    assert len(draw_accuracy(panel, floor_words(False)).data) > 0


def test_many_architectures_are_split_by_family(make_trial, write_study):
    trials = [make_trial(f"{family}{i}", val=0.5, test=0.5) for family in ("vit", "res") for i in range(5)]
    panels = accuracy_data(read_results(write_study(trials)).trials)
    assert [panel.title for panel in panels] == ["digits · res", "digits · vit"]
    assert sorted(line.index for panel in panels for line in panel.lines) == list(range(10))


def test_regret_data_has_points_marks_and_holes(mixed):
    data = regret_data(mixed)
    assert data.cells == (("a", "d"), ("b", "d")) and data.lambdas == (0.01, 0.1, 0.4)
    assert data.chosen == (1, 1)
    np.testing.assert_allclose(data.points[0], [60.5 - (10 + 56) / 2, 0, 5])
    np.testing.assert_allclose(data.points[1], [71 - 65.5, 0, np.nan])
    assert data.marks == (("✕1", "", "◌1"), ("", "n=1", "oom"))
    assert data.failed == ((False, False, False), (False, False, True))
    heatmap, hatching = draw_regret(data).data
    assert (min(hatching.x[:5]), max(hatching.y[:5])) == (pytest.approx(1.52), pytest.approx(1.46))
    assert list(heatmap.text[1]) == ["5.5", "0.0<br>n=1", "oom"]


def test_proxy_data_keeps_diverged_trials_at_an_infinite_loss(mixed):
    (panel,) = proxy_data(mixed)
    points = [point for series in panel.series for point in series.points]
    assert len(points) == 9
    assert [p.accuracy for p in points if np.isinf(p.loss)] == [0.1]
    finite = max(p.loss for p in points if np.isfinite(p.loss))
    drawn = [x for trace in draw_proxy(panel).data for x in trace.x]
    assert np.isfinite(drawn).all() and max(drawn) > finite


def test_terms_are_means_over_finished_seeds(make_trial, write_study):
    def at(lam: float, seed: int, rank: float, outcome: str = "ok") -> dict:
        metrics = {"train/prediction": lam, "geometry/effective_rank": rank}
        return make_trial("a", "photos", lam, seed, floor=None, chance=None, metrics=metrics, outcome=outcome)

    trials = [at(0.01, 0, 10), at(0.01, 1, 20), at(0.1, 0, 30), at(0.1, 1, 99, "error")]
    panels = terms_data(read_results(write_study(trials)).trials, ("photos",))
    assert [panel.term for panel in panels] == ["train/prediction", "geometry/effective_rank"]
    (line,) = panels[1].lines
    assert (line.lambdas, line.mean, line.n) == ((0.01, 0.1), (15.0, 30.0), (2, 1))
    assert len(draw_terms(panels[1]).data) == 2


def test_labels_of_lambda_are_short_unless_two_would_look_alike():
    assert lambda_axis([0.006536, 0.05, 0.296296]).labels == ("0.00654", "0.05", "0.296")
    assert lambda_axis([0.05001, 0.05002, 0.2]).labels == ("0.05001", "0.05002", "0.2")


def test_the_lambda_axis_is_logarithmic_and_finds_room_for_zero():
    axis = lambda_axis([0.0, 0.01, 0.1, 1.0])
    assert [axis.at(lam) for lam in (0.01, 0.1, 1.0)] == pytest.approx([-2, -1, 0])
    assert axis.at(0.0) == pytest.approx(-3)
    assert axis.labels == ("0", "0.01", "0.1", "1")
    many = lambda_axis(np.logspace(-2, 0, 30))
    assert many.labels == ("0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1")


def test_names_are_escaped_before_plotly_reads_them(make_trial, write_study):
    trials = [make_trial("<a href='x'>", "<b>d</b>", lam, val=0.5, test=0.5) for lam in (0.1, 0.2)]
    table = read_results(write_study(trials)).trials
    figures = [draw_accuracy(accuracy_data(table)[0], floor_words(False)), draw_proxy(proxy_data(table)[0])]
    for figure in [*figures, draw_regret(regret_data(table))]:
        figure.update_traces(legendgroup=None)
        text = figure.to_json()
        assert "<a href" not in text and "<b>d" not in text
        assert "&lt;a href" in text or "\\u0026lt;a href" in text


def test_parallel_coordinates_have_a_table_with_names(mixed):
    data = parallel_data(mixed)
    assert data is not None
    table = draw_parallel(data).layout.meta["table"]
    assert table["columns"][:2] == ["architecture", "log λ"]
    assert len(table["rows"]) == data.shown and {row[0] for row in table["rows"]} == {"a", "b"}


def test_paired_differences_have_a_table():
    pairs = pd.DataFrame({"architecture": "a", "dataset": "d", "lambda": [0.1, 0.2], "seed": 0, "points": [1.0, 3.0]})
    table = draw_paired(paired_data(pairs), "one", "two").layout.meta["table"]
    assert table["rows"] == [["a · d", "λ 0.1, seed 0", 1.0], ["a · d", "λ 0.2, seed 0", 3.0]]
