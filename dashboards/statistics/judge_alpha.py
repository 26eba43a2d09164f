"""The best α of C(α), chosen on some trials and judged on others, beside what chance gives."""
# A alphas, P permutations, N trials, G groups

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dashboards.statistics.judge_points import Leave, Points, Scope, groups, judges
from dashboards.statistics.judge_ranks import permuted_agreement
from dashboards.statistics.regret import Floats, Indices, mean_of
from dashboards.statistics.scores import Interval, t_interval

QUANTILES: Final = (0.025, 0.975)
MIN_FOLDS: Final = 5
"""Fewer held-out values than this give no interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chance:
    """A value beside the same after permuting accuracies within (cell, seed), α chosen again each time."""

    value: float
    mean: float
    low: float
    high: float
    p_more: float
    """Share of permutations (the real order included) with a value at least as large."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """What was held out, the α that the rest chose, and C there."""

    held_out: str
    alpha: float
    agreement: float
    n: int
    """Trials held out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlphaChoice:
    """The best α of one scope, chosen on some trials and judged on others."""

    scope: Scope
    live: bool
    leave: Leave
    """What is held out in turn."""
    folds: tuple[Fold, ...]
    cross_fitted: Chance
    """Mean of C over folds, at the α of the others."""
    interval: Interval
    """Of that mean, over folds; 'too few' (None) below `MIN_FOLDS`."""
    best_alpha: float
    """The best α on all trials."""
    optimistic: Chance
    """C at `best_alpha`, on the trials that chose it: too good by construction. Compare with its null only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreements:
    """C(α) of one scope on any part of the trials, in the real order and in P permuted ones."""

    points: Points
    losses_AN: Floats
    scope: Scope
    orders_PN: Indices
    """The first row is the real order; all keep the runs, (cell, seed), together."""
    held: dict[bytes, Floats] = field(default_factory=dict)
    """Of groups already computed: most folds share most groups."""

    def on(self, mask_N: npt.NDArray[np.bool_]) -> Floats | None:
        """Mean over the groups of those trials, (A, P); None when no group has a C."""
        parts = [there for there in groups(self.points, self.scope, mask_N).values() if judges(self.points, there)]
        if not parts:
            return None
        return mean_of(np.stack([self._group(there) for there in parts]), axis=0)

    def _group(self, there: Indices) -> Floats:
        key = there.tobytes()
        if key not in self.held:
            place_N = np.zeros(self.points.n, dtype=np.intp)
            place_N[there] = np.arange(len(there))
            orders = place_N[self.orders_PN[:, there]]
            self.held[key] = permuted_agreement(self.losses_AN[:, there], self.points.accuracy_N[there], orders)
        return self.held[key]


def choose_alpha(
    agree: Agreements, alphas_A: Floats, live: bool, leave: Leave, mask_N: npt.NDArray[np.bool_]
) -> AlphaChoice | None:
    """The best α of all trials of the mask, and of those outside each held-out part.

    Returns:
        None when nothing can be held out so that both sides have a C.
    """
    all_AP = agree.on(mask_N)
    label_N = agree.points.labels[leave]
    folds, values_FP = [], []
    for name in sorted(set(label_N[mask_N])):
        outside, inside = agree.on(mask_N & (label_N != name)), agree.on(mask_N & (label_N == name))
        if outside is None or inside is None:
            continue
        best_P = best_index(outside)
        value_P = np.take_along_axis(inside, best_P[None], axis=0)[0]
        n = int((mask_N & (label_N == name)).sum())
        folds.append(Fold(held_out=str(name), alpha=float(alphas_A[best_P[0]]), agreement=float(value_P[0]), n=n))
        values_FP.append(value_P)
    if all_AP is None or not folds:
        return None
    best_P = best_index(all_AP)
    known = [fold.agreement for fold in folds if np.isfinite(fold.agreement)]
    return AlphaChoice(
        scope=agree.scope,
        live=live,
        leave=leave,
        folds=tuple(folds),
        cross_fitted=_beside(mean_of(np.stack(values_FP), axis=0)),
        interval=t_interval(known, MIN_FOLDS),
        best_alpha=float(alphas_A[best_P[0]]),
        optimistic=_beside(np.take_along_axis(all_AP, best_P[None], axis=0)[0]),
    )


def best_index(agreement_AP: Floats) -> Indices:
    """Index of the best α of each column; of several equally good ones, the one in the middle."""
    rounded_AP = np.round(np.nan_to_num(agreement_AP, nan=-np.inf), 12)
    best_AP = rounded_AP == rounded_AP.max(axis=0)
    middle_P = (best_AP.sum(axis=0) + 1) // 2
    index: Indices = (best_AP.cumsum(axis=0) >= middle_P).argmax(axis=0)
    return index


def _beside(value_P: Floats) -> Chance:
    real, null_P = float(value_P[0]), value_P[1:][np.isfinite(value_P[1:])]
    low, high = np.quantile(null_P, QUANTILES) if len(null_P) else (np.nan, np.nan)
    return Chance(
        value=real,
        mean=float(null_P.mean()) if len(null_P) else np.nan,
        low=float(low),
        high=float(high),
        p_more=float((1 + (null_P >= real - 1e-12).sum()) / (1 + len(null_P))),
    )
