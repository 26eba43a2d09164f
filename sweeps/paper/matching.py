"""Published rows and measured ones that stand for the same, and what the two have in common. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from sweeps.paper.item import EVERY, LINEAR, Published
from sweeps.paper.measured import Row
from sweeps.paper.scaling import Scaled

Floats = npt.NDArray[np.float64]
LEAST: Final = 4
"""Fewer pairs than this say nothing of an order."""
TESTED: Final = ("test/", f"transfer/{EVERY}/")
"""How the names of accuracies on test images begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A published number, and what stands for it here."""

    published: Published
    measured: Row | None


def matched(found: Scaled, rows: Sequence[Row]) -> list[Pair]:
    """Every published number of an item, each with what was measured in its place, if anything was.

    Args:
        found: Says who stands in for whom.
        rows: From `measured_rows`.
    """
    return [Pair(published=one, measured=_match(found, one, rows)) for one in found.item.published]


def _match(found: Scaled, one: Published, rows: Sequence[Row]) -> Row | None:
    if one.aside:
        return None
    alike = [row for row in rows if row.metric == one.metric and _stands_for(found, one, row)]
    if one.lambda_ is not None:
        return next(
            (row for row in alike if row.lambda_ and math.isclose(row.lambda_, one.lambda_, rel_tol=1e-6)), None
        )
    return next((row for row in alike if row.chosen), alike[0] if len(alike) == 1 else None)


def _stands_for(found: Scaled, one: Published, row: Row) -> bool:
    # A variant that a study was extended by stands for nobody; a benchmark's rows stand for themselves.
    variant = found.variants.get(row.variant) if found.variants else row.variant
    architecture = found.architectures.get(row.architecture, row.architecture)
    dataset = found.datasets.get(row.dataset, row.dataset)
    return (variant, architecture) == (one.variant, one.architecture) and one.dataset in (dataset, EVERY)


def unmatched(pairs: Sequence[Pair], rows: Sequence[Row]) -> list[Row]:
    """Measured rows that no published number is of, those of the linear probe alone."""
    used = [pair.measured for pair in pairs if pair.measured is not None]
    return [row for row in rows if row not in used and row.metric == LINEAR]


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """How far two orders agree."""

    metric: str
    rho: float
    """Spearman's; 1 = the same order."""
    p: float
    """Two-sided, of all orders or 9,999 random ones."""
    n: int


def orders(pairs: Sequence[Pair]) -> list[Order]:
    """For each metric, how the order of measured values agrees with that of the published ones."""
    found = []
    for metric in dict.fromkeys(pair.published.metric for pair in pairs):
        both = [(p.published.value, p.measured.mean) for p in pairs if p.published.metric == metric and p.measured]
        if len(both) >= LEAST and all(len(set(side)) > 1 for side in zip(*both, strict=True)):
            found.append(_order(metric, *(stats.rankdata(side) for side in zip(*both, strict=True))))
    return found


def _order(metric: str, theirs: Floats, ours: Floats) -> Order:
    centred = (theirs - theirs.mean()) / np.linalg.norm(theirs - theirs.mean())

    def rho(ranks: Floats, axis: int = -1) -> Floats:
        return np.asarray(((ranks - ours.mean()) * centred).sum(axis=axis) / np.linalg.norm(ours - ours.mean()))

    rng = np.random.default_rng(0)
    test = stats.permutation_test((ours,), rho, permutation_type="pairings", vectorized=True, rng=rng)
    return Order(metric=metric, rho=float(test.statistic), p=float(test.pvalue), n=len(ours))


@dataclass(frozen=True, kw_only=True, slots=True)
class BestLambda:
    """Where the best λ is, of the values that both have."""

    variant: str
    architecture: str
    published: float
    measured: float
    values: int
    """How many λ it is the best of."""


def best_lambdas(pairs: Sequence[Pair]) -> list[BestLambda]:
    """The best λ of each variant and cell among those that both have, and which of them validation chose.

    None where it chose one that was not published.
    """
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        if pair.measured is not None and pair.published.lambda_ is not None:
            one = pair.published
            groups.setdefault((one.variant, one.architecture, one.metric), []).append(pair)
    return [
        BestLambda(
            variant=variant,
            architecture=architecture,
            published=_lambda(max(group, key=lambda pair: pair.published.value)),
            measured=chosen[0],
            values=len(group),
        )
        for (variant, architecture, _), group in groups.items()
        if len(group) > 2
        and (chosen := [_lambda(pair) for pair in group if pair.measured is not None and pair.measured.chosen])
    ]


def _lambda(pair: Pair) -> float:
    return pair.published.lambda_ or 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """At full scale alone: measured less published accuracies."""

    metric: str
    mean_points: float
    inside: int
    """Published values where one more run would lie in 95 % of cases, by what was measured."""
    with_interval: int
    n: int


def agreements(found: Scaled, pairs: Sequence[Pair]) -> list[Agreement]:
    """For each metric, how far measured accuracies on test images are from published ones.

    Args:
        found: At a smaller scale, with other data sets, or on another machine numbers are not compared.
        pairs: From `matched`.
    """
    if found.scale != "full" or found.changes or found.item.make is None:
        return []
    groups: dict[str, list[tuple[float, Row]]] = {}
    for pair in pairs:
        if pair.measured is not None and pair.published.metric.startswith(TESTED):
            groups.setdefault(pair.published.metric, []).append((pair.published.value, pair.measured))
    return [_agreement(metric, both) for metric, both in groups.items()]


def _agreement(metric: str, both: Sequence[tuple[float, Row]]) -> Agreement:
    # The interval of a mean of n runs, wider by what one run more varies by.
    spans = [
        (value, row.mean, (row.high - row.mean) * math.sqrt(1 + row.n)) for value, row in both if row.high is not None
    ]
    return Agreement(
        metric=metric,
        mean_points=sum(row.mean - value for value, row in both) / len(both),
        inside=sum(abs(value - mean) <= half for value, mean, half in spans),
        with_interval=len(spans),
        n=len(both),
    )
