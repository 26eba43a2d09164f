"""Which trials a study runs, and in what order: the grid, or Optuna's TPE per cell, behind one Tune searcher.

Both take what is already finished from the ledger, so nothing of Tune's or Optuna's own state is ever relied on.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import optuna
from ray.tune.search import Searcher

from lejepa_core.random import derive_seed
from lejepa_platform.budget import Budget
from lejepa_platform.config import Flat, StudyConfig, TrialConfig
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.protocols import wanted_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

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


@dataclass(slots=True)
class _Proposal:
    """One λ (and optimiser) that a cell's Optuna study asked for, trained at every seed."""

    trial: optuna.trial.Trial
    cell: "_Cell"
    waiting: set[str]
    values: list[float | None] = field(default_factory=list)


class _Cell:
    """One Optuna study: log-uniform λ between the ends of the grid, and the optimisers that were named."""

    def __init__(self, config: StudyConfig, architecture: str, dataset: str) -> None:
        self.config, self.architecture, self.dataset = config, architecture, dataset
        self.study = optuna.create_study(direction="maximize")
        low, high = min(config.lambdas), max(config.lambdas)
        self.space: dict[str, optuna.distributions.BaseDistribution] = {
            "lambda": optuna.distributions.FloatDistribution(low, high, log=True)
        }
        self.optimisers = config.optimisers[architecture]
        if len(self.optimisers) > 1:
            choices = tuple(range(len(self.optimisers)))
            self.space["optimiser"] = optuna.distributions.CategoricalDistribution(choices)

    def ask(self) -> optuna.trial.Trial:
        """The next proposal; it depends on what the study holds, and not on who asked for that and when."""
        self.study.sampler = self._sampler(len(self.study.trials))
        return self.study.ask(self.space)

    def _sampler(self, asked: int) -> optuna.samplers.TPESampler:
        fingerprint = self.config.fingerprints[self.dataset]
        seed = derive_seed("tpe", self.architecture, fingerprint, *self.config.seeds, asked) % 2**32
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def trials(self, params: Mapping[str, Any]) -> list[TrialConfig]:
        """The trials of one proposal, one per seed."""
        # Six digits of λ are plenty, and keep the key readable.
        lambda_ = float(f"{params['lambda']:.6g}")
        optimiser = self.optimisers[params.get("optimiser", 0)]
        return [
            self.config.trial(self.architecture, self.dataset, lambda_=lambda_, optimiser=optimiser, seed=seed)
            for seed in self.config.seeds
        ]


class TpePlanner:
    """A TPE per cell; cells take turns, and Optuna is told the mean over seeds of the validation accuracy."""

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
        self._cells = {cell: _Cell(config, *cell) for cell in config.cells()}
        self._budget = dict.fromkeys(self._cells, config.trials)
        self._queue: deque[TrialConfig] = deque()
        self._proposals: list[_Proposal] = []
        self.total = len(self._cells) * config.trials * len(config.seeds)
        self._replay(finished, started, finished.keys() if complete is None else complete)

    def next(self) -> TrialConfig | None:
        """The next trial: of a proposal under way, or of a new one in the cell with the most left to try."""
        if not self._queue:
            cell = max(self._budget, key=lambda name: self._budget[name])
            if self._budget[cell] <= 0:
                return None
            self._propose(self._cells[cell], self._cells[cell].ask())
        return self._queue.popleft()

    def tell(self, key: str, result: Flat) -> None:
        """Pass a proposal's value on to Optuna once all its seeds have ended."""
        for proposal in self._proposals:
            if key in proposal.waiting:
                proposal.waiting.remove(key)
                proposal.values.append(objective(result))
                if not proposal.waiting:
                    self._finish(proposal)
                return

    @property
    def exhausted(self) -> bool:
        """Whether every cell has spent its budget."""
        return not self._queue and all(left <= 0 for left in self._budget.values())

    def _propose(self, cell: _Cell, optuna_trial: optuna.trial.Trial) -> None:
        trials = cell.trials(optuna_trial.params)
        self._proposals.append(_Proposal(optuna_trial, cell, {trial.key for trial in trials}))
        self._queue.extend(trials)
        self._budget[cell.architecture, cell.dataset] -= 1

    def _finish(self, proposal: _Proposal) -> None:
        self._proposals.remove(proposal)
        known = [value for value in proposal.values if value is not None]
        if known:
            proposal.cell.study.tell(proposal.trial, sum(known) / len(known))
        else:
            proposal.cell.study.tell(proposal.trial, state=optuna.trial.TrialState.FAIL)

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
            params: dict[str, Any] = {"lambda": trial.lambda_}
            if "optimiser" in cell.space:
                params["optimiser"] = cell.optimisers.index(optimiser)
            cell.study.enqueue_trial(params)
            self._propose(cell, cell.ask())
        self._queue = deque(trial for trial in self._queue if trial.key not in complete)
        for key, result in finished.items():
            self.tell(key, result)


def objective(result: Flat) -> float | None:
    """What a search maximises: validation accuracy; chance for a diverged trial, None where nothing is known."""
    metrics = result["metrics"]
    name = "floor/chance" if result["outcome"] == "diverged" else "val/linear_top1"
    value = metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


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
    return TpePlanner(config, finished, {key: trial for key, (_, trial) in ordered}, complete)


class StudySearcher(Searcher):  # type: ignore[misc,unused-ignore]
    """Hands a planner's trials to Ray Tune, and Tune's endings back."""

    def __init__(
        self,
        planner: Planner,
        begin: Callable[[TrialConfig], str],
        ended: Callable[[str, bool], Flat],
        budget: Budget,
    ) -> None:
        """Wire a planner to the ledger.

        Args:
            planner: What to train.
            begin: Starts an attempt in the ledger; returns the task as JSON.
            ended: Takes (trial key, whether Ray lost it) and returns the result that the ledger holds then.
            budget: What would end after it is not begun, nor anything behind it.
        """
        super().__init__()
        self._planner, self._begin, self._ended, self._budget = planner, begin, ended, budget
        self._running: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None to be asked again later, or FINISHED."""
        finished: str = Searcher.FINISHED
        if self._budget.exhausted:
            return finished
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
