"""Searches: in each cell λ is proposed one after the other, by Optuna's TPE or from a Sobol sequence."""

import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lejepa_platform.config import Flat, StudyConfig, TrialConfig
from lejepa_platform.planners import Results
from lejepa_platform.proposing import Cell, Halted


@dataclass(slots=True)
class _Proposal:
    """One λ (and optimiser) of a cell, trained at every seed."""

    trial: Any
    cell: Cell
    waiting: set[str]
    values: list[float] = field(default_factory=list)
    halted: list[Halted] = field(default_factory=list)


class SearchPlanner:
    """A search per cell; cells take turns, and Optuna is told the mean over seeds of the validation accuracy."""

    def __init__(
        self,
        config: StudyConfig,
        finished: Results,
        started: Mapping[str, TrialConfig],
        complete: Collection[str] | None = None,
    ) -> None:
        """Rebuild each cell's Optuna study from the trials that the ledger holds.

        Args:
            config: The study.
            finished: What ended, and is told to Optuna.
            started: Every trial that was ever started, in the order of its start.
            complete: Those that nothing is left to do for; None = all that are finished.
        """
        self._config = config
        self._cells = {cell: Cell(config, *cell) for cell in config.cells()}
        self._queue: deque[TrialConfig] = deque()
        self._proposals: list[_Proposal] = []
        self._replay(finished, started, finished.keys() if complete is None else complete)

    def next(self) -> TrialConfig | None:
        """The next trial: of a proposal under way, or of a new one in the cell with the most left to try."""
        if not self._queue:
            cell = max(self._cells.values(), key=self._left)
            if self._left(cell) <= 0:
                return None
            self._propose(cell, *cell.propose())
        return self._queue.popleft()

    def tell(self, key: str, result: Flat) -> None:
        """Pass on how a proposal ended once all its seeds have."""
        for proposal in self._proposals:
            if key in proposal.waiting:
                proposal.waiting.remove(key)
                if result["outcome"] == "stopped":
                    proposal.halted.append(halted(result))
                elif (value := objective(result)) is not None:
                    proposal.values.append(value)
                if not proposal.waiting:
                    self._finish(proposal)
                return

    @property
    def total(self) -> int:
        """Trials of the whole study, finished ones included; a merged one may hold more than a cell may try."""
        proposals = sum(max(self._config.trials, cell.asked) for cell in self._cells.values())
        return proposals * len(self._config.seeds)

    @property
    def exhausted(self) -> bool:
        """Whether every cell has spent its budget."""
        return not self._queue and all(self._left(cell) <= 0 for cell in self._cells.values())

    def _left(self, cell: Cell) -> int:
        return self._config.trials - cell.asked

    def _propose(self, cell: Cell, trial: Any, trials: list[TrialConfig]) -> None:
        self._proposals.append(_Proposal(trial, cell, {trial.key for trial in trials}))
        self._queue.extend(trials)

    def _finish(self, proposal: _Proposal) -> None:
        self._proposals.remove(proposal)
        proposal.cell.tell(proposal.trial, proposal.values, _together(proposal.halted))

    def _replay(self, finished: Results, started: Mapping[str, TrialConfig], complete: Collection[str]) -> None:
        """Ask again for each (λ, optimiser) that was started, then tell what is known of it."""
        seen: set[tuple[Any, ...]] = set()
        for trial in started.values():
            cell = self._cells.get(trial.cell)
            optimiser = (trial.learning_rate, trial.weight_decay)
            identity = (trial.cell, trial.lambda_, optimiser)
            if cell is None or identity in seen or optimiser not in cell.optimisers:
                continue
            seen.add(identity)
            self._propose(cell, *cell.repeat(trial))
        self._queue = deque(trial for trial in self._queue if trial.key not in complete)
        for key, result in finished.items():
            self.tell(key, result)


def objective(result: Flat) -> float | None:
    """What a search maximises: validation accuracy; chance for a diverged trial, None where nothing is known."""
    metrics = result["metrics"]
    name = "floor/chance" if result["outcome"] == "diverged" else "val/linear_top1"
    value = metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


def halted(result: Flat) -> Halted:
    """Where a stopped trial was stopped; by its rung, or of a trial that had collapsed nothing is known."""
    metrics = result["metrics"]
    return Halted(epoch=int(metrics.get("rung/epoch") or 0), score=metrics.get("rung/score"))


def _together(halted: list[Halted]) -> Halted | None:
    """The mean score at the earliest rung where seeds of a proposal were stopped."""
    if not halted:
        return None
    known = [each for each in halted if each.score is not None]
    if not known:
        return Halted(epoch=0, score=None)
    epoch = min(each.epoch for each in known)
    scores = [each.score for each in known if each.epoch == epoch and each.score is not None]
    return Halted(epoch=epoch, score=sum(scores) / len(scores))
