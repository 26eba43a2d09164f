"""What a study measured, row by row, in the units and under the names of published numbers. Pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboards.results import PENDING, Results
from dashboards.statistics.scores import (
    CELL,
    MEASURED,
    Interval,
    at_best_settings,
    choose,
    column,
    rank_agreement,
    score,
    t_interval,
)
from dashboards.variants import variant_rows
from lejepa_platform.config import Variant
from lejepa_platform.ledger import transfer_prefix
from sweeps.paper.item import EVERY, LINEAR
from sweeps.paper.items.figure11 import BEST, PLAIN

Place = tuple[str, str, float]
"""Architecture, data set, λ."""
ALPHAS: Final = tuple(round(0.05 * k, 2) for k in range(-20, 41))
"""Exponents of λ that the best one is looked for among."""
OTHERS: Final = f"transfer/{EVERY}/"
"""How the name of a metric begins that is a mean over other data sets."""


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
    """Of the 95 % interval; None where there are too few seeds for one, or one diverged."""
    high: float | None
    n: int
    """Seeds, trials that a correlation pools, or passes of a benchmark."""
    chosen: bool
    """Whether this λ is the one that validation chose in its cell."""
    not_ok: int
    """Trials of this row that ended without a number, or collapsed or diverged."""
    sd: float | None = None
    """Of the single values, where these are passes of a benchmark, which has no interval."""


def place_name(variant: str, architecture: str, dataset: str, lambda_: float | None) -> str:
    """What a number is of, in words."""
    dial = "" if lambda_ is None else f"λ {lambda_:g}"
    return " · ".join(part for part in (variant, architecture, dataset, dial) if part)


def variants_of(results: Results) -> dict[str, Variant]:
    """The variants that a study has, by name: not always those of its item, since a study may be extended."""
    flats: Mapping[str, Any] = results.config.get("variants") or {}
    return {name: Variant.from_flat(flat) for name, flat in flats.items()}


def measured_rows(results: Results, metrics: Sequence[str], targets: Sequence[str] = ()) -> list[Row]:
    """Means over seeds, a row per variant, cell and λ, of several learning rates the best one on validation.

    The linear probe's have the intervals of the study's report.

    Args:
        results: The study.
        metrics: Names as published rows have them.
        targets: Other data sets whose mean `EVERY` stands for. Where one of them is missing, so is the mean.
    """
    wanted = dict.fromkeys([LINEAR, *metrics])
    reported = _reported(results)
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
                means = reported[variant] if metric == LINEAR else _means(points, _values(points, metric, targets))
                rows += _rows(points, variant, metric, means, chosen)
    return rows


def without_number(results: Results) -> list[str]:
    """Where trials have ended and none of them has an accuracy, in words, with how they ended."""
    lost = []
    for row in variant_rows(results):
        ended = {outcome: n for outcome, n in sorted(row["outcomes"].items()) if outcome != PENDING}
        if row["test"] is None and ended:
            name = place_name(row["variant"], row["architecture"], row["dataset"], row["lambda"])
            lost.append(f"{name}: {', '.join(f'{n} {outcome}' for outcome, n in ended.items())}")
    return lost


def _reported(results: Results) -> dict[str, dict[Place, Interval]]:
    """Variant -> the means of the linear probe, as the report has them."""
    found: dict[str, dict[Place, Interval]] = {variant: {} for variant in results.variants}
    for row in variant_rows(results):
        if row["test"] is not None:
            place = (row["architecture"], row["dataset"], row["lambda"])
            found[row["variant"]][place] = Interval(mean=row["test"], low=row["low"], high=row["high"], n=row["n"])
    return found


def _means(points: pd.DataFrame, values: pd.Series) -> dict[Place, Interval]:
    """Of those seeds that have a value, with Student's interval unless one diverged, which has none."""
    found = {}
    for place, group in _places(points):
        there = [float(value) for value in values[group.index].dropna()]
        if there:
            whole = t_interval(there)
            diverged = bool((group["outcome"] == "diverged").any())
            found[place] = replace(whole, low=None, high=None) if diverged else whole
    return found


def _places(points: pd.DataFrame) -> Iterator[tuple[Place, pd.DataFrame]]:
    for (architecture, dataset, _), group in points.groupby([*CELL, "lambda"]):
        yield (str(architecture), str(dataset), float(group["lambda"].iloc[0])), group


def _rows(
    points: pd.DataFrame, variant: str, metric: str, means: Mapping[Place, Interval], chosen: set[Place]
) -> Iterator[Row]:
    for place, group in _places(points):
        if place not in means:
            continue
        found, (architecture, dataset, lam) = means[place], place
        yield Row(
            variant=variant,
            architecture=architecture,
            dataset=dataset,
            lambda_=lam,
            metric=metric,
            mean=100 * found.mean,
            low=None if found.low is None else 100 * found.low,
            high=None if found.high is None else 100 * found.high,
            n=found.n,
            chosen=place in chosen,
            not_ok=int((~group["outcome"].isin(["ok", PENDING])).sum()),
        )


def _values(points: pd.DataFrame, metric: str, targets: Sequence[str]) -> pd.Series:
    if EVERY not in metric:
        return column(points, metric).where(points["outcome"].isin(MEASURED))
    named = {target: column(points, metric.replace(OTHERS, transfer_prefix(target))) for target in targets}
    # No encoder is evaluated as a transfer to what it was pretrained on.
    own = pd.DataFrame({target: points["dataset"] == target for target in named}, index=points.index)
    held = pd.DataFrame(named, index=points.index)
    whole = (held.notna() | own).all(axis=1) & points["outcome"].isin(MEASURED)
    return held.mask(own).mean(axis=1).where(whole) if named else pd.Series(np.nan, index=points.index)


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
                not_ok=int((~cell["outcome"].isin(["ok", PENDING])).sum()),
            )
