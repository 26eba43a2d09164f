"""Choices without labels: the criterion's, blind to every label, and never of a dead run."""

import json

import pytest

from dashboards.advice import advice_words, advise, known_from, known_regret, known_words
from dashboards.report import write_report
from dashboards.results import read_results

LAMBDAS = (0.01, 0.05, 0.2)


def metrics(retrieval: float) -> dict[str, float]:
    return {"heldout/retrieval_top1": retrieval, "geometry/spread": 1.0}


def unlabelled(make_trial, retrieval, **changes):
    return [
        make_trial(
            name, "photos", lam, seed, floor=None, chance=None, metrics=metrics(retrieval(name, lam, seed)), **changes
        )
        for name in ("x", "y") for lam in LAMBDAS for seed in (0, 1)
    ]  # fmt: skip


def test_the_choice_is_what_the_criterion_ranks_first(make_trial, write_study):
    trials = unlabelled(make_trial, lambda name, lam, seed: 0.5 * (name == "y") - abs(lam - 0.05) + 0.001 * seed)
    (advice,) = advise(read_results(write_study(trials)))
    assert (advice["choice"]["architecture"], advice["choice"]["lambda"]) == ("y", 0.05)
    assert advice["choice"]["seeds_agreeing"] == {"same": 2, "of": 2}
    assert advice["lambda_by_architecture"] == {"x": 0.05, "y": 0.05}
    assert "For photos: λ = 0.05 with y" in advice_words(advice)[0]


def test_seeds_that_disagree_are_counted(make_trial, write_study):
    best = {0: 0.01, 1: 0.2}
    trials = unlabelled(make_trial, lambda name, lam, seed: 0.1 * (name == "y") + 0.2 * (lam == best[seed]) + lam / 100)
    (advice,) = advise(read_results(write_study(trials)))
    assert advice["choice"]["seeds_agreeing"] == {"same": 1, "of": 2}


def test_a_seed_of_which_little_has_finished_agrees_with_nobody(make_trial, write_study):
    trials = unlabelled(make_trial, lambda name, lam, seed: lam + (name == "y"))
    trials = [trial for trial in trials if trial["config"]["seed"] == 0 or trial["config"]["lambda"] == 0.2]
    (advice,) = advise(read_results(write_study(trials)))
    assert advice["choice"]["lambda"] == 0.2
    assert advice["choice"]["seeds_agreeing"] == {"same": 1, "of": 1}


def test_a_collapsed_run_is_not_chosen_however_good_it_looks(make_trial, write_study):
    trials = unlabelled(make_trial, lambda name, lam, seed: 1.0 if lam == 0.01 else lam)
    for trial in trials:
        if trial["config"]["lambda"] == 0.01:
            trial["outcome"] = "collapsed"
    (advice,) = advise(read_results(write_study(trials)))
    assert advice["choice"]["lambda"] == 0.2
    assert advice["collapsed"] == 4


def test_labels_change_nothing(make_trial, write_study, tmp_path):
    def study(accuracy):
        trials = [
            make_trial(
                "x", "d", lam, seed, val=accuracy(lam), test=accuracy(lam), metrics=metrics(0.3 - abs(lam - 0.05))
            )
            for lam in LAMBDAS for seed in (0, 1)
        ]  # fmt: skip
        return read_results(write_study(trials))

    first = advise(study(lambda lam: lam))
    assert first[0]["choice"]["lambda"] == 0.05
    for path in tmp_path.glob("study/trials/*/result.json"):
        result = json.loads(path.read_text())
        result["metrics"] |= {"val/linear_top1": 0.9 - result["config"]["lambda"], "test/linear_top1": 0.1}
        path.write_text(json.dumps(result))
    assert advise(read_results(tmp_path / "study")) == first


@pytest.mark.parametrize("outcome", ["diverged", "collapsed"])
def test_without_a_live_encoder_there_is_no_choice_but_a_page(make_trial, write_study, outcome):
    trials = [
        make_trial("x", "photos", lam, floor=None, chance=None, outcome=outcome, metrics=metrics(lam))
        for lam in LAMBDAS
    ]  # fmt: skip
    (advice,) = write_report(write_study(trials))["advice"]
    assert advice["choice"] is None
    assert advice["lambda_by_architecture"] == {}
    assert advice_words(advice)


def test_an_architecture_whose_runs_all_died_gets_no_lambda(make_trial, write_study):
    trials = unlabelled(make_trial, lambda name, lam, seed: lam)
    for trial in trials:
        if trial["config"]["architecture"] == "x":
            trial["outcome"] = "diverged"
    (advice,) = advise(read_results(write_study(trials)))
    assert advice["choice"]["architecture"] == "y"
    assert advice["lambda_by_architecture"] == {"y": 0.2}


def test_trials_that_were_never_begun_are_counted(make_trial, write_study):
    trials = unlabelled(make_trial, lambda name, lam, seed: lam)
    planned = [trial["key"] for trial in trials]
    (advice,) = advise(read_results(write_study(trials[:-2], planned=planned)))
    assert (advice["unfinished"], advice["unstarted"]) == (0, 2)
    assert "10 trials measured (2 of the study never begun)" in advice_words(advice)[1]


@pytest.mark.parametrize("low", [None, -0.2])
def test_what_is_known_of_such_choices_is_said_with_its_interval(low):
    ends = {"low": low, "high": None if low is None else 2.2, "n": 18, "member": ""}
    none = {"low": None, "high": None, "n": 18, "member": "α = 1"}
    ranked = [
        {"name": "mix_fitted", "kind": "fitted", "mean": 1.2 if low is None else 0.9, **none},
        {"name": "retrieval", "kind": "criterion", "mean": 1.0, **ends},
        {"name": "loss", "kind": "criterion", "mean": 1.1, **ends},
        {"name": "random", "kind": "reference", "mean": 3.5, **ends},
    ]
    summary = {"selection": {"lambda": {"ranked": ranked}}}
    known = known_from(summary, "a pilot")
    assert known["criterion"] == "retrieval"
    said = "18 choices, too few for an interval" if low is None else "95 % CI −0.2 to 2.2, 18 choices"
    assert known_words(known) == (
        f"Where labels were there to compare with (a pilot), this criterion lost 1.0 ({said}) points of test accuracy "
        f"in choosing λ (a random choice 3.5 ({said}))."
    )


def test_what_is_known_comes_with_the_product():
    known = known_regret()
    for regret in known["regret"].values():
        assert {known["criterion"], "random", "labels"} <= regret.keys()
        assert regret["labels"]["mean"] == 0
