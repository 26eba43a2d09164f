"""Encoders of finished trials are measured by protocols at any later time, and never by training again."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import faults
import numpy as np
import pytest
from toys import STUDY, TRIAL, stripes_task

from dashboards.results import read_results
from lejepa_core.encoder import build_encoder
from lejepa_core.errors import DataError, SettingError, UnknownNameError
from lejepa_core.evaluation import protocols as registry
from lejepa_core.evaluation.protocol import Measured, Protocol, Subject
from lejepa_core.evaluation.protocols import PROTOCOLS
from lejepa_platform import protocols
from lejepa_platform.config import StudyConfig, TrialConfig
from lejepa_platform.errors import SupersededError
from lejepa_platform.evaluating import Evaluate
from lejepa_platform.execution import Execution
from lejepa_platform.executors import Child, Placement
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.planners import LackingPlanner
from lejepa_platform.protocols import check_protocols, measure_protocol, wanted_of
from lejepa_platform.run import run_task
from lejepa_platform.search import make_planner
from lejepa_platform.study import open_study
from lejepa_platform.task import TrialTask
from lejepa_platform.tracking.record import Record, Stamp
from lejepa_platform.trial import floor_key

CRITERIA = {"criteria": PROTOCOLS["criteria"].version}


def again(task: TrialTask, wanted: Mapping[str, int]) -> TrialTask:
    """Another attempt at the same trial."""
    attempt = StudyLedger(Path(task.study)).trial(task.ledger.key).begin(TrialConfig.from_flat(task.config)).attempt
    return replace(task, attempt=attempt, protocols=dict(wanted))


def reader(task: TrialTask) -> TrialLedger:
    """The trial's ledger, for no attempt in particular."""
    return StudyLedger(Path(task.study)).trial(task.ledger.key)


def trained(ledger: TrialLedger) -> dict[str, int]:
    """When the files were written that training leaves."""
    names = ("result.json", "encoder.safetensors", "projector.safetensors", "metrics.jsonl")
    return {name: (ledger.path / name).stat().st_mtime_ns for name in names}


def weight(subject: Subject) -> Measured:
    """The sum of the encoder's weights, and the weights of its first layer."""
    first = next(subject.encoder.parameters()).detach()
    total = sum(float(p.detach().double().sum()) for p in subject.encoder.parameters())
    return Measured(metrics={"check/weight": total}, arrays={"first": first.numpy()})


def broken(subject: Subject) -> Measured:
    raise ValueError("no good\nat all")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrialTask:
    """A trial that was trained before there were protocols."""
    task = stripes_task(tmp_path_factory.mktemp("protocols"))
    run_task(task)
    assert not (task.ledger.path / "measured.json").exists()
    return task


@pytest.fixture
def task(finished: TrialTask) -> Iterator[TrialTask]:
    """The same; what is measured is forgotten afterwards."""
    yield finished
    reader(finished).forget_measured()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Protocol]:
    """The registry, to be changed."""
    known = dict(PROTOCOLS)
    for module in (registry, protocols):
        monkeypatch.setattr(module, "PROTOCOLS", known)
    return known


def test_a_trial_of_old_is_measured_by_criteria_without_training(task: TrialTask) -> None:
    before = trained(task.ledger)
    later = again(task, CRITERIA)
    assert not later.done
    assert run_task(later) is None
    assert later.done
    assert trained(task.ledger) == before
    entry = task.ledger.measured()["criteria"]
    assert (entry["outcome"], entry["version"]) == ("ok", CRITERIA["criteria"])
    with np.load(task.ledger.path / "criteria.npz") as arrays:
        assert arrays["projection_spectrum"].shape == (8,)


def test_a_new_trial_is_measured_in_the_same_task_and_the_same_as_later(tmp_path: Path) -> None:
    task = replace(stripes_task(tmp_path), protocols=CRITERIA)
    run_task(task)
    assert task.done
    first = task.ledger.measured()["criteria"]["metrics"]
    task.ledger.forget_measured()
    run_task(again(task, CRITERIA))
    assert task.ledger.measured()["criteria"]["metrics"] == first


def test_a_raised_version_measures_again_and_an_equal_one_does_not(task: TrialTask, known: dict[str, Protocol]) -> None:
    known["weight"] = Protocol(about="", version=1, measure=weight)
    run_task(again(task, {"weight": 1}))
    before = task.ledger.measured()["weight"]
    assert again(task, {"weight": 1}).done
    known["weight"] = Protocol(
        about="", version=2, measure=lambda s: Measured(metrics={"check/weight": 2 * weight(s).metrics["check/weight"]})
    )
    run_task(again(task, {"weight": 2}))
    after = task.ledger.measured()["weight"]
    assert (before["version"], after["version"]) == (1, 2)
    assert after["metrics"]["check/weight"] == 2 * before["metrics"]["check/weight"]


def test_a_protocol_sees_the_stored_weights(task: TrialTask, known: dict[str, Protocol]) -> None:
    known["weight"] = Protocol(about="", version=1, measure=weight)
    run_task(again(task, {"weight": 1}))
    untrained = weight(Subject(encoder=build_encoder(TrialConfig.from_flat(task.config)), data=None, settings=None,
                               train=None)).metrics  # type: ignore[arg-type] # fmt: skip
    assert task.ledger.measured()["weight"]["metrics"] != untrained


def test_a_protocol_that_fails_says_why_and_the_others_are_measured(
    task: TrialTask, known: dict[str, Protocol]
) -> None:
    known["broken"] = Protocol(about="", version=1, measure=broken)
    later = again(task, {"broken": 1, **CRITERIA})
    with pytest.raises(ValueError, match="no good"):
        run_task(later)
    assert later.done
    held = task.ledger.measured()
    assert (held["broken"]["outcome"], held["broken"]["reason"]) == ("error", "ValueError: no good")
    assert held["criteria"]["outcome"] == "ok"
    assert task.ledger.versions() == CRITERIA
    task.ledger.forget_failures()
    assert task.ledger.lacks(later.wanted).protocols == {"broken": 1}


def test_what_trials_share_is_measured_once_and_of_the_untrained_encoder(
    tmp_path: Path, known: dict[str, Protocol]
) -> None:
    seen = []

    def count(subject: Subject) -> Measured:
        seen.append(weight(subject).metrics["check/weight"])
        return weight(subject)

    known["weight"] = Protocol(about="", version=1, measure=count, shared=True)
    trials: tuple[dict[str, Any], ...] = (
        {"lambda_": 0.02},
        {"lambda_": 0.2, "learning_rate": 1e-3, "projector_dim": 4},
    )
    tasks = [replace(stripes_task(tmp_path, **changes), protocols={"weight": 1}) for changes in trials]
    for task in tasks:
        run_task(task)
    assert len(seen) == 1
    first, second = (task.ledger.measured()["weight"]["metrics"] for task in tasks)
    assert first == second == {"check/weight": seen[0]}
    arrays = [(task.ledger.path / "weight.npz").read_bytes() for task in tasks]
    assert arrays[0] == arrays[1]
    other = replace(stripes_task(tmp_path, seed=3), protocols={"weight": 1})
    run_task(other)
    assert len(seen) == 2


def test_what_trials_share_needs_no_weights_of_the_hub(tmp_path: Path, known: dict[str, Protocol]) -> None:
    known["weight"] = Protocol(about="", version=1, measure=weight, shared=True)
    task = replace(stripes_task(tmp_path, pretrained=True), protocols={"weight": 1})
    config = TrialConfig.from_flat(task.config)
    measure_protocol(task, config, "weight")
    untrained = sum(
        float(p.double().sum().item()) for p in build_encoder(replace(config, pretrained=False)).parameters()
    )
    assert task.ledger.measured()["weight"]["metrics"] == {"check/weight": pytest.approx(untrained)}


def test_a_damaged_projector_is_named(task: TrialTask) -> None:
    path = task.ledger.path / "projector.safetensors"
    whole = path.read_bytes()
    path.write_bytes(b"none")
    with pytest.raises(DataError, match="remove the trial's folder to train it again"):
        run_task(again(task, CRITERIA))
    path.write_bytes(whole)
    assert task.ledger.measured()["criteria"]["outcome"] == "error"


def test_a_trial_that_left_no_encoder_lacks_nothing(tmp_path: Path) -> None:
    task = replace(stripes_task(tmp_path, learning_rate=1e30, warmup=0.0, epochs=2), protocols=CRITERIA)
    run_task(task)
    assert (task.ledger.result() or {})["outcome"] == "diverged"
    assert task.done


def test_a_trial_that_is_trained_again_is_measured_again(task: TrialTask) -> None:
    run_task(again(task, CRITERIA))
    with pytest.raises(SupersededError):
        task.ledger.forget()
    assert task.ledger.finished() and task.ledger.measured()
    result = (task.ledger.path / "result.json").read_bytes()
    reader(task).forget()
    assert not task.ledger.finished() and task.ledger.measured() == {}
    assert not (task.ledger.path / "criteria.npz").exists()
    (task.ledger.path / "result.json").write_bytes(result)


@pytest.mark.parametrize(("seed", "outcome"), [(faults.KILLED, "oom"), (faults.HUNG, "timeout")])
def test_a_process_that_dies_of_one_protocol_costs_neither_the_trial_nor_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, outcome: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(faults.__file__).parent), prepend=":")
    child = Child(Placement(executor="inline", time_limit=12, trial_function="faults:in_first_protocol"))
    config = replace(TRIAL, seed=seed)
    attempt = StudyLedger(tmp_path).trial(config.key).begin(config).attempt
    task = TrialTask(config=config.flat(), study=str(tmp_path), attempt=attempt, source="digits", cache="none",
                     protocols={"first": 1, "second": 1})  # fmt: skip
    assert child.run(task) == "ok"
    child.stop()
    held = task.ledger.measured()
    assert task.done
    assert (held["first"]["outcome"], held["second"]["outcome"]) == (outcome, "ok")


def study_with(**changes: Any) -> StudyConfig:
    return replace(STUDY, **changes)


def test_criteria_are_always_wanted_and_others_when_asked_for(known: dict[str, Protocol]) -> None:
    known["weight"] = Protocol(about="", version=4, measure=weight)
    assert wanted_of(STUDY).protocols == CRITERIA
    assert wanted_of(study_with(protocols=("weight",))).protocols == {**CRITERIA, "weight": 4}


def test_unknown_protocols_are_named_with_the_closest_and_labels_are_asked_for(known: dict[str, Protocol]) -> None:
    known["weight"] = Protocol(about="", version=1, measure=weight)
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'critera'; closest: criteria"):
        check_protocols(["critera"], labelled=True)
    with pytest.raises(SettingError, match="no classes"):
        check_protocols(["weight"], labelled=False)
    check_protocols(["criteria"], labelled=False)


def test_protocols_are_kept_with_the_study_and_make_no_other_study(tmp_path: Path) -> None:
    ledger = StudyLedger.at(tmp_path, "s")
    ledger.save(STUDY, sources={}, planned=[])
    assert "protocols" not in ledger.read()["config"]
    asked = study_with(protocols=("paper",))
    _, opened = open_study(asked, tmp_path)
    assert opened.protocols == ("paper",)
    ledger.save(opened, sources={}, planned=[])
    _, reopened = open_study(study_with(protocols=("finetune",)), tmp_path)
    assert reopened.protocols == ("paper", "finetune")
    assert StudyConfig.from_flat(opened.flat()) == opened
    assert [trial.key for trial in asked.grid()] == [trial.key for trial in STUDY.grid()]


def finish_all(ledger: StudyLedger, trials: list[TrialConfig]) -> None:
    for trial in trials:
        begun = ledger.trial(trial.key).begin(trial)
        task = TrialTask(config=trial.flat(), study=str(ledger.path), attempt=begun.attempt, source="", cache="")
        faults.finish(task, trial)


def test_a_grid_that_is_trained_is_planned_again_for_what_it_lacks(tmp_path: Path) -> None:
    ledger = StudyLedger.at(tmp_path, "s")
    finish_all(ledger, STUDY.grid())
    planner = make_planner(STUDY, ledger)
    assert {trial.key for trial in iter(planner.next, None)} == {trial.key for trial in STUDY.grid()}


def test_measuring_alone_trains_nothing(tmp_path: Path) -> None:
    ledger = StudyLedger.at(tmp_path, "s")
    first, *_, last = STUDY.grid()
    finish_all(ledger, [first])
    ledger.trial(last.key).begin(last)
    planner = LackingPlanner(STUDY, ledger)
    assert (planner.total, planner.next(), planner.next(), planner.exhausted) == (1, first, None, True)


def test_evaluate_measures_what_is_lacking_and_says_how_much_there_is(
    task: TrialTask, known: dict[str, Protocol], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known |= {
        name: Protocol(about="", version=1, measure=measure)
        for name, measure in (("weight", weight), ("broken", broken))
    }
    study = StudyLedger(Path(task.study))
    study.save(study_with(protocols=("weight",)), sources={}, planned=[])
    before = trained(task.ledger)

    def in_this_process(config: StudyConfig, execution: Execution, *, notes: list[str], train: bool) -> None:
        assert (execution.storage, notes, train) == (study.path.parent, [], False)
        with pytest.raises(ValueError):
            run_task(again(task, wanted_of(config).protocols))

    monkeypatch.setattr("lejepa_platform.study.run_study", in_this_process)
    assert Evaluate(study=task.study, protocols=("broken",)).run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "criteria: 1 encoders measured",
        "weight: 1 encoders measured",
        "broken: 0 encoders measured, 1 failed (ValueError: no good)",
        f"lejepa report study --storage {study.path.parent} shows it",
    ]
    assert trained(task.ledger) == before


def test_metrics_become_columns_and_failures_notes(task: TrialTask, known: dict[str, Protocol]) -> None:
    known["broken"] = Protocol(about="", version=1, measure=broken)
    with pytest.raises(ValueError):
        run_task(again(task, {**CRITERIA, "broken": 1}))
    StudyLedger(Path(task.study)).save(STUDY, sources={}, planned=[TrialConfig.from_flat(task.config)])
    results = read_results(Path(task.study))
    held = task.ledger.measured()["criteria"]["metrics"]
    (row,) = results.trials.to_dict("records")
    assert {name: row[name] for name in held} == pytest.approx(held, nan_ok=True)
    assert "Measurements by broken that failed: 1 (ValueError: no good)." in results.notes


def test_mlflow_gets_the_metrics_and_gives_up_those_of_an_older_version(task: TrialTask) -> None:
    before = Record.read(task.ledger)
    run_task(again(task, CRITERIA))
    after = Record.read(task.ledger)
    assert before is not None and after is not None
    points = {point.key: point.value for point in after.points(before.stamp)}
    held = task.ledger.measured()["criteria"]["metrics"]
    assert points.items() >= {name: value for name, value in held.items() if value is not None}.items()
    assert Stamp.parse(str(after.stamp)) == after.stamp
    assert not before.stamp.disowns(after.stamp)
    assert after.stamp.disowns(replace(after.stamp, versions="criteria.9"))
    assert not after.stamp.disowns(replace(after.stamp, versions=after.stamp.versions + ",paper.1"))


def test_options_that_are_off_leave_what_trials_share_under_the_name_it_had() -> None:
    assert (protocols._shared_key(TRIAL), floor_key(TRIAL)) == ("9ef5b5d722384508", "e9f42c8a669d39c4")
    assert protocols._shared_key(replace(TRIAL, objective="vicreg")) == protocols._shared_key(TRIAL)
    assert protocols._shared_key(replace(TRIAL, predictor_depth=1, weight_average=0.9)) == protocols._shared_key(TRIAL)
    assert protocols._shared_key(replace(TRIAL, register_tokens=1)) != protocols._shared_key(TRIAL)
