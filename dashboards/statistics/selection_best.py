"""Which label-free criterion to use, how sure that is, and what it chooses where there are no labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboards.statistics.scores import CELL, SETTINGS, Interval, score
from dashboards.statistics.selection import By, Ranked, Selection
from dashboards.statistics.selection_criteria import dead_runs
from dashboards.statistics.selection_families import families
from dashboards.statistics.selection_intervals import Pairs, crossed_interval

SURE: Final = 0.05
"""Two criteria are told apart when chance gives such a difference less often, shared among all compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Another criterion's regret minus the best one's, over the groups where both could choose."""

    name: str
    difference: Interval
    told_apart: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The criterion to use without labels, and how sure that is."""

    name: str
    label: str
    member: str
    regret: Interval
    honest: Interval
    """Regret of taking whichever criterion is best on other groups: `regret` is that of the best of many on
    the groups that made it the best, and so too good."""
    p_best: float
    others: tuple[Compared, ...]
    """All other label-free criteria and the references but the labels."""
    note: str


def best_criterion(selection: Selection) -> Best | None:
    """The label-free criterion with the least selection regret.

    Args:
        selection: From `select`.

    Returns:
        None when no criterion could choose anywhere. Only criteria that could choose in as many groups as
        any compete; of equals, the one listed first in `families()`.
    """
    able = [r for r in selection.ranked if r.p_best is not None]
    if not able:
        return None
    order = list(families())
    best = min(able, key=lambda r: (round(r.regret.mean, 12), order.index(r.name)))
    rivals = [r for r in selection.ranked if r.name not in (best.name, "labels") and r.regret.n]
    elsewhere_G = np.array(list(selection.best_elsewhere.values()), dtype=float)
    honest, _ = crossed_interval(elsewhere_G, selection.pairs, folds=selection.folds)
    others = tuple(_compare(best, rival, selection.pairs, len(rivals)) for rival in rivals)
    return Best(
        name=best.name,
        label=best.label,
        member=best.member,
        regret=best.regret,
        honest=honest,
        p_best=float(best.p_best or 0.0),
        others=others,
        note=_note(selection, others),
    )


def _compare(best: Ranked, rival: Ranked, pairs: Pairs, among: int) -> Compared:
    difference_G = np.array([rival.by_group[g] - best.by_group[g] for g in best.by_group], dtype=float)
    difference, _ = crossed_interval(difference_G, pairs)
    strict, _ = crossed_interval(difference_G, pairs, 1 - SURE / among)
    apart = strict.low is not None and strict.high is not None and not strict.low <= 0 <= strict.high
    return Compared(name=rival.name, difference=difference, told_apart=apart)


def _note(selection: Selection, others: tuple[Compared, ...]) -> str:
    alike = sum(not other.told_apart for other in others)
    few = f"{len(selection.groups)} groups: too few to tell criteria apart"
    if all(other.difference.low is None for other in others):
        return few
    return f"not told apart from {alike} of {len(others)} others, over {len(selection.groups)} groups"


def rank_candidates(trials: pd.DataFrame, name: str, member: str = "", by: By = "dataset") -> pd.DataFrame:
    """What a criterion chooses, where labels may be lacking.

    Args:
        trials: `Results.trials`; only finished ones count.
        name: Of `families()`.
        member: Its parameter, as `Best.member` says; empty for a criterion without one.
        by: `dataset` ranks architectures with their settings on each data set, `cell` the settings of each
            architecture.

    Returns:
        One row per candidate of each choice, the best first: its columns, `rank` (mean over the seeds in which most
        candidates have one, all of them if there is such a seed; in (-1, 1); missing when never measured there),
        `dead` (share of dead runs) and `n` (trials that the mean is of).
        A candidate with a larger share of dead runs comes after all with a smaller one.

    Raises:
        KeyError: There is no such criterion or parameter.
    """
    scored = score(trials)
    table = scored[scored["outcome"].isin(("ok", "collapsed", "diverged"))].reset_index(drop=True)
    columns = CELL if by == "cell" else ["dataset"]
    free = [column for column in (*CELL, "lambda", *SETTINGS) if column not in columns]
    family = families()[name]
    ranked = table.assign(
        rank=family.ranks(table, columns, family.guardable)[member], dead=dead_runs(table).astype(float)
    )
    ranked["rank"] = ranked["rank"].where(_fullest_seeds(ranked, columns))
    means = ranked.groupby([*columns, *free], dropna=False).agg(
        rank=("rank", "mean"), dead=("dead", "mean"), n=("rank", "count")
    )
    means = means.reset_index()
    lost = means["rank"].isna()
    order = means.assign(lost=lost, rounded=means["rank"].round(9)).sort_values(
        [*columns, "lost", "dead", "rounded", "lambda"],
        ascending=[True] * len(columns) + [True, True, False, True],
        kind="stable",
    )
    return order[[*columns, *free, "rank", "dead", "n"]].reset_index(drop=True)


def _fullest_seeds(ranked: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Whether a row is of a seed in which as many candidates of its choice have a rank as in any.

    Ranks of a seed in which few were measured are among few, and no measure of a candidate that others lack.
    """
    there = ranked["rank"].groupby([*(ranked[name] for name in columns), ranked["seed"]]).transform("count")
    return there == there.groupby([ranked[name] for name in columns]).transform("max")
