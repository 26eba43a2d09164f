"""Planners: each grid trial once, and searches that resume from the ledger and never hear a NaN."""

import math
from collections import Counter
from dataclasses import replace

import optuna
import pytest
from toys import STUDY

from lejepa_core.errors import SettingError
from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.planners import GridPlanner
from lejepa_platform.searching import SearchPlanner, objective

TPE = replace(STUDY, search="tpe", trials=12, lambdas=(0.001, 0.5), seeds=(0, 1), optimisers={
    name: STUDY.optimisers[name][:1] for name in STUDY.architectures})  # fmt: skip


QMC = replace(TPE, search="qmc", trials=8, seeds=(0,))


def ended(trial: TrialConfig, outcome: str = "ok", **metrics: float | None) -> Flat:
    names = {name.replace("__", "/"): value for name, value in metrics.items()}
    return {"key": trial.key, "outcome": outcome, "metrics": names, "config": trial.flat()}


def peaked(trial: TrialConfig) -> Flat:
    """Accuracy with its peak at λ = 0.05."""
    return ended(trial, val__linear_top1=1 - 0.2 * abs(math.log10(trial.lambda_ / 0.05)))


def drain(planner: GridPlanner | SearchPlanner) -> list[TrialConfig]:
    trials = []
    while (trial := planner.next()) is not None:
        planner.tell(trial.key, peaked(trial))
        trials.append(trial)
    assert planner.exhausted
    return trials


def test_the_grid_is_handed_out_once_without_what_is_finished() -> None:
    grid = STUDY.grid()
    finished = {trial.key: peaked(trial) for trial in grid[:5]}
    planner = GridPlanner(STUDY, finished, started=[])
    assert planner.total == len(grid)
    assert [trial.key for trial in drain(planner)] == [trial.key for trial in grid[5:]]


def test_a_finished_trial_that_is_not_complete_is_handed_out_again_and_told_once() -> None:
    started = {trial.key: trial for trial in drain(SearchPlanner(TPE, {}, {}))}
    finished = {key: peaked(trial) for key, trial in started.items()}
    lacking = list(started)[7]
    planner = SearchPlanner(TPE, finished, started, complete=finished.keys() - {lacking})
    assert [trial.key for trial in drain(planner)] == [lacking]
    assert GridPlanner(STUDY, [trial.key for trial in STUDY.grid()[1:]], started=[]).next() == STUDY.grid()[0]


def test_trials_under_way_come_first() -> None:
    grid = STUDY.grid()
    assert GridPlanner(STUDY, {}, started=[grid[9].key]).next() == grid[9]


def test_tpe_spends_its_budget_in_every_cell_at_every_seed_and_finds_the_peak() -> None:
    trials = drain(SearchPlanner(TPE, {}, {}))
    cells = {trial.cell for trial in trials}
    assert cells == set(TPE.cells())
    for cell in cells:
        mine = [trial for trial in trials if trial.cell == cell]
        assert len(mine) == len({trial.key for trial in mine}) == 12 * 2
        assert all(0.001 <= trial.lambda_ <= 0.5 for trial in mine)
        lambdas = [trial.lambda_ for trial in mine]
        best = min(lambdas, key=lambda value: abs(math.log10(value / 0.05)))
        assert abs(math.log10(best / 0.05)) < 0.35


def test_tpe_looks_closer_where_it_was_good() -> None:
    trials = drain(SearchPlanner(replace(TPE, trials=40, seeds=(0,)), {}, {}))
    for cell in TPE.cells():
        distance = [abs(math.log10(trial.lambda_ / 0.05)) for trial in trials if trial.cell == cell]
        # The first ten proposals are random.
        assert sum(distance[20:]) / 20 < sum(distance[:10]) / 10


def test_tpe_goes_on_where_the_ledger_stands() -> None:
    first = SearchPlanner(TPE, {}, {})
    begun = [trial for _ in range(11) if (trial := first.next()) is not None]
    finished = {trial.key: peaked(trial) for trial in begun[:8]}
    resumed = SearchPlanner(TPE, finished, {trial.key: trial for trial in begun})
    rest = drain(resumed)
    # Eleven trials are six proposals of two seeds: three were cut off and one was never begun.
    assert {trial.key for trial in begun[8:]} <= {trial.key for trial in rest}
    assert not {trial.key for trial in begun[:8]} & {trial.key for trial in rest}
    assert len(rest) + 8 == resumed.total == 4 * 12 * 2


def test_tpe_proposes_the_same_whether_it_was_interrupted_or_not() -> None:
    config = replace(TPE, trials=8)
    undisturbed = drain(SearchPlanner(config, {}, {}))
    begun = undisturbed[:8]
    known = {trial.key: peaked(trial) for trial in begun}
    resumed = SearchPlanner(config, known, {trial.key: trial for trial in begun})
    assert [trial.key for trial in drain(resumed)] == [trial.key for trial in undisturbed[8:]]


def test_tpe_with_several_optimisers_tries_them() -> None:
    config = replace(TPE, optimisers={name: ((1e-3, 0.0), (2e-3, 0.0)) for name in TPE.architectures}, seeds=(0,))
    assert {trial.learning_rate for trial in drain(SearchPlanner(config, {}, {}))} == {1e-3, 2e-3}


def test_optuna_hears_of_every_ending_and_never_of_a_nan() -> None:
    planner = SearchPlanner(replace(TPE, trials=4, seeds=(0,)), {}, {})
    endings = [
        lambda t: ended(t, "diverged", floor__chance=0.1, val__linear_top1=None),
        lambda t: ended(t, "oom"),
        lambda t: ended(t, "ok", val__linear_top1=float("nan")),
        lambda t: ended(t, "collapsed", val__linear_top1=0.4),
    ]
    cell = next(iter(TPE.cells()))
    study = planner._cells[cell].study
    while (trial := planner.next()) is not None:
        known = len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL]))
        planner.tell(trial.key, endings[known % 4](trial))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert [trial.value for trial in study.trials] == [0.1, None, None, 0.4]


def test_a_stopped_trial_is_told_as_pruned_with_where_it_stood_and_never_as_complete() -> None:
    planner = SearchPlanner(replace(TPE, trials=3), {}, {})
    cell = next(iter(TPE.cells()))
    first, second = planner.next(), planner.next()
    assert first is not None and second is not None
    assert first.cell == second.cell == cell
    planner.tell(first.key, peaked(first))
    planner.tell(second.key, ended(second, "stopped", rung__epoch=4, rung__score=0.25))
    told = planner._cells[cell].study.trials[0]
    assert (told.state.name, told.intermediate_values) == ("PRUNED", {4: 0.25})


def test_a_trial_stopped_for_its_collapse_is_pruned_without_a_value() -> None:
    planner = SearchPlanner(replace(TPE, trials=3, seeds=(0,)), {}, {})
    trial = planner.next()
    assert trial is not None
    planner.tell(trial.key, ended(trial, "stopped"))
    told = planner._cells[trial.cell].study.trials[0]
    assert (told.state.name, told.intermediate_values) == ("PRUNED", {})


def test_qmc_tries_one_lambda_in_each_eighth_of_the_range_the_same_in_every_cell() -> None:
    trials = drain(SearchPlanner(QMC, {}, {}))
    low, high = QMC.lambdas
    for cell in QMC.cells():
        tried = [trial.lambda_ for trial in trials if trial.cell == cell]
        parts = [int(8 * math.log(value / low) / math.log(high / low)) for value in tried]
        assert sorted(parts) == list(range(8))
    assert len({trial.lambda_ for trial in trials}) == 8


def test_the_next_point_of_qmc_depends_on_nothing_but_how_many_there_were() -> None:
    whole = drain(SearchPlanner(QMC, {}, {}))
    begun = whole[:11]
    failed = {trial.key: ended(trial, "oom") for trial in begun}
    rest = drain(SearchPlanner(QMC, failed, {trial.key: trial for trial in begun}))
    assert {trial.key for trial in rest} == {trial.key for trial in whole[11:]}


def test_more_seeds_leave_the_points_of_qmc_where_they_were() -> None:
    one, two = (drain(SearchPlanner(replace(QMC, seeds=seeds), {}, {})) for seeds in ((0,), (0, 1)))
    assert {trial.key for trial in one} < {trial.key for trial in two}


def test_qmc_with_several_optimisers_tries_each_as_often() -> None:
    config = replace(QMC, optimisers={name: ((1e-3, 0.0), (2e-3, 0.0)) for name in QMC.architectures})
    rates = Counter(trial.learning_rate for trial in drain(SearchPlanner(config, {}, {})))
    assert rates == {1e-3: 4 * 4, 2e-3: 4 * 4}


def test_qmc_needs_no_labels_and_tpe_does() -> None:
    assert replace(QMC, labelled=False).search == "qmc"
    with pytest.raises(SettingError, match=r"--search tpe needs accuracies .* use qmc or grid"):
        replace(TPE, labelled=False)


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"outcome": "ok", "metrics": {"val/linear_top1": 0.5}}, 0.5),
        ({"outcome": "diverged", "metrics": {"floor/chance": 0.1}}, 0.1),
        ({"outcome": "error", "metrics": {}}, None),
        ({"outcome": "stopped", "metrics": {"rung/score": 0.9}}, None),
        ({"outcome": "ok", "metrics": {"val/linear_top1": None}}, None),
    ],
)
def test_objective(result: Flat, value: float | None) -> None:
    assert objective(result) == value
