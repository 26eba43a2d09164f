import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dashboards.compare import main
from dashboards.comparison import compare
from dashboards.results import read_results
from dashboards.statistics.intervals import of_cells
from lejepa_platform.errors import StudyError

ARCHITECTURES = ("a", "b", "c", "d", "e")
GAINS = {"a": 0.02, "b": 0.04, "c": -0.01, "d": 0.03, "e": 0.02}
"""Of the second study, in each cell."""


@pytest.fixture
def studies(tmp_path: Path, make_trial, write_study) -> tuple[Path, Path]:
    def study(name: str, gain: bool, epochs: int, lambdas: tuple[float, ...]) -> Path:
        trials = [
            make_trial(a, "d", lam, seed, val=0.5 - abs(lam - best), test=0.5 + 0.1 * lam + gain * GAINS[a],
                       config={"epochs": epochs})
            for a in ARCHITECTURES for lam in lambdas for seed in (0,)
        ]  # fmt: skip
        return write_study(trials, name=name, config={"epochs": epochs}).rename(tmp_path / name)

    best = 0.1
    first = study("one", False, 10, (0.1, 0.2))
    best = 0.2
    return first, study("two", True, 20, (0.1, 0.2, 0.3))


def test_differences_are_paired_and_with_one_seed_their_interval_is_over_architectures(studies):
    found = compare(*(read_results(study) for study in studies))
    known = stats.ttest_1samp([100 * gain for gain in GAINS.values()], 0).confidence_interval(0.95)
    about = found["difference"]
    assert (about["cells"], about["pairs"]) == (5, 10)
    assert about["mean_points"] == pytest.approx(2.0)
    assert (about["low_points"], about["high_points"]) == pytest.approx(tuple(known))
    assert [row["points"] for row in found["cells"]] == pytest.approx([2.0, 4.0, -1.0, 3.0, 2.0])
    assert found["notes"] == ["5 trials of two with an accuracy have no partner: left out of the differences."]


def test_settings_that_differ_and_the_chosen_lambda_stand_side_by_side(studies):
    found = compare(*(read_results(study) for study in studies))
    assert found["settings"] == [{"name": "epochs", "first": "10", "second": "20"}]
    assert {(row["first_lambda"], row["second_lambda"]) for row in found["chosen"]} == {(0.1, 0.2)}


def test_too_few_cells_give_no_interval(make_trial, write_study, tmp_path: Path):
    folders = []
    for name, test in (("one", 0.5), ("two", 0.6)):
        trials = [make_trial(a, "d", 0.1, val=0.5, test=test, config={"name": name}) for a in ("a", "b")]
        folders.append(write_study(trials, name=name).rename(tmp_path / name))
    about = compare(*(read_results(folder) for folder in folders))["difference"]
    assert (about["low_points"], about["note"]) == (None, "these 2 cells, 1 seed: too few for an interval")


def test_nothing_in_common_is_said(make_trial, write_study, tmp_path: Path):
    one = write_study([make_trial("a", val=0.5, test=0.5)], name="one").rename(tmp_path / "one")
    two = write_study([make_trial("b", val=0.5, test=0.5)], name="two").rename(tmp_path / "two")
    found = compare(read_results(one), read_results(two))
    assert found["difference"]["mean_points"] is None
    assert [(row["first_lambda"], row["second_lambda"]) for row in found["chosen"]] == [(0.05, None), (None, 0.05)]


def test_a_trial_of_both_studies_is_said_to_be_one(make_trial, write_study, tmp_path: Path):
    trials = [make_trial(val=0.5, test=0.5)]
    one = write_study(trials, name="one").rename(tmp_path / "one")
    two = write_study(trials, name="two").rename(tmp_path / "two")
    assert compare(read_results(one), read_results(two))["notes"][0].startswith("1 of 1 pairs are one and the same")


def test_the_command_prints_text_or_json_and_writes_a_page(studies, tmp_path: Path, capsys):
    arguments = ["one", "two", "--storage", str(tmp_path)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("two is 2.0 points above one on test (95 % CI ")
    assert "epochs: 10 | 20" in text
    assert "a · d: λ 0.1 51.0 % | λ 0.2 54.0 %" in text
    page = (tmp_path / "compare-one-two.html").read_text()
    figure = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)[0])
    assert len(figure["data"][0]["x"]) == 10
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"]["pairs"] == 10
    with pytest.raises(StudyError, match="came twice"):
        main(["one", "one", "--storage", str(tmp_path)])


def test_intervals_over_seeds_are_students_and_welchs():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=5), rng.normal(1, 3, size=4)
    both = np.array([first, [*second, np.nan]])
    of_one, note = of_cells(both[:1], ["a"])
    known = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (of_one.low, of_one.high) == pytest.approx(tuple(known)) and note == "over 5 seeds, for this cell"
    of_two, _ = of_cells(both, ["a", "b"])
    known = stats.ttest_ind(first, -second, equal_var=False).confidence_interval(0.95)
    assert (of_two.low, of_two.high) == pytest.approx((known.low / 2, known.high / 2))
    assert of_two.mean == pytest.approx((first.mean() + second.mean()) / 2)


def test_intervals_over_seeds_hold_the_truth_in_95_of_100_studies():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        found, _ = of_cells(rng.normal(0, [[1.0], [2.0], [0.5], [1.0]], (4, 3)), list("abcd"))
        held.append(found.low <= 0 <= found.high)
    assert 0.935 <= np.mean(held) <= 0.98
