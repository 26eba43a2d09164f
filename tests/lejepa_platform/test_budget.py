"""What would end after the time that a study has is not begun."""

import time

import pytest
from toys import STUDY

from lejepa_platform.budget import Budget

FIRST, OTHER = STUDY.grid()[0], next(trial for trial in STUDY.grid() if trial.cell != STUDY.grid()[0].cell)


def take(budget: Budget, seconds: float) -> None:
    budget.began(FIRST)
    time.sleep(seconds)
    budget.ended(FIRST.key)


def test_without_a_limit_everything_may_begin() -> None:
    budget = Budget(None)
    take(budget, 0.01)
    assert budget.allows(FIRST)
    assert not budget.exhausted


def test_a_trial_that_took_longer_than_what_is_left_is_not_begun_again() -> None:
    budget = Budget(0.25)
    assert budget.allows(FIRST)
    take(budget, 0.15)
    assert not budget.allows(FIRST)
    assert budget.exhausted


@pytest.mark.parametrize(("seconds", "allowed"), [(0.25, False), (60.0, True)])
def test_a_cell_that_was_never_run_is_expected_to_take_as_long_as_another(seconds: float, allowed: bool) -> None:
    budget = Budget(seconds)
    take(budget, 0.15)
    assert budget.allows(OTHER) is allowed


def test_once_refused_nothing_begins_any_more() -> None:
    budget = Budget(0.0)
    assert not budget.allows(FIRST)
    assert not budget.allows(OTHER)
