"""Which trials judge the loss, in which groups, and how they are resampled."""
# N trials, B resamples, P permutations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.regret import Floats, Indices
from dashboards.statistics.scores import MIN_PAIRS, SETTINGS, score

Scope = Literal["within cell", "within data set", "pooled"]
SCOPES: Final[tuple[Scope, ...]] = ("within cell", "within data set", "pooled")
Leave = Literal["architecture", "dataset", "seed"]
LEAVES: Final[tuple[Leave, ...]] = ("architecture", "dataset", "seed")
MIN_FREE_RUNS: Final = 12
"""Seeds beyond the first, summed over cells, that a band needs, and as a mean over cells:"""
MIN_FREE_RUNS_PER_CELL: Final = 1.5
"""Bands cover 90-97 % with three seeds, but 68-89 % with two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """The trials that have a loss and an accuracy, as arrays."""

    labels: Mapping[Leave, npt.NDArray[np.object_]]
    """(N,) each."""
    cell_N: Indices
    run_N: Indices
    """Number of the (cell, seed): trials of one run share initial weights, images and slices."""
    lambda_N: Floats
    loss_N: Floats
    """Mean of the last epoch; +inf if diverged."""
    accuracy_N: Floats
    """Test accuracy; chance if diverged."""
    live_N: npt.NDArray[np.bool_]
    """Neither collapsed nor diverged."""
    left_out: Mapping[str, int]
    """Why trials of the table are not here -> how many."""

    @property
    def n(self) -> int:
        """Number of trials."""
        return len(self.loss_N)


def make_points(trials: pd.DataFrame) -> Points:
    """The trials of a table that can judge the loss.

    Args:
        trials: `Results.trials`.
    """
    scored = score(trials)
    known = scored["loss"].notna() & scored["test"].notna()
    positive = scored["lambda"] > 0
    kept = scored[known & positive]
    left_out = {"without loss or accuracy": int((~known).sum()), "λ = 0": int((known & ~positive).sum())}
    return Points(
        labels={name: kept[name].to_numpy(dtype=object) for name in LEAVES},
        cell_N=_number(kept, ["architecture", "dataset"]),
        run_N=_number(kept, ["architecture", "dataset", "seed"]),
        lambda_N=kept["lambda"].to_numpy(dtype=float),
        loss_N=kept["loss"].to_numpy(dtype=float),
        accuracy_N=np.round(kept["test"].to_numpy(dtype=float), 12),
        live_N=(kept["outcome"] == "ok").to_numpy(dtype=bool),
        left_out={why: n for why, n in left_out.items() if n},
    )


def _number(table: pd.DataFrame, by: list[str]) -> Indices:
    return np.asarray(table.groupby(by).ngroup(), dtype=np.intp)


def pooled_axes(trials: pd.DataFrame) -> tuple[str, ...]:
    """Over what the points of one cell differ: some of λ, learning rate, weight decay and seed."""
    cells = trials.groupby(["architecture", "dataset"])
    names = ("lambda", *SETTINGS, "seed")
    return tuple(name for name in names if name in trials and (cells[name].nunique() > 1).any())


def groups(points: Points, scope: Scope, mask_N: npt.NDArray[np.bool_]) -> dict[str, Indices]:
    """Name of each group of a scope -> indices of its trials within the mask."""
    if scope == "pooled":
        names = np.full(points.n, "all", dtype=object)
    elif scope == "within data set":
        names = points.labels["dataset"]
    else:
        names = points.labels["architecture"] + " on " + points.labels["dataset"]
    inside = sorted(set(names[mask_N]))
    return {str(name): np.nonzero(mask_N & (names == name))[0] for name in inside}


def resample_runs(points: Points, mask_N: npt.NDArray[np.bool_], resamples: int, seed: int) -> Floats | None:
    """Weights of trials, (B, N): within each cell its runs, (cell, seed), are drawn again, trials together.

    Of S seeds S - 1 are drawn (Rao and Wu 1988): drawing S would make a spread too small by √((S-1)/S),
    which is 0.8 at three seeds. Cells with one seed stay as they are.

    Returns:
        None where there are too few seeds: see `MIN_FREE_RUNS`.
    """
    cells = [np.unique(points.run_N[mask_N & (points.cell_N == c)]) for c in np.unique(points.cell_N[mask_N])]
    free = sum(len(runs) - 1 for runs in cells)
    if free < max(MIN_FREE_RUNS, MIN_FREE_RUNS_PER_CELL * len(cells)):
        return None
    rng = np.random.default_rng(seed)
    weights_BR = np.ones((resamples, int(points.run_N.max()) + 1))
    for runs in cells:
        if len(runs) > 1:
            drawn = rng.multinomial(len(runs) - 1, np.full(len(runs), 1 / len(runs)), size=resamples)
            weights_BR[:, runs] = drawn * len(runs) / (len(runs) - 1)
    return weights_BR[:, points.run_N]


def permute_runs(points: Points, mask_N: npt.NDArray[np.bool_], permutations: int, seed: int) -> Indices:
    """Orders of trials, (1 + P, N): the first is the real one, the others permute within (cell, seed)."""
    rng = np.random.default_rng(seed)
    orders_PN = np.tile(np.arange(points.n), (1 + permutations, 1))
    for run in np.unique(points.run_N[mask_N]):
        there = np.nonzero(mask_N & (points.run_N == run))[0]
        shuffled = rng.random((permutations, len(there))).argsort(axis=1)
        orders_PN[1:, there] = there[shuffled]
    return orders_PN


def judges(points: Points, there: Indices) -> bool:
    """Whether a rank correlation of these trials means something: enough of them, neither side constant."""
    sides = (points.loss_N[there], points.accuracy_N[there])
    return len(there) >= MIN_PAIRS and all(len(np.unique(side)) > 1 for side in sides)


def foldable(points: Points, mask_N: npt.NDArray[np.bool_]) -> tuple[Leave, ...]:
    """What has at least two values, so that one of them can be held out."""
    return tuple(name for name in LEAVES if len(set(points.labels[name][mask_N])) > 1)
