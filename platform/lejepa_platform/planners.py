"""Which trials a study runs, and in what order, as far as no result decides: the grid, and what is to be measured."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from lejepa_platform.config import Flat, StudyConfig, TrialConfig
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.protocols import wanted_of

Results = Mapping[str, Flat]
"""Trial key -> contents of its result.json."""


class Planner(Protocol):
    """Decides what is trained next."""

    def next(self) -> TrialConfig | None:
        """The next trial; None if it depends on trials that are still running, or if there is none."""

    def tell(self, key: str, result: Flat) -> None:
        """A trial ended."""

    @property
    def total(self) -> int:
        """Trials of the whole study, finished ones included."""

    @property
    def exhausted(self) -> bool:
        """Whether no further trial will come, whatever the running ones give."""


class GridPlanner:
    """Every trial of the grid exactly once, those that were started first."""

    def __init__(self, config: StudyConfig, complete: Collection[str], started: Iterable[str]) -> None:
        """Plan what is not complete."""
        trials = config.grid()
        begun = set(started)
        pending = [trial for trial in trials if trial.key not in complete]
        self.total = len(trials)
        self._queue = deque(sorted(pending, key=lambda trial: trial.key not in begun))

    def next(self) -> TrialConfig | None:
        """The next trial of the grid."""
        return self._queue.popleft() if self._queue else None

    def tell(self, key: str, result: Flat) -> None:
        """A grid learns nothing."""

    @property
    def exhausted(self) -> bool:
        """Whether every trial was handed out."""
        return not self._queue


class LackingPlanner:
    """The trials that are trained and lack a measurement, and no others."""

    def __init__(self, config: StudyConfig, study: StudyLedger) -> None:
        """Find them."""
        wanted = wanted_of(config)
        trained = [ledger for ledger in study.trials() if ledger.finished()]
        self.total = len(trained)
        self._queue = deque(_config_of(ledger) for ledger in trained if not ledger.complete(wanted))

    def next(self) -> TrialConfig | None:
        """The next of them."""
        return self._queue.popleft() if self._queue else None

    def tell(self, key: str, result: Flat) -> None:
        """Nothing follows from what is measured."""

    @property
    def exhausted(self) -> bool:
        """Whether every one was handed out."""
        return not self._queue


def _config_of(ledger: TrialLedger) -> TrialConfig:
    result = ledger.result()
    assert result is not None
    return TrialConfig.from_flat(result["config"])
