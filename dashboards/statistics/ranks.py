"""Does the order of architectures hold across data sets and across λ? Pure functions.

An order of noise agrees with itself a little too: Kendall's W of m random orders is 1/m on average, so each
W stands beside that, with a p value from orders permuted within each judge.
"""
# J judges, I items

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from dashboards.statistics.blocks import complete, joined, left_out, means, optional
from dashboards.statistics.scores import CELL, MIN_PAIRS, choose

Floats = npt.NDArray[np.float64]

MIN_JUDGES: Final = 2
MIN_ITEMS: Final = 3
"""Two items have two orders only: whatever is judged, W is then a matter of chance."""
PERMUTATIONS: Final = 999


@dataclass(frozen=True, kw_only=True, slots=True)
class Concordance:
    """Kendall's W: 1 when all judges give the same order, 0 when their rank sums are all alike."""

    w: float | None
    """None where `note` says why: too few judges or items, or nothing but ties."""
    chance: float | None
    """W of random orders, on average."""
    p: float | None
    """Share of permuted orders (the real one included) with a W at least as large."""
    judges: int
    items: int
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TauTable:
    """Kendall's τ-b between the orders of architectures at every two λ of one data set."""

    dataset: str
    lambdas: tuple[float, ...]
    tau: tuple[tuple[float | None, ...], ...]
    """(λ, λ); None where fewer than `MIN_PAIRS` architectures were measured at both, or all are tied."""
    n: tuple[tuple[int, ...], ...]
    """(λ, λ): architectures measured at both."""
    neighbours: float | None
    """Mean τ between λ that are neighbours on the grid."""
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RankStability:
    """How far the order of architectures holds."""

    across_datasets: Concordance
    """Judges: data sets; each architecture at the λ that validation chose for it there."""
    across_lambdas: Mapping[str, Concordance]
    """By data set. Judges: λ."""
    taus: tuple[TauTable, ...]
    """By data set."""


def kendall_w(scores_JI: Floats, permutations: int = PERMUTATIONS, seed: int = 0) -> Concordance:
    """Kendall's coefficient of concordance, corrected for ties.

    W = 12·Σ(R_i - mean R)² / (J²(I³ - I) - J·ΣT_j), T_j = Σ(t³ - t) over the ties of judge j (Kendall and
    Babington Smith, 1939). J·(I - 1)·W is Friedman's χ², so the p value is that of his test too.

    Args:
        scores_JI: What each judge gives each item, the larger the better; no NaN.
        permutations: Random orders for the p value.
        seed: Of the permutations.
    """
    judges, items = scores_JI.shape
    if judges < MIN_JUDGES or items < MIN_ITEMS:
        wanted = f"wanted at least {MIN_JUDGES} orders of {MIN_ITEMS}"
        return _no_concordance(judges, items, f"too few: {judges} orders of {items}, {wanted}")
    ranks_JI = stats.rankdata(-scores_JI, axis=1)
    ties = sum(int((counts**3 - counts).sum()) for counts in (np.unique(r, return_counts=True)[1] for r in ranks_JI))
    most = (judges**2 * (items**3 - items) - judges * ties) / 12
    if most <= 0:
        return _no_concordance(judges, items, "every order is one tie")
    real = _spread(ranks_JI)
    rng = np.random.default_rng(seed)
    more = sum(_spread(rng.permuted(ranks_JI, axis=1)) >= real - 1e-9 for _ in range(permutations))
    return Concordance(
        w=real / most,
        chance=1 / judges,
        p=(1 + more) / (1 + permutations),
        judges=judges,
        items=items,
        note="",
    )


def _no_concordance(judges: int, items: int, note: str) -> Concordance:
    return Concordance(w=None, chance=None, p=None, judges=judges, items=items, note=note)


def _spread(ranks_JI: Floats) -> float:
    sums_I = ranks_JI.sum(axis=0)
    return float(((sums_I - sums_I.mean()) ** 2).sum())


def rank_stability(points: pd.DataFrame) -> RankStability:
    """Kendall's W across data sets and across λ, and τ between λ.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid. W takes architectures that every judge
            measured; a judge that lacks half of them or more is left out first.
    """
    at_chosen = choose(points).pivot(index="architecture", columns="dataset", values="test")
    by_dataset = {str(name): _orders(part) for name, part in means(points).groupby("dataset")}
    return RankStability(
        across_datasets=_concordance(at_chosen),
        across_lambdas={name: _concordance(orders) for name, orders in by_dataset.items()},
        taus=tuple(_taus(name, orders) for name, orders in by_dataset.items()),
    )


def _orders(part: pd.DataFrame) -> pd.DataFrame:
    return part.pivot(index="architecture", columns="lambda", values="test")


def _concordance(items_by_judges: pd.DataFrame) -> Concordance:
    whole, lost = complete(items_by_judges)
    found = kendall_w(whole.to_numpy(dtype=float).T)
    return Concordance(
        w=found.w,
        chance=found.chance,
        p=found.p,
        judges=found.judges,
        items=found.items,
        note=joined(found.note, left_out(lost)),
    )


def _taus(dataset: str, orders: pd.DataFrame) -> TauTable:
    lambdas = tuple(float(lam) for lam in orders.columns)
    columns = [orders[lam] for lam in orders.columns]
    tau = tuple(tuple(_tau(a, b) for b in columns) for a in columns)
    near = [tau[i][i + 1] for i in range(len(lambdas) - 1)]
    known = [value for value in near if value is not None]
    few = f"{len(near) - len(known)} of {len(near)} neighbours have too few architectures or only ties"
    return TauTable(
        dataset=dataset,
        lambdas=lambdas,
        tau=tau,
        n=tuple(tuple(int((a.notna() & b.notna()).sum()) for b in columns) for a in columns),
        neighbours=float(np.mean(known)) if known else None,
        note=few if len(known) < len(near) else "",
    )


def _tau(a: pd.Series, b: pd.Series) -> float | None:
    both = a.notna() & b.notna()
    if both.sum() < MIN_PAIRS or a[both].nunique() < 2 or b[both].nunique() < 2:
        return None
    return optional(stats.kendalltau(a[both], b[both]).statistic)


def rank_flow(points: pd.DataFrame) -> pd.DataFrame:
    """The place of each architecture at each λ, for a bump chart.

    Args:
        points: Rows of `at_best_settings(score(...))`.

    Returns:
        Columns dataset, architecture, lambda, test (mean over seeds), n (seeds), rank (1 is best, ties share
        the mean of their places) and ranked (architectures measured there). A row for every combination
        within a data set: where nothing was measured, test and rank are missing and n is 0.
    """
    found = []
    for _, part in means(points).groupby("dataset"):
        whole = pd.MultiIndex.from_product([sorted(part[name].unique()) for name in ("architecture", "lambda")])
        rows = part.set_index(["architecture", "lambda"]).reindex(whole)
        rows.index.names = ["architecture", "lambda"]
        found.append(rows.reset_index().assign(dataset=part["dataset"].iloc[0]))
    if not found:
        return pd.DataFrame(columns=["dataset", "architecture", "lambda", "test", "n", "rank", "ranked"])
    flow = pd.concat(found, ignore_index=True)
    at = flow.groupby(["dataset", "lambda"])["test"]
    flow = flow.assign(rank=at.rank(ascending=False), ranked=at.transform("count").astype(int))
    flow["n"] = flow["n"].fillna(0).astype(int)
    return flow.sort_values([*reversed(CELL), "lambda"], ignore_index=True)[
        ["dataset", "architecture", "lambda", "test", "n", "rank", "ranked"]
    ]
