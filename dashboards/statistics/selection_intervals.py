"""Intervals for a mean over (architecture, data set) pairs, which are no independent samples."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from dashboards.statistics.regret import Floats, Indices
from dashboards.statistics.scores import CONFIDENCE, Interval

MIN_CROSSED: Final = 3
"""Fewer architectures, or data sets, than this say nothing about others."""
MIN_ALONE: Final = 10
"""Where there is one data set only (or one architecture), how many of the other an interval needs."""
MIN_FOLDS: Final = 5
"""Where a parameter was fitted, how many parts must have been held out: all values of a part share one fit, and
with three parts such an interval covers 89 % (measured in the tests)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Where each value stands."""

    architecture_G: npt.NDArray[np.object_]
    """All equal where a group is a data set."""
    dataset_G: npt.NDArray[np.object_]


def crossed_interval(
    values_G: Floats, pairs: Pairs, confidence: float = CONFIDENCE, folds: int | None = None
) -> tuple[Interval, str]:
    """Mean over the groups that have a value, with an interval for architectures and data sets like these.

    All cells of a data set move together, and all of an architecture: a t-interval over cells would count
    them as independent. The variance of the mean is taken as that of a two-way design with random rows and
    columns, V = V_architecture + V_dataset - V_rest with Satterthwaite's degrees of freedom, and the
    interval is never narrower than the t-interval over cells. Seeds are random within the values. Where
    there is one data set, or one architecture, it is the t-interval over the other, for this one only.

    Args:
        values_G: NaN where there is none.
        pairs: Of the same groups.
        confidence: In (0, 1).
        folds: Of values that were cross-fitted, the number of parts that were held out in turn.

    Returns:
        The interval, without bounds where they would not be honest, and the reason.
    """
    known_G = np.isfinite(values_G)
    value_G, n = values_G[known_G], int(known_G.sum())
    lacking = "" if known_G.all() else f"no value in {len(values_G) - n} of {len(values_G)} groups"
    if not n:
        return Interval(mean=np.nan, low=None, high=None, n=0), lacking or "no groups"
    rows_G, columns_G = _number(pairs.architecture_G[known_G]), _number(pairs.dataset_G[known_G])
    why = _too_few(value_G, rows_G, columns_G)
    if folds is not None and folds < MIN_FOLDS:
        why = f"fitted with {folds} parts held out: too few for an interval"
    mean = float(value_G.mean())
    note = "; ".join(text for text in (lacking, why) if text)
    if why:
        return Interval(mean=mean, low=None, high=None, n=n), note
    half = _half_width(value_G, rows_G, columns_G, confidence)
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n), note


def _number(labels: npt.NDArray[np.object_]) -> Indices:
    return np.unique(labels.astype(str), return_inverse=True)[1]


def _too_few(value_G: Floats, rows_G: Indices, columns_G: Indices) -> str:
    a, d = int(rows_G.max()) + 1, int(columns_G.max()) + 1
    enough = min(a, d) >= MIN_CROSSED or (min(a, d) == 1 and len(value_G) >= MIN_ALONE)
    if not enough:
        return "too few architectures and data sets for an interval"
    return "the same everywhere: no interval" if np.ptp(value_G) < 1e-12 else ""


def _half_width(value_G: Floats, rows_G: Indices, columns_G: Indices, confidence: float) -> float:
    def quantile(df: float) -> float:
        return float(stats.t.ppf((1 + confidence) / 2, df))

    n, rest_G = len(value_G), value_G - value_G.mean()
    alone = quantile(n - 1) * float(np.sqrt((rest_G**2).sum() / (n - 1) / n))
    a, d = int(rows_G.max()) + 1, int(columns_G.max()) + 1
    rest_df = n - a - d + 1
    if min(a, d) == 1 or rest_df < 1:
        return alone
    by_row, by_column = (
        float((np.bincount(index_G, rest_G) ** 2).sum()) * k / (k - 1) / n**2
        for index_G, k in ((rows_G, a), (columns_G, d))
    )
    design = np.concatenate([np.eye(a)[rows_G], np.eye(d)[columns_G]], axis=1)
    residual_G = rest_G - design @ np.linalg.lstsq(design, rest_G)[0]
    rest = float((residual_G**2).sum()) / rest_df / n
    variance = by_row + by_column - rest
    if variance <= float((rest_G**2).sum()) / (n - 1) / n:
        return alone
    df = variance**2 / (by_row**2 / (a - 1) + by_column**2 / (d - 1) + rest**2 / rest_df)
    return max(alone, quantile(max(df, 1.0)) * float(np.sqrt(variance)))
