"""One number for many cells: interquartile mean, Agarwal et al., NeurIPS 2021 (arXiv 2108.13264).

Strata are cells (architecture, data set), the runs of a stratum are seeds. Cells are taken as given: what is
uncertain here is the luck of seeds, not which architectures and data sets were looked at.
"""
# C cells, T thresholds

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from dashboards.statistics.blocks import complete, joined, left_out, means
from dashboards.statistics.scores import CELL, CONFIDENCE

Floats = npt.NDArray[np.float64]

RESAMPLES: Final = 1000
MOST_ERRORS: Final = 4.0
"""An interval of more standard errors to each side says nothing: below 2.3 degrees of freedom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """The interquartile mean over the runs of many cells."""

    iqm: float | None
    """None when there are no runs."""
    low: float | None
    """None where `note` says why an interval would not be honest."""
    high: float | None
    cells: int
    runs: int
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LambdaAggregate:
    """The interquartile mean at one λ."""

    lam: float
    aggregate: Aggregate


def interquartile_mean(values: npt.ArrayLike) -> float:
    """The mean of what is left without the lowest and the highest quarter (rounded down) of all values."""
    return float(stats.trim_mean(np.ravel(np.asarray(values, dtype=float)), 0.25))


def aggregate_iqm(strata: Sequence[Floats], resamples: int = RESAMPLES, seed: int = 0) -> Aggregate:
    """Interquartile mean over runs and cells, with an interval from a stratified bootstrap over seeds.

    Seeds are drawn anew within each cell. A plain percentile interval of 2 seeds covers 77 % for a nominal
    95 %: drawing 2 of 2 shows half of their variance. So deviations from the cell's mean are first widened
    by √(n / (n - 1)), and the interval is iqm ± t(df)·(standard deviation of the resampled iqm), with
    the degrees of freedom of the cells that reach into the middle half. The interval is for what a study of
    the same shape in the same cells would find on average over new seeds. Simulated coverage of the nominal 95 %
    stands in the slow tests.

    Args:
        strata: The runs of each cell; finite.
        resamples: How often seeds are drawn.
        seed: Of the draws.
    """
    runs = [np.asarray(values, dtype=float) for values in strata if len(values)]
    total = sum(len(values) for values in runs)
    if not runs:
        return Aggregate(iqm=None, low=None, high=None, cells=0, runs=0, note="nothing measured")
    iqm = interquartile_mean(np.concatenate(runs))
    alone = sum(len(values) == 1 for values in runs)
    df = _degrees(runs)
    errors = float(stats.t.ppf((1 + CONFIDENCE) / 2, df))
    if alone or errors > MOST_ERRORS:
        few = f"{alone} of {len(runs)} cells have one seed" if alone else f"{df:.1f} degrees of freedom"
        return Aggregate(iqm=iqm, low=None, high=None, cells=len(runs), runs=total, note=f"too few: {few}")
    half = errors * float(_resampled(runs, resamples, seed).std(ddof=1))
    return Aggregate(iqm=iqm, low=iqm - half, high=iqm + half, cells=len(runs), runs=total, note="")


def _degrees(runs: Sequence[Floats]) -> float:
    """Satterthwaite's degrees of freedom of a sum over cells of one spread, weighted by their share inside."""
    values = np.concatenate(runs)
    cut = int(0.25 * len(values))
    inside = np.zeros(len(values))
    inside[np.argsort(values, kind="stable")[cut : len(values) - cut]] = 1
    weights_C = np.array([part.mean() for part in np.split(inside, np.cumsum([len(r) for r in runs])[:-1])])
    free_C = np.array([max(len(r) - 1, 1) for r in runs])
    return float((weights_C**2).sum() ** 2 / (weights_C**4 / free_C).sum())


def _resampled(runs: Sequence[Floats], resamples: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    drawn = []
    for values in runs:
        n = len(values)
        wide = values.mean() + (values - values.mean()) * np.sqrt(n / (n - 1))
        drawn.append(wide[rng.integers(n, size=(resamples, n))])
    resampled: Floats = stats.trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    return resampled


def iqm_by_lambda(points: pd.DataFrame, value: str = "test") -> tuple[LambdaAggregate, ...]:
    """The interquartile mean at each λ, over the same cells at all of them.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid. A λ that half of the cells lack is left
            out, then every cell that lacks a λ; the notes name both.
        value: The column to aggregate.
    """
    whole, lost = complete(means(points, value).pivot(index=CELL, columns="lambda", values=value))
    kept = points.dropna(subset=[value]).set_index(CELL)
    kept = kept[kept.index.isin(whole.index)]
    found = []
    for lam in whole.columns:
        here = kept[kept["lambda"] == lam]
        one = aggregate_iqm([part[value].to_numpy(dtype=float) for _, part in here.groupby(level=CELL)])
        chance = int((here["outcome"] == "diverged").sum())
        words = joined(one.note, left_out(lost), f"{chance} diverged runs count as chance" if chance else "")
        found.append(LambdaAggregate(lam=float(lam), aggregate=replace(one, note=words)))
    return tuple(found)
