"""What a study measured, row by row, in the units and under the names of published numbers. Pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboards.results import Results
from dashboards.statistics.scores import CELL, MEASURED, at_best_settings, choose, column, rank_agreement, score
from dashboards.statistics.scores import t_interval as interval
from sweeps.paper.item import EVERY, LINEAR
from sweeps.paper.items.figure11 import BEST, PLAIN

ALPHAS: Final = tuple(round(0.05 * k, 2) for k in range(-20, 41))
"""Exponents of λ that the best one is looked for among."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One mean."""

    variant: str
    architecture: str
    dataset: str
    lambda_: float | None
    """None for a number that pools over λ."""
    metric: str
    mean: float
    """Accuracies in percent, correlations as they are."""
    low: float | None
    """None where there are too few seeds for an interval."""
    high: float | None
    n: int
    """Seeds, or trials that a correlation pools."""
    chosen: bool
    """Whether this λ is the one that validation chose in its cell."""
    failed: int
    """Trials of this row without a result, or that collapsed or diverged."""


def measured_rows(results: Results, metrics: Sequence[str]) -> list[Row]:
    """Means over seeds, a row per variant, cell and λ, of several learning rates the best one on validation.

    Args:
        results: The study.
        metrics: Names as published rows have them.
    """
    wanted = dict.fromkeys([LINEAR, *metrics])
    rows: list[Row] = []
    for variant in results.variants:
        scored = score(results.only(variant).trials)
        points = at_best_settings(scored)
        chosen = {
            (str(a), str(d), float(lam)) for a, d, lam in choose(points)[[*CELL, "lambda"]].itertuples(index=False)
        }
        for metric in wanted:
            if metric in (PLAIN, BEST):
                rows += _correlations(scored, variant, metric)
            else:
                rows += _means(points, variant, metric, chosen)
    return rows


def _means(points: pd.DataFrame, variant: str, metric: str, chosen: set[tuple[str, str, float]]) -> Iterator[Row]:
    values = _values(points, metric)
    for (architecture, dataset, _), group in points.groupby([*CELL, "lambda"]):
        lam = float(group["lambda"].iloc[0])
        there = values[group.index].dropna()
        if there.empty:
            continue
        found = interval([100 * float(value) for value in there])
        yield Row(
            variant=variant,
            architecture=str(architecture),
            dataset=str(dataset),
            lambda_=lam,
            metric=metric,
            mean=found.mean,
            low=found.low,
            high=found.high,
            n=found.n,
            chosen=(str(architecture), str(dataset), lam) in chosen,
            failed=int((group["outcome"] != "ok").sum()),
        )


def _values(points: pd.DataFrame, metric: str) -> pd.Series:
    if metric == LINEAR:
        return points["test"]
    if EVERY not in metric:
        return column(points, metric).where(points["outcome"].isin(MEASURED))
    before, after = metric.split(EVERY)
    names = [n for n in points.columns if n.startswith(before) and n.endswith(after) and "/" not in _middle(n, metric)]
    return points[names].mean(axis=1, skipna=False) if names else pd.Series(np.nan, index=points.index)


def _middle(name: str, metric: str) -> str:
    before, after = metric.split(EVERY)
    return name[len(before) : len(name) - len(after)]


def _correlations(scored: pd.DataFrame, variant: str, metric: str) -> Iterator[Row]:
    """-ρ of Spearman in each cell, over all of its trials; the best α is chosen on the same trials, as published."""
    for (architecture, dataset), cell in scored.dropna(subset=["loss", "test"]).groupby(CELL):
        alphas = (0.0,) if metric == PLAIN else ALPHAS
        each = [rank_agreement(cell["loss"] / cell["lambda"] ** alpha, cell["test"]) for alpha in alphas]
        found = [one.agreement for one in each if one.agreement is not None]
        if found:
            yield Row(
                variant=variant,
                architecture=str(architecture),
                dataset=str(dataset),
                lambda_=None,
                metric=metric,
                mean=max(found),
                low=None,
                high=None,
                n=len(cell),
                chosen=False,
                failed=int((cell["outcome"] != "ok").sum()),
            )
