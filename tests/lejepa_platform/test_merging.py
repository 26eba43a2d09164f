"""Two studies made one: every finished trial once, and nothing written where they cannot be."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import STUDY

from lejepa_platform.cli import main
from lejepa_platform.config import METHOD_VERSION, StudyConfig, TrialConfig
from lejepa_platform.ledger import ProtocolResult, StudyLedger, TrialResult, Wanted
from lejepa_platform.merging import merge_studies
from lejepa_platform.search import make_planner
from lejepa_platform.study import stored_config

A = replace(STUDY, datasets=("digits",), fingerprints={"digits": "a" * 16}, architectures=("resnet10t_w32",))
B = replace(A, lambdas=(0.1, 0.3), seeds=(2, 3))


def made(storage: Path, name: str, config: StudyConfig, **results: Any) -> StudyLedger:
    """A study of which every trial has a result."""
    ledger = StudyLedger.at(storage, name)
    config = replace(config, name=name)
    planned = config.grid() if config.search == "grid" else []
    ledger.save(config, sources={name: name for name in config.datasets}, planned=planned, notes=[f"of {name}"])
    for trial in planned:
        end(ledger, trial, **results)
    return ledger


def end(ledger: StudyLedger, trial: TrialConfig, outcome: Any = "ok", top1: float = 0.5) -> None:
    metrics: dict[str, float | None] = {"val/linear_top1": top1}
    result = TrialResult(key=trial.key, outcome=outcome, config=trial.flat(), metrics=metrics, seconds=1.0)
    ledger.trial(trial.key).begin(trial).write_result(result)


def merged(storage: Path, first: StudyLedger, second: StudyLedger) -> tuple[StudyLedger, list[str]]:
    into = StudyLedger.at(storage, "ab")
    return into, merge_studies(first, second, into)


def results(study: StudyLedger) -> dict[str, Any]:
    return {trial.key: trial.result() for trial in study.trials()}


def test_the_trials_of_both_are_there_and_only_holes_of_the_union_are_left(tmp_path: Path) -> None:
    first, second = made(tmp_path, "a", A), made(tmp_path, "b", B)
    study, notes = merged(tmp_path, first, second)
    assert notes == []
    assert results(study) == {**results(second), **results(first)}
    config = stored_config(study)
    assert (config.name, config.lambdas, config.seeds) == ("ab", (0.01, 0.1, 0.3), (0, 1, 2, 3))
    planner = make_planner(config, study)
    holes = []
    while (trial := planner.next()) is not None:
        # What is finished comes too, to be measured by the criteria.
        if not study.trial(trial.key).finished():
            holes.append((trial.lambda_, trial.seed))
    assert sorted(holes) == [(0.01, 3), (0.3, 0), (0.3, 1)]


def test_what_the_studies_say_of_themselves_is_kept(tmp_path: Path) -> None:
    study, _ = merged(tmp_path, made(tmp_path, "a", A), made(tmp_path, "b", B))
    document = study.read()
    assert document["notes"] == ["of a", "of b", "Merged of the studies a and b."]
    assert set(document["planned"]) == {trial.key for trial in stored_config(study).grid()}


def test_of_two_ends_of_a_trial_the_first_study_s_is_kept_and_said(tmp_path: Path) -> None:
    first, second = made(tmp_path, "a", A), made(tmp_path, "b", B, top1=0.6)
    study, notes = merged(tmp_path, first, second)
    (both,) = results(first).keys() & results(second).keys()
    assert results(study)[both]["metrics"] == {"val/linear_top1": 0.5}
    assert notes == [f"1 trials ended otherwise in b than in a, whose results are kept: {both}"]
    assert notes[0] in study.read()["notes"]


@pytest.mark.parametrize("outcome", ["oom", "stopped"])
def test_a_finished_trial_is_taken_in_place_of_a_failed_or_stopped_one(tmp_path: Path, outcome: str) -> None:
    first, second = made(tmp_path, "a", A, outcome=outcome), made(tmp_path, "b", A)
    study, notes = merged(tmp_path, first, second)
    assert notes == []
    assert results(study) == results(second)


def test_of_two_unfinished_trials_the_one_with_more_epochs_goes_on(tmp_path: Path) -> None:
    trial = A.grid()[0]
    studies = [StudyLedger.at(tmp_path, name) for name in "ab"]
    for epochs, study in enumerate(studies, start=1):
        study.save(replace(A, name=study.name), sources={}, planned=[])
        study.trial(trial.key).begin(trial).write_metrics([{"epoch": n + 1} for n in range(epochs)])
    study, _ = merged(tmp_path, *studies)
    assert len(study.trial(trial.key).history()) == 2


def test_measurements_of_the_same_encoder_are_put_together(tmp_path: Path) -> None:
    studies = made(tmp_path, "a", A), made(tmp_path, "b", A)
    key = A.grid()[0].key
    for study, name in zip(studies, ("paper", "few_shot"), strict=True):
        trial = study.trial(key)
        replace(trial, attempt=1).write_measured(name, ProtocolResult(version=1, metrics={name: 1.0}), b"arrays")
    study, _ = merged(tmp_path, *studies)
    assert study.trial(key).lacks(Wanted(protocols={"paper": 1, "few_shot": 1})) == Wanted()
    assert (study.trial(key).path / "few_shot.npz").read_bytes() == b"arrays"


def test_images_are_told_apart_by_their_fingerprint_and_take_the_first_study_s_name(tmp_path: Path) -> None:
    renamed = replace(B, datasets=("folder:mine",), fingerprints={"folder:mine": "a" * 16})
    study, _ = merged(tmp_path, made(tmp_path, "a", A), made(tmp_path, "b", renamed))
    config = stored_config(study)
    assert config.fingerprints == {"digits": "a" * 16}
    assert {result["config"]["dataset"] for result in results(study).values()} == {"digits"}
    assert study.read()["sources"] == {"digits": "digits"}
    assert {trial.key for trial in B.grid()} < results(study).keys()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(B, shared={**B.shared, "epochs": 4}), "epochs"),
        (replace(B, search="qmc", trials=2), "search"),
        (replace(B, fingerprints={"digits": "c" * 16}), "images of digits"),
    ],
)
def test_other_settings_are_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: StudyConfig, named: str
) -> None:
    made(tmp_path, "a", A)
    made(tmp_path, "b", other)
    assert main(["merge", "a", "b", "--into", "ab", "--storage", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: studies 'a' and 'b' have other {named}; studies can be merged that differ in")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_another_version_of_the_method_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", A)
    file = made(tmp_path, "b", B).path / "study.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "method_version": METHOD_VERSION - 1}))
    assert main(["merge", "a", "b", "--into", "ab", "--storage", str(tmp_path)]) == 2
    assert f"study 'b' was made with version {METHOD_VERSION - 1} of the method" in capsys.readouterr().err


def test_a_study_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "ab"):
        made(tmp_path, name, A)
    assert main(["merge", "a", "b", "--into", "ab", "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: study 'ab' exists already; name another with --into\n"


def test_the_command_says_what_the_union_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", A)
    made(tmp_path, "b", B)
    assert main(["merge", "a", "b", "--into", "ab", "--storage", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "study ab holds 9 finished trials" in out
    assert "3 trials of the union of the axes are in neither study: " in out
    assert "--study ab --extend" in out
