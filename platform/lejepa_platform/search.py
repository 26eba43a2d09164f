"""Tune's searcher: hands it the trials of a study's planner, which takes what is already finished from the ledger.

So nothing of Tune's or Optuna's own state is ever relied on.
"""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from lejepa_platform.budget import Budget
from lejepa_platform.config import Flat, StudyConfig, TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.planners import GridPlanner, Planner
from lejepa_platform.protocols import wanted_of
from lejepa_platform.searching import SearchPlanner


def make_planner(config: StudyConfig, study: StudyLedger) -> Planner:
    """The planner of a study, knowing what its ledger holds."""
    wanted = wanted_of(config)
    finished: dict[str, Flat] = {}
    complete: set[str] = set()
    started: dict[str, tuple[int, TrialConfig]] = {}
    for ledger in study.trials():
        result, stored = ledger.result(), ledger.config()
        if result is not None:
            finished[ledger.key] = result
            if ledger.complete(wanted):
                complete.add(ledger.key)
        if stored is not None:
            started[ledger.key] = stored["created"], TrialConfig.from_flat(stored["config"])
    if config.search == "grid":
        return GridPlanner(config, complete, started)
    ordered = sorted(started.items(), key=lambda item: item[1][0])
    return SearchPlanner(config, finished, {key: trial for key, (_, trial) in ordered}, complete)


class StudySearcher(Searcher):  # type: ignore[misc,unused-ignore]
    """Hands a planner's trials to Ray Tune, and Tune's endings back."""

    def __init__(
        self,
        planner: Planner,
        begin: Callable[[TrialConfig], str],
        ended: Callable[[str, bool], Flat],
        budget: Budget,
        room: Callable[[], int],
    ) -> None:
        """Wire a planner to the ledger.

        Args:
            planner: What to train.
            begin: Starts an attempt in the ledger; returns the task as JSON.
            ended: Takes (trial key, whether Ray lost it) and returns the result that the ledger holds then.
            budget: What would end after it is not begun, nor anything behind it.
            room: How many trials may run at once, now. Tune's own limit stays what it was at the start.
        """
        super().__init__()
        self._room = room
        self._planner, self._begin, self._ended, self._budget = planner, begin, ended, budget
        self._running: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None to be asked again later, or FINISHED."""
        finished: str = Searcher.FINISHED
        if self._budget.exhausted:
            return finished
        if len(self._running) >= self._room():
            return finished if self._planner.exhausted else None
        trial = self._planner.next()
        if trial is None:
            return finished if self._planner.exhausted else None
        if not self._budget.allows(trial):
            return finished
        self._running[trial_id] = trial.key
        self._budget.began(trial)
        return {"task": self._begin(trial)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Pass an ending on."""
        key = self._running.pop(trial_id)
        self._budget.ended(key)
        self._planner.tell(key, self._ended(key, error or result is None))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the truth."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing either: Tune pickles its searcher, and the ledger is the truth."""
        return {}
