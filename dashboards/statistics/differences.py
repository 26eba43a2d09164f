"""Which λ, and which architectures, rank apart from which: Friedman's test and Nemenyi's critical difference."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from dashboards.statistics.blocks import complete, joined, left_out, means
from dashboards.statistics.ranks import kendall_w
from dashboards.statistics.scores import CELL, CONFIDENCE

MIN_BLOCKS: Final = 5
MIN_GROUPS: Final = 3
"""Two groups have a paired difference; ranks would throw its size away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticalDifference:
    """What a critical-difference diagram shows (Demšar 2006)."""

    groups: tuple[str, ...]
    """Best first."""
    mean_ranks: tuple[float, ...]
    """1 is best."""
    cd: float | None
    """Mean ranks closer than this are not told apart (Nemenyi, 5 % over all pairs); None if too few blocks."""
    p: float | None
    """Friedman's test that all groups are alike, by permutation within blocks."""
    cliques: tuple[tuple[str, ...], ...]
    """The widest runs of two groups or more that are not told apart, best first."""
    blocks: int
    note: str


def compare_lambdas(points: pd.DataFrame) -> CriticalDifference:
    """λ against each other; blocks are the cells, so the claim is about these architectures and data sets.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid. A λ that half of the cells lack is left
            out, then every cell that lacks a λ.
    """
    table = means(points).pivot(index=CELL, columns="lambda", values="test")
    whole, lost = complete(table)
    return compare(whole.rename(columns=lambda lam: f"{lam:g}"), left_out(lost))


def compare_architectures(points: pd.DataFrame) -> CriticalDifference:
    """Architectures against each other; blocks are (data set, λ).

    Blocks of one data set share their images, so p and the critical difference are smaller than those of as
    many data sets would be; the note says so.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid. An architecture that half of the blocks
            lack is left out, then every block that lacks an architecture.
    """
    table = means(points).pivot(index=["dataset", "lambda"], columns="architecture", values="test")
    whole, lost = complete(table)
    shared = "λ of one data set share its images: less independent than the number of blocks says"
    several = whole.index.get_level_values(0).duplicated().any() if len(whole) else False
    return compare(whole, joined(left_out(lost), shared if several else ""))


def compare(table: pd.DataFrame, note: str = "") -> CriticalDifference:
    """Friedman's test and Nemenyi's comparisons of every two columns.

    Args:
        table: (blocks, groups) scores, the larger the better; no NaN.
        note: What a reader should know beside 'too few'.
    """
    blocks, k = table.shape
    ranks = table.rank(axis=1, ascending=False).mean(axis=0).sort_values(kind="stable")
    names = tuple(str(name) for name in ranks.index)
    places = tuple(float(rank) for rank in ranks) if blocks else ()
    if blocks < MIN_BLOCKS or k < MIN_GROUPS:
        few = f"too few: {blocks} blocks of {k} groups, wanted at least {MIN_BLOCKS} of {MIN_GROUPS}"
        return CriticalDifference(
            groups=names, mean_ranks=places, cd=None, p=None, cliques=(), blocks=blocks, note=joined(few, note)
        )
    return CriticalDifference(
        groups=names,
        mean_ranks=places,
        cd=_critical(k, blocks),
        p=kendall_w(table.to_numpy(dtype=float)).p,
        cliques=_cliques(table[list(ranks.index)]),
        blocks=blocks,
        note=note,
    )


def _critical(k: int, blocks: int) -> float:
    q = stats.studentized_range.ppf(CONFIDENCE, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * blocks)))


def _cliques(by_rank: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    # Imported here: it brings matplotlib and seaborn along, a second that most commands need not pay.
    from scikit_posthocs import posthoc_nemenyi_friedman

    alike = posthoc_nemenyi_friedman(by_rank.to_numpy(dtype=float)).to_numpy() >= 1 - CONFIDENCE
    # Sorted by mean rank, whatever lies between two groups that are alike is alike to both.
    last = [int(np.flatnonzero(row).max()) for row in alike]
    runs = [(i, end) for i, end in enumerate(last) if end > i and (i == 0 or end > last[i - 1])]
    names = [str(name) for name in by_rank.columns]
    return tuple(tuple(names[start : end + 1]) for start, end in runs)
