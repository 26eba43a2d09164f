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


class _Listed:
    """Trials that are known beforehand, one after the other; no result changes what follows."""

    def __init__(self, trials: Iterable[TrialConfig], total: int) -> None:
        """Hand out these trials of so many."""
        self.total = total
        self._queue = deque(trials)

    def next(self) -> TrialConfig | None:
        """The next of them."""
        return self._queue.popleft() if self._queue else None

    def tell(self, key: str, result: Flat) -> None:
        """Nothing follows from a result."""

    @property
    def exhausted(self) -> bool:
        """Whether every one was handed out."""
        return not self._queue


class GridPlanner(_Listed):
    """Every trial of the grid exactly once, those that were started first."""

    def __init__(self, config: StudyConfig, complete: Collection[str], started: Iterable[str]) -> None:
        """Plan what is not complete."""
        trials = config.grid()
        begun = set(started)
        pending = [trial for trial in trials if trial.key not in complete]
        super().__init__(sorted(pending, key=lambda trial: trial.key not in begun), len(trials))


class LackingPlanner(_Listed):
    """The trials that are trained and lack a measurement, and no others."""

    def __init__(self, config: StudyConfig, study: StudyLedger) -> None:
        """Find them."""
        wanted = wanted_of(config)
        trained = [ledger for ledger in study.trials() if ledger.finished()]
        super().__init__((_config_of(ledger) for ledger in trained if not ledger.complete(wanted)), len(trained))


def _config_of(ledger: TrialLedger) -> TrialConfig:
    result = ledger.result()
    assert result is not None
    return TrialConfig.from_flat(result["config"])
