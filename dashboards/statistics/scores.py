"""What the table of trials says about λ: scores, intervals, rank correlation. Pure functions.

λ is chosen on validation and reported on test. A diverged trial counts as chance accuracy and as the
worst loss; a collapsed one keeps what was measured; every other unfinished one is a missing value.
Accuracies are fractions in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

CELL: Final = ["architecture", "dataset"]
SETTINGS: Final = ["learning_rate", "weight_decay"]
MEASURED: Final = ("ok", "collapsed")
CONFIDENCE: Final = 0.95
MIN_DF: Final = 3
"""Below this many degrees of freedom the t quantile exceeds 4: such an interval says nothing."""
MIN_PAIRS: Final = 4
"""Fewer pairs than this give a rank correlation of almost any value by chance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean and its two-sided t-interval."""

    mean: float
    low: float | None
    """None when there are too few values for an interval to be honest."""
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RankCorrelation:
    """How well a low loss predicts a high accuracy: Spearman's -ρ, 1 is perfect."""

    agreement: float | None
    """None for fewer than `MIN_PAIRS` pairs, or when either side is constant."""
    n: int


def column(trials: pd.DataFrame, name: str) -> pd.Series:
    """A numeric column, all missing if the table has none of that name."""
    if name in trials:
        return pd.to_numeric(trials[name], errors="coerce").astype(float)
    return pd.Series(np.nan, index=trials.index, dtype=float)


def score(trials: pd.DataFrame) -> pd.DataFrame:
    """What each trial counts for.

    Args:
        trials: `Results.trials`.

    Returns:
        The same rows with four more columns: `val` and `test` (linear top-1; chance if diverged, missing
        if not finished), `loss` (last epoch's mean; +inf if diverged) and `floor` (linear test top-1 of
        the backbone before training, for that cell and seed, or for the cell when that seed has none).
    """
    measured = trials["outcome"].isin(MEASURED)
    diverged = trials["outcome"] == "diverged"
    chance = column(trials, "floor/chance").groupby(trials["dataset"]).transform("max")
    scored = trials.copy()
    for name in ("val", "test"):
        scored[name] = column(trials, f"{name}/linear_top1").where(measured).mask(diverged, chance)
    scored["chance"] = chance
    loss = column(trials, "train/loss")
    scored["loss"] = loss.where(np.isfinite(loss) | loss.isna(), np.inf).where(measured).mask(diverged, np.inf)
    floor = column(trials, "floor/random_init_linear_top1")
    cell = [trials[name] for name in CELL]
    by_seed = floor.groupby([*cell, trials["seed"]]).transform("mean")
    scored["floor"] = by_seed.fillna(floor.groupby(cell).transform("mean"))
    return scored


def labelled(scored: pd.DataFrame) -> tuple[str, ...]:
    """The data sets with at least one accuracy, by name."""
    return tuple(sorted(scored.loc[scored["test"].notna(), "dataset"].unique()))


def at_best_settings(scored: pd.DataFrame) -> pd.DataFrame:
    """One set of rows per (cell, λ): that of the learning rate and weight decay best on validation.

    A grid may cross λ with other settings; λ is then judged with those tuned at each λ. The
    settings with most measured seeds win before those with the best mean, so that one lucky seed does not.
    """
    by = [*CELL, "lambda"]
    means = scored.groupby([*by, *SETTINGS], dropna=False)["val"].agg(["count", "mean"]).reset_index()
    means = means.sort_values(["count", "mean"], ascending=False, kind="stable", na_position="last")
    return scored.merge(means.groupby(by).head(1)[[*by, *SETTINGS]], on=[*by, *SETTINGS], how="inner")


def choose(points: pd.DataFrame) -> pd.DataFrame:
    """The λ (and, in a search, the other settings) of each cell with the best mean validation accuracy.

    Args:
        points: Scored rows; those without both accuracies are left out. Ties go to the smaller λ.

    Returns:
        One row per (architecture, dataset) with `lambda`, the settings, the means over seeds `val`, `test`,
        `floor`, and the number of seeds `n`.
    """
    by = [*CELL, "lambda", *SETTINGS]
    both = points.dropna(subset=["val", "test"])
    means = both.groupby(by, dropna=False)[["val", "test", "floor"]].mean()
    means["n"] = both.groupby(by, dropna=False).size()
    means = means.reset_index()
    # Rounded, since equal accuracies may differ in the last bit once averaged, and ties have a rule.
    ranked = means.assign(rank=means["val"].round(12)).sort_values(
        ["rank", "lambda"], ascending=[False, True], kind="stable"
    )
    return ranked.groupby(CELL).head(1).drop(columns="rank").sort_values(CELL, ignore_index=True)


def t_interval(values: Sequence[float], min_n: int = 3) -> Interval:
    """Student's interval for the mean of independent values.

    Args:
        values: Finite numbers, at least one.
        min_n: With fewer values there is a mean only.
    """
    array = np.asarray(values, dtype=float)
    mean, n = float(array.mean()), len(array)
    if n < max(min_n, 2):
        return Interval(mean=mean, low=None, high=None, n=n)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * array.std(ddof=1) / np.sqrt(n))
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def pooled_intervals(points: pd.DataFrame, value: str = "test", apart: Sequence[str] = ()) -> pd.DataFrame:
    """Mean over seeds for each (cell, λ), with t-intervals whose spread is pooled over λ within the cell.

    Three seeds say little about their own spread; the λ of one cell lend each other theirs:
    s² = Σ_λ SS_λ / df, df = Σ_λ (n_λ - 1), half width = t(df)·s/√n_λ. λ with a collapsed seed lend to each
    other only, since that is a spread of another kind; one with a diverged seed lends nothing and gets no
    interval: trials at chance have no spread.

    Args:
        points: Rows of `at_best_settings(score(...))`.
        value: The column to average.
        apart: Further columns that tell groups of seeds apart, which lend each other their spread as λ do.

    Returns:
        Columns of `apart`, architecture, dataset, lambda, mean, n, diverged (count), df, low, high; the last two are
        missing when df < `MIN_DF` or a seed diverged. Rows with n = 0 have no mean.
    """
    by = [*apart, *CELL, "lambda"]
    values = points.assign(diverged=points["outcome"] == "diverged", collapsed=points["outcome"] == "collapsed")
    table = values.groupby(by).agg(
        mean=(value, "mean"), n=(value, "count"), var=(value, "var"),
        diverged=("diverged", "sum"), collapsed=("collapsed", "any"),
    )  # fmt: skip
    table = table.reset_index()
    lends = (table["diverged"] == 0) & (table["n"] > 1)
    table["df"] = (table["n"] - 1).where(lends, 0)
    table["ss"] = (table["var"] * table["df"]).where(lends, 0.0)
    pooled = table.groupby([*CELL, "collapsed"])[["df", "ss"]].transform("sum")
    table["df"] = pooled["df"].astype(int)
    shown = (table["df"] >= MIN_DF) & (table["diverged"] == 0) & (table["n"] > 0)
    df, n = table["df"].clip(lower=1), table["n"].clip(lower=1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, df) * np.sqrt(pooled["ss"] / df / n)
    table["low"], table["high"] = (table["mean"] - half).where(shown), (table["mean"] + half).where(shown)
    return table.drop(columns=["var", "ss", "collapsed"])


def rank_agreement(loss: pd.Series, accuracy: pd.Series) -> RankCorrelation:
    """Spearman's -ρ between loss and accuracy (1: the lower the loss, the higher the accuracy).

    Args:
        loss: Any non-finite but present value ranks worst; a missing one drops the pair.
        accuracy: A missing one drops the pair.
    """
    kept = loss.notna() & accuracy.notna()
    ranks = stats.rankdata(loss[kept].replace(-np.inf, np.inf)), stats.rankdata(accuracy[kept])
    n = int(kept.sum())
    if n < MIN_PAIRS or any(np.ptp(rank) == 0 for rank in ranks):
        return RankCorrelation(agreement=None, n=n)
    return RankCorrelation(agreement=-float(stats.spearmanr(*ranks).statistic), n=n)


def agreements(scored: pd.DataFrame) -> dict[tuple[str, str], RankCorrelation]:
    """`rank_agreement` over the trials of each (architecture, dataset)."""
    cells = scored[scored["dataset"].isin(labelled(scored))].groupby(CELL)
    return {
        (str(architecture), str(dataset)): rank_agreement(cell["loss"], cell["test"])
        for (architecture, dataset), cell in cells
    }
