import pytest

from dashboards.protocols_table import protocols_table
from dashboards.report import write_report
from dashboards.results import read_results
from dashboards.statistics.scores import at_best_settings, score


@pytest.fixture
def study(make_trial, write_study):
    trials = [
        make_trial("x", "d", lam, seed, val=lam, test=lam, metrics={"test/paper_top1": lam + 0.1 * seed})
        for lam in (0.05, 0.1) for seed in (0, 1)
    ]  # fmt: skip
    trials.append(make_trial("y", "d", 0.1, 0, val=0.3, test=0.3, metrics={"check/shuffled_knn_top1": 0.11}))
    trials.append(make_trial("y", "d", 0.1, 1, outcome="diverged"))
    return write_study(trials)


def test_protocols_are_shown_at_the_chosen_lambda_and_only_those_there_are(study):
    found = protocols_table(at_best_settings(score(read_results(study).trials)))
    assert list(found["columns"]) == ["test/paper_top1", "check/shuffled_knn_top1"]
    x, y = found["cells"]
    assert (x["lambda"], x["chance"]) == (0.1, 0.1)
    assert x["values"] == {"test/paper_top1": {"mean": pytest.approx(0.15), "n": 2}}
    assert y["values"] == {"check/shuffled_knn_top1": {"mean": 0.11, "n": 1}}


def test_the_page_has_them(study):
    assert write_report(study)["protocols"]["columns"]["test/paper_top1"] == "paper's probe"
    page = (study / "report.html").read_text()
    assert "What do other probes say?" in page and "15.0 %" in page
