"""Which settings mattered in a search: PED-ANOVA (Watanabe et al., IJCAI 2023, arXiv 2304.10255), by Optuna.

An analysis of variance needs a design; a search tries more where it is good. PED-ANOVA asks instead how the
settings of the best trials differ from those of all that were tried, in the same study, one setting at a time.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from dashboards.statistics.blocks import joined
from dashboards.statistics.scores import CELL, SETTINGS

Floats = npt.NDArray[np.float64]

optuna.logging.set_verbosity(optuna.logging.WARNING)

NAMES: Final = ("lambda", *SETTINGS)
MIN_TRIALS: Final = 20
MIN_BEST: Final = 5
"""Optuna's advice: fewer trials among the best do not tell where they lie."""
BEST: Final = 0.1
PERMUTATIONS: Final = 99
CELL_PERMUTATIONS: Final = 19
"""Of one cell; a study may have hundreds of them, and one permutation takes 10 ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """One setting."""

    name: str
    """`lambda`, `learning_rate` or `weight_decay`."""
    share: float
    """Of all settings together 1."""
    divergence: float
    """Pearson's divergence between where the best and where all trials are; 0 if the setting does not matter."""
    chance: float
    """The divergence with values permuted among the trials of each cell, on average."""
    p: float
    """Share of permutations (the real order included) with a divergence at least as large."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Importances:
    """The settings of one cell, or of all cells together."""

    architecture: str | None
    """None: all cells, each value replaced by its rank within its cell."""
    dataset: str | None
    settings: tuple[Importance, ...]
    """Largest share first; empty where `note` says why."""
    best: int
    """Trials that count as the best."""
    n: int
    """Settings tried, each the mean over its seeds."""
    note: str


def importances(points: pd.DataFrame) -> tuple[Importances, ...]:
    """Importance of λ, learning rate and weight decay for validation accuracy: each cell, then all together.

    Best are the top 10 %, or as many more as make `MIN_BEST`. Settings with one value only are left out and named.

    Args:
        points: Rows of `score`, of a search or of a grid that crosses λ with other settings.
    """
    tried = points.groupby([*CELL, *NAMES], dropna=False)["val"].mean().dropna().reset_index()
    found = []
    for (architecture, dataset), cell in tried.groupby(CELL):
        found.append(_importances(cell, CELL_PERMUTATIONS, str(architecture), str(dataset)))
    if len(found) > 1:
        ranks = tried.groupby(CELL)["val"].rank(pct=True)
        found.append(_importances(tried.assign(val=ranks), PERMUTATIONS, None, None))
    return tuple(found)


def _importances(tried: pd.DataFrame, permutations: int, architecture: str | None, dataset: str | None) -> Importances:
    varied = [name for name in NAMES if tried[name].nunique() > 1 and tried[name].notna().all()]
    constant = [f"one {name.replace('_', ' ')}" for name in NAMES if name not in varied]
    best = max(MIN_BEST, int(np.ceil(BEST * len(tried))))
    few = ""
    if len(tried) < MIN_TRIALS:
        few = f"too few: {len(tried)} trials, wanted at least {MIN_TRIALS}"
    elif tried["val"].nunique() == 1:
        few = "all values are alike"
    return Importances(
        architecture=architecture,
        dataset=dataset,
        settings=() if few or not varied else _settings(tried, varied, best / len(tried), permutations),
        best=best,
        n=len(tried),
        note=joined(few, *constant),
    )


def _settings(tried: pd.DataFrame, varied: list[str], quantile: float, permutations: int) -> tuple[Importance, ...]:
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(group) for group in _memberships(tried)]
    values = tried["val"].to_numpy(dtype=float)
    study = _study(tried, varied)
    real = _divergences(study, values, quantile)
    permuted = []
    for _ in range(permutations):
        shuffled = values.copy()
        for place in places:
            shuffled[place] = rng.permutation(values[place])
        permuted.append(_divergences(study, shuffled, quantile))
    total = sum(real.values())
    found = [
        Importance(
            name=name,
            share=real[name] / total if total > 0 else 1 / len(varied),
            divergence=real[name],
            chance=float(np.mean([one[name] for one in permuted])),
            p=(1 + sum(one[name] >= real[name] for one in permuted)) / (1 + permutations),
        )
        for name in varied
    ]
    return tuple(sorted(found, key=lambda one: -one.share))


def _memberships(tried: pd.DataFrame) -> list[pd.Series]:
    number = tried.groupby(CELL).ngroup()
    return [number == cell for cell in number.unique()]


def _study(tried: pd.DataFrame, varied: list[str]) -> optuna.Study:
    study = optuna.create_study(direction="minimize")
    space: dict[str, optuna.distributions.BaseDistribution] = {name: _distribution(tried[name]) for name in varied}
    study.add_trials(
        optuna.trial.create_trial(params=dict(zip(varied, row, strict=True)), distributions=space, value=0.0)
        for row in tried[varied].to_numpy(dtype=float)
    )
    return study


def _distribution(values: pd.Series) -> optuna.distributions.FloatDistribution:
    low, high = float(values.min()), float(values.max())
    return optuna.distributions.FloatDistribution(low, high, log=low > 0)


def _divergences(study: optuna.Study, values: Floats, quantile: float) -> Mapping[str, float]:
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        # That a target is minimised, which the sign sees to, and that `normalize` is new.
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            study, evaluator=evaluator, target=lambda trial: -float(values[trial.number]), normalize=False
        )
