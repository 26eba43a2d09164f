"""The only module that knows Optuna: which λ a cell tries next, and which trials are worth going on with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from scipy.stats import qmc

from lejepa_core.random import derive_seed
from lejepa_platform.config import StudyConfig, TrialConfig

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Halted:
    """Where trials of a proposal were stopped."""

    epoch: int
    score: float | None
    """The higher, the better; None where they were stopped for another reason than their score."""


class Cell:
    """One Optuna study: log-uniform λ between the ends of the grid, and the optimisers that were named."""

    def __init__(self, config: StudyConfig, architecture: str, dataset: str) -> None:
        """Begin with nothing tried."""
        self.config, self.architecture, self.dataset = config, architecture, dataset
        self.study = optuna.create_study(direction="maximize")
        self.asked = 0
        """Proposals so far."""
        low, high = min(config.lambdas), max(config.lambdas)
        self.space: dict[str, optuna.distributions.BaseDistribution] = {
            "lambda": optuna.distributions.FloatDistribution(low, high, log=True)
        }
        self.optimisers = config.optimisers[architecture]
        if len(self.optimisers) > 1:
            choices = tuple(range(len(self.optimisers)))
            self.space["optimiser"] = optuna.distributions.CategoricalDistribution(choices)

    def propose(self) -> tuple[optuna.trial.Trial, list[TrialConfig]]:
        """What to try next: Optuna's trial, and one of ours per seed."""
        if self.config.search == "qmc":
            self.study.enqueue_trial(self._point(self.asked))
        return self._ask()

    def repeat(self, trial: TrialConfig) -> tuple[optuna.trial.Trial, list[TrialConfig]]:
        """Propose what was begun before."""
        params: dict[str, Any] = {"lambda": trial.lambda_}
        if "optimiser" in self.space:
            params["optimiser"] = self.optimisers.index((trial.learning_rate, trial.weight_decay))
        self.study.enqueue_trial(params)
        return self._ask()

    def tell(self, trial: optuna.trial.Trial, values: Sequence[float], halted: Halted | None) -> None:
        """Say how a proposal ended.

        Args:
            trial: Of `propose` or `repeat`.
            values: What there is to maximise, for each seed where it is known.
            halted: Where its trials were stopped, if one was: the rest are then no fair mean of all seeds, and what a
                part of the epochs gave is no value. Optuna ranks such a proposal behind all that ended.
        """
        if halted is not None:
            if halted.score is not None:
                trial.report(halted.score, step=halted.epoch)
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif values:
            self.study.tell(trial, sum(values) / len(values))
        else:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _sampler(self) -> optuna.samplers.TPESampler:
        fingerprint = self.config.fingerprints[self.dataset]
        seed = derive_seed("tpe", self.architecture, fingerprint, *self.config.seeds, self.asked) % 2**32
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _ask(self) -> tuple[optuna.trial.Trial, list[TrialConfig]]:
        # A new one each time: what is proposed depends on what the study holds, and not on who asked for that and when.
        self.study.sampler = self._sampler()
        trial = self.study.ask(self.space)
        self.asked += 1
        # Six digits of λ are plenty, and keep the key readable.
        lambda_ = float(f"{trial.params['lambda']:.6g}")
        optimiser = self.optimisers[trial.params.get("optimiser", 0)]
        trials = [
            self.config.trial(self.architecture, self.dataset, lambda_=lambda_, optimiser=optimiser, seed=seed)
            for seed in self.config.seeds
        ]
        return trial, trials

    def _point(self, n: int) -> dict[str, Any]:
        """The n-th point of a scrambled Sobol sequence over the space, from 0: a function of n, and not of results.

        SciPy's own rather than Optuna's sampler around it, whose first point is random and which counts in the study
        how many it gave. The seed is the first of the study: all cells try the same λ, and more seeds change none.
        """
        engine = qmc.Sobol(len(self.space), rng=derive_seed("qmc", self.config.seeds[0]) % 2**32)
        if n:
            engine.fast_forward(n)
        low, high = min(self.config.lambdas), max(self.config.lambdas)
        first, *rest = engine.random(1)[0].tolist()
        point: dict[str, Any] = {"lambda": min(high, low * (high / low) ** first)}
        if rest:
            point["optimiser"] = int(rest[0] * len(self.optimisers))
        return point


def promoted(score: float, others: Sequence[float], *, epoch: int, reduction: int) -> bool:
    """Whether a trial passes a rung of asynchronous successive halving, by Optuna's rule.

    Args:
        score: Of the trial, the higher the better; finite.
        others: Those of the trials that came to this rung before.
        epoch: Of the rung.
        reduction: One of so many passes.

    Source:
        Li et al., A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934.
    """
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=epoch, reduction_factor=reduction)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    stopped = True
    for value in (*others, score):
        trial = study.ask()
        trial.report(value, step=epoch)
        stopped = trial.should_prune()
    return not stopped
