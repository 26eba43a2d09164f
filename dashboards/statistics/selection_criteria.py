"""Criteria that choose a trial without labels: each a pure function of the table, more is better.

A criterion compares trials of one choice only: the λ (and other settings) of one architecture on one data
set, or λ and architecture on one data set. A missing measure is a missing score, never a bad one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboards.statistics.judge_ranks import scaled_losses
from dashboards.statistics.scores import MIN_PAIRS, column
from lejepa_core.geometry.cloud import MIN_SPREAD

Score = Callable[[pd.DataFrame, Sequence[str]], pd.Series]
"""Scored rows of `statistics.scores.score` and the columns that delimit one choice -> a score per row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """A way to choose that needs no labels."""

    label: str
    """For people."""
    about: str
    """What is looked at, and what counts as good."""
    score: Score


def scaled_loss(alpha: float) -> Score:
    """-loss / λ^α; a trial at λ = 0 has none unless α = 0."""

    def of(table: pd.DataFrame, by: Sequence[str]) -> pd.Series:
        lam = table["lambda"].to_numpy(dtype=float)
        possible = (lam > 0) | (alpha == 0)
        lam_N = np.where(lam > 0, lam, 1.0)
        loss = scaled_losses(table["loss"].to_numpy(dtype=float), lam_N, np.array([alpha]))[0]
        return pd.Series(np.where(possible, -loss, np.nan), index=table.index)

    return of


def largest(name: str) -> Score:
    """The column itself."""
    return lambda table, by: column(table, name)


def nearest(name: str, target: float) -> Score:
    """-|column - target|."""
    return lambda table, by: -(column(table, name) - target).abs()


def matched_prediction(table: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """How far held-out prediction loss lies below that of trials with the same held-out SIGReg.

    Along λ the one falls as the other rises, so that no two λ have the same SIGReg and a tolerance would
    compare seeds only. Instead log prediction is regressed on log SIGReg over the live trials of the
    choice, and minus the residual is the score: along λ this finds the knee of the trade-off, between
    architectures the one that predicts better at equal SIGReg. With fewer than `MIN_PAIRS` live trials, or
    one SIGReg for all, there is no line and no score.
    """
    x, y = (_log(column(table, f"heldout/{name}")) for name in ("sigreg", "prediction"))
    fitted = x.notna() & y.notna() & ~dead_runs(table)
    scores = pd.Series(np.nan, index=table.index)
    for _, part in table.groupby(list(by)):
        there = part.index[fitted.loc[part.index]]
        if len(there) < MIN_PAIRS or np.ptp(x[there]) < 1e-9:
            continue
        slope, level = np.polyfit(x[there], y[there], 1)
        scores[part.index] = level + slope * x[part.index] - y[part.index]
    return scores


def _log(values: pd.Series) -> pd.Series:
    return np.log(values.where(values > 0))


def dead_runs(table: pd.DataFrame) -> pd.Series:
    """Diverged, collapsed, or with a spread of held-out projections below `MIN_SPREAD`."""
    failed = table["outcome"].isin(("collapsed", "diverged"))
    return failed | (column(table, "geometry/spread") < MIN_SPREAD)


CRITERIA: Final[Mapping[str, Criterion]] = {
    "loss": Criterion(label="loss", about="lowest training loss, last epoch", score=scaled_loss(0)),
    "loss_0.4": Criterion(label="loss / λ^0.4", about="lowest, α as the paper advises", score=scaled_loss(0.4)),
    "matched_prediction": Criterion(
        label="prediction at matched SIGReg",
        about="lowest held-out prediction loss given held-out SIGReg: residual of their log-log line",
        score=matched_prediction,
    ),
    "sigreg_floor": Criterion(
        label="SIGReg at its floor",
        about="held-out SIGReg nearest to what N(0, I) gives",
        score=nearest("heldout/sigreg_share", 0),
    ),
    "rankme": Criterion(
        label="RankMe",
        about="largest effective rank of embeddings (arXiv 2210.02885)",
        score=largest("geometry/embedding_rank"),
    ),
    "alpha_req": Criterion(
        label="α-ReQ",
        about="decay exponent of the embeddings' spectrum nearest to 1 (arXiv 2202.05808)",
        score=nearest("geometry/alpha_req", 1),
    ),
    "lidar": Criterion(
        label="LiDAR",
        about="largest discriminant rank of embeddings (arXiv 2312.04000)",
        score=largest("geometry/lidar"),
    ),
    "projection_lidar": Criterion(
        label="LiDAR of projections",
        about="largest discriminant rank of projections",
        score=largest("geometry/projection_lidar"),
    ),
    "retrieval": Criterion(
        label="view retrieval",
        about="most held-out images whose other view's embedding is nearest",
        score=largest("heldout/retrieval_top1"),
    ),
    "projection_retrieval": Criterion(
        label="view retrieval by projections",
        about="the same by projections",
        score=largest("heldout/retrieval_projection_top1"),
    ),
}
COMBINATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "retrieval+rankme": ("retrieval", "rankme"),
    "retrieval+lidar": ("retrieval", "lidar"),
    "retrieval+sigreg_floor": ("retrieval", "sigreg_floor"),
    "retrieval+matched_prediction": ("retrieval", "matched_prediction"),
}
"""Mean of ranks within (choice, seed); fixed before any result was seen."""
MIXED: Final = ("retrieval", "rankme", "lidar", "sigreg_floor")
"""Whose weights the fitted combination chooses on other groups."""


def rank_within(scores: pd.Series, table: pd.DataFrame, by: Sequence[str], guarded: bool) -> pd.Series:
    """Ranks of scores among the trials of one choice and seed, in (0, 1), the best highest.

    A diverged trial ranks worst by every criterion, since there is no encoder to take. Guarded, dead trials
    rank among themselves, in (-1, 0), and the live ones as if the dead ones were not there.

    Returns:
        NaN where the score is missing.
    """
    worst = scores.mask(table["outcome"] == "diverged", -np.inf)
    dead = dead_runs(table) & guarded
    parts = worst.groupby([*(table[name] for name in by), table["seed"], dead])
    return (parts.rank() - 0.5) / parts.transform("count") - dead.astype(float)
