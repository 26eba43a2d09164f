"""Which factor matters: shares of the variance of accuracy, by a split-plot analysis of variance.

Trials of one cell and seed differ in λ only and share weights, data order and slices. So there are two kinds
of chance: that of a seed, the same for all λ of a cell, by which architectures and data sets are judged; and
what is left, by which λ and its interactions are judged.

On a balanced table sums of squares are those of means, the same for every type (I, II, III) and at once, where a
least-squares fit of 64 architectures takes minutes. A mixed model would also take tables with holes. It is not used:
fitted by statsmodels 0.15 to tables of the pilot's shape with 15 % of the trials missing, it did not converge
in three of four, and three data sets do not tell a variance between data sets.
"""
# y has one axis per factor that varies, then seeds; B permutations, G groups (cell and seed), L lambdas

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from dashboards.statistics.balance import AXES, FACTORS, balanced
from dashboards.statistics.blocks import joined

Floats = npt.NDArray[np.float64]

WORDS: Final = {"architecture": "architecture", "dataset": "data set", "lambda": "λ"}
SEED: Final = "seed"
REST: Final = "seed × λ"
REST_OF_ALL: Final = "chance"
MIN_FREE: Final = 3
"""Chance with fewer degrees of freedom says too little for a test."""
PERMUTATIONS: Final = 999


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One source of variance."""

    source: str
    """As in `λ`, `architecture × λ`; `seed` and `seed × λ` (all that is left) are chance."""
    df: int
    eta2: float
    """Its part of the sum of squares: what this table shows, chance included."""
    omega2: float
    """Its part of the variance once chance is taken off; all of them add up to 1. Negative where there is less than
    chance alone gives on average."""
    f: float | None
    """Against the chance that it is judged by. None for chance, and with fewer than `MIN_FREE` df of it."""
    p: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Variance:
    """Shares of the variance of a table's balanced part."""

    shares: tuple[Share, ...]
    """Empty where `note` says why."""
    p_lambda: float | None
    """That λ does nothing in any cell: its labels permuted within each (cell, seed). Holds for any kind of chance,
    unlike the F tests, which take it for normal and alike in all cells. None with one λ."""
    n: int
    """Trials in the balanced part."""
    of: int
    """Trials with a value."""
    note: str


@dataclass(frozen=True, slots=True)
class _Source:
    axes: tuple[str, ...]
    squares: float
    df: int

    @property
    def mean(self) -> float:
        return self.squares / self.df if self.df else 0.0


def variance_shares(points: pd.DataFrame, value: str = "test", permutations: int = PERMUTATIONS) -> Variance:
    """Shares of architecture, data set, λ, their interactions and chance.

    A share is that of the mean squared effect of the levels that were tried: it holds for these levels, for this
    range of λ and for these test images. With one seed chance cannot be told from the interaction of all factors.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid.
        value: The column.
        permutations: For `p_lambda`.
    """
    there = points.dropna(subset=[value])
    part, lost = balanced(there)
    factors = [name for name in FACTORS if part[name].nunique() > 1]
    constant = [f"one {WORDS[name]}" for name in FACTORS if name not in factors]
    y = _array(part, value, factors)
    alone = y.shape[-1] == 1
    if len(factors) < 1 + alone or np.ptp(y) < 1e-12:
        few = f"too few: {len(part)} trials in the balanced part, or all alike"
        return Variance(shares=(), p_lambda=None, n=len(part), of=len(there), note=joined(few, *constant, lost))
    failed = int((part["outcome"] == "diverged").sum())
    return Variance(
        shares=_shares(y, factors),
        p_lambda=_p_lambda(y, permutations) if "lambda" in factors else None,
        n=len(part),
        of=len(there),
        note=joined(
            *constant,
            "one seed: the interaction of all factors counts as chance" if alone else "",
            f"{failed} diverged trials count as chance accuracy: F tests are rough" if failed else "",
            lost,
        ),
    )


def _array(part: pd.DataFrame, value: str, factors: Sequence[str]) -> Floats:
    axes = [name for name in AXES if name in factors or name == "seed"]
    ordered = part.groupby(axes)[value].mean()
    return ordered.to_numpy(dtype=float).reshape([part[name].nunique() for name in axes])


def _shares(y: Floats, factors: Sequence[str]) -> tuple[Share, ...]:
    axes = (*factors, "seed")
    places = [factor for factor in factors if factor != "lambda"]
    terms = [_sum(y, axes, [some]) for some in _subsets(factors) if some]
    # The seeds of a cell are its own: every interaction of a seed with the cell's factors is chance too.
    seed = _sum(y, axes, [(*some, "seed") for some in _subsets(places)])
    rest = _sum(y, axes, [(*some, "lambda", "seed") for some in _subsets(places)]) if "lambda" in factors else seed
    if y.shape[-1] == 1:
        seed = rest = terms.pop()
        chance = [(REST_OF_ALL, rest, rest.mean)]
    elif "lambda" in factors:
        chance = [(SEED, seed, (seed.mean - rest.mean) / y.shape[-2]), (REST, rest, rest.mean)]
    else:
        chance = [(SEED, seed, seed.mean)]
    judges = [rest if "lambda" in term.axes else seed for term in terms]
    parts = [(term.squares - term.df * judge.mean) / y.size for term, judge in zip(terms, judges, strict=True)]
    total, squares = sum(parts) + sum(entry[2] for entry in chance), float(((y - y.mean()) ** 2).sum())
    return (
        *(
            _share(" × ".join(WORDS[name] for name in term.axes), term, squares, part / total, judge)
            for term, judge, part in zip(terms, judges, parts, strict=True)
        ),
        *(_share(name, source, squares, part / total, None) for name, source, part in chance),
    )


def _share(name: str, source: _Source, squares: float, omega2: float, judge: _Source | None) -> Share:
    f = None
    if judge is not None and judge.df >= MIN_FREE and judge.squares > 0:
        f = source.mean / judge.mean
    return Share(
        source=name,
        df=source.df,
        eta2=source.squares / squares,
        omega2=omega2,
        f=f,
        p=float(stats.f.sf(f, source.df, judge.df)) if f is not None and judge is not None else None,
    )


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


def _sum(y: Floats, axes: Sequence[str], terms: Iterable[tuple[str, ...]]) -> _Source:
    """The sums of squares and degrees of freedom of some interactions of a balanced table, together."""
    squares, df = 0.0, 0
    named: tuple[str, ...] = ()
    for named in terms:
        kept = [axes.index(name) for name in named]
        effect = y.mean(axis=tuple(i for i in range(y.ndim) if i not in kept), keepdims=True)
        for axis in kept:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        squares += float((effect**2).sum() * y.size / effect.size)
        df += int(np.prod([y.shape[axis] - 1 for axis in kept]))
    return _Source(named, squares, df)


def _p_lambda(y: Floats, permutations: int) -> float:
    """λ is the last axis but one."""
    rng = np.random.default_rng(0)
    y_CLS = y.reshape(-1, *y.shape[-2:])
    y_CLS = y_CLS - y_CLS.mean(axis=1, keepdims=True)

    def between(values_CLS: Floats) -> float:
        return float((values_CLS.mean(axis=2) ** 2).sum())

    real = between(y_CLS)
    more = sum(between(rng.permuted(y_CLS, axis=1)) >= real - 1e-15 for _ in range(permutations))
    return (1 + more) / (1 + permutations)
