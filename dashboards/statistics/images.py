"""Kept predictions: which test images each trial got right, the same images in the same order for all of a data set."""
# C cells of one data set, S seeds, L lambdas, N test images

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.regret import Grid
from lejepa_platform.errors import StudyError

Bools = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]
PROBES: Final = ("linear", "knn")


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """What the trials of a grid got right, image by image."""

    scores: Mapping[str, Singles]
    """Data set -> (C, S, L, N), cells in the grid's order; 1 right, 0 wrong, NaN where a trial kept none."""


def read_correct(
    study: Path, datasets: Mapping[str, str], probe: Literal["linear", "knn"] = "linear"
) -> dict[str, pd.Series]:
    """Which test images each trial got right, aligned by image within a data set.

    Args:
        study: The study's folder.
        datasets: Trial key -> data set; trials of one data set are cut to the images that all of them have.
        probe: Whose predictions.

    Returns:
        Trial key -> bool values indexed by image, ascending. A trial without readable predictions is not there.

    Raises:
        StudyError: There is no such probe.
    """
    if probe not in PROBES:
        raise StudyError(f"unknown probe {probe!r} of kept predictions; wanted one of: {', '.join(PROBES)}")
    found = {key: _read(study / "trials" / key / "predictions.npz", probe) for key in datasets}
    kept = {key: series for key, series in found.items() if series is not None}
    common: dict[str, pd.Index] = {}
    for key, series in kept.items():
        name = datasets[key]
        common[name] = common[name].intersection(series.index) if name in common else series.index
    return {key: series.loc[common[datasets[key]].sort_values()] for key, series in kept.items()}


def _read(path: Path, probe: str) -> pd.Series | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            right = held[probe] == held["label"]
            return pd.Series(right, index=pd.Index(held["index"], name="image"), dtype=bool)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def align(grid: Grid, points: pd.DataFrame, correct: Mapping[str, pd.Series]) -> Images:
    """Arrange kept predictions as the grid's accuracies are.

    Args:
        grid: `make_grid(points)`.
        points: One row per (cell, seed, λ), with `key`.
        correct: From `read_correct`.

    Returns:
        Scores of the trials that the grid has; a diverged trial, which keeps none, is NaN here.
    """
    shape = (len(grid.seeds), len(grid.lambdas))
    seeds = {seed: index for index, seed in enumerate(grid.seeds)}
    lambdas = {float(lam): index for index, lam in enumerate(grid.lambdas)}
    scores: dict[str, Singles] = {}
    for dataset in dict.fromkeys(dataset for _, dataset in grid.cells):
        order = {architecture: i for i, architecture in enumerate(a for a, d in grid.cells if d == dataset)}
        own = points[(points["dataset"] == dataset) & points["key"].isin(list(correct))]
        own = own[own["architecture"].isin(list(order)) & own["lambda"].isin(list(lambdas))]
        if own.empty:
            continue
        n = _number_of_images(correct[key] for key in own["key"])
        held = np.full((len(order), *shape, n), np.nan, dtype=np.float32)
        for architecture, seed, lam, key in own[["architecture", "seed", "lambda", "key"]].itertuples(index=False):
            held[order[architecture], seeds[int(seed)], lambdas[float(lam)]] = correct[key].to_numpy()
        scores[dataset] = held
    return Images(scores=scores)


def _number_of_images(series: Iterable[pd.Series]) -> int:
    return len(next(iter(series)))
