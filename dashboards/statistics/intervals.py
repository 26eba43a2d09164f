"""95 % intervals for Σ a · y, a weighted sum of the accuracies of trials whose weights the trials had no part in.

Two kinds, which answer two questions. *These cells*: other seeds and other test images, the same architectures
and data sets. *New architectures*: the architectures are a sample as well, the data sets are the same.
"""
# C cells, S seeds, L lambdas, N test images

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import stats

from dashboards.statistics.crossfit import Floats
from dashboards.statistics.images import Images
from dashboards.statistics.noise import contributions, image_variance, seed_noise
from dashboards.statistics.regret import Grid, mean_of
from dashboards.statistics.scores import CONFIDENCE, Interval, t_interval

MIN_DF: Final = 5.0
"""Degrees of freedom of the seeds' spread, all cells together."""
MIN_ARCHITECTURES: Final = 5
"""With fewer, the spread between architectures is hardly known."""
MIN_IMAGES: Final = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Both ends of an interval, or why there is none."""

    low: float | None
    high: float | None
    note: str
    """What is random in it, or `too few ...`."""


def these_cells(grid: Grid, images: Images, weights_CSL: Floats, values_CSL: Floats, paired: bool) -> Range:
    """Interval over seeds and test images, cells fixed.

    Its target is Σ a · E[y], the expectation over trainings and images at these weights. The variance is
    Σ a² · (variance of a training) plus the images' share; t with Satterthwaite's degrees of freedom.

    Args:
        grid: Says which cell has which data set.
        images: Kept predictions; without any, the interval is for these test images.
        weights_CSL: The a; sums to 0 over λ if paired.
        values_CSL: The y, NaN where missing.
        paired: Whether the sum is one of differences between λ of one seed.
    """
    noise = seed_noise(values_CSL, paired)
    seeds_C = (weights_CSL**2 * noise.variance_CL[:, None, :]).sum(axis=(1, 2))
    freedom = _satterthwaite(seeds_C, noise.df_C)
    if noise.df_C.sum() < MIN_DF or not np.isfinite(seeds_C).all():
        return Range(low=None, high=None, note=f"too few seeds: {len(grid.seeds)} in {len(grid.cells)} cells")
    by_images = _image_part(grid, images, weights_CSL, "seed")
    known = bool(images.scores)
    return _range(
        float((weights_CSL * np.nan_to_num(values_CSL)).sum()),
        float(seeds_C.sum()),
        freedom,
        by_images,
        "these cells, other seeds" + (" and test images" if known else ", these test images"),
    )


def new_architectures(grid: Grid, images: Images, weights_CSL: Floats, values_CSL: Floats) -> Range:
    """Interval over architectures, seeds and test images, data sets fixed.

    A t-interval over the architectures' own sums, to whose spread seeds have added theirs already; what
    architectures have in common through the sample of images is added.
    """
    sums_C = (weights_CSL * np.nan_to_num(values_CSL)).sum(axis=(1, 2))
    names = np.array([architecture for architecture, _ in grid.cells])
    found = np.unique(names)
    if len(found) < MIN_ARCHITECTURES:
        note = f"too few architectures: {len(found)}, wanted {MIN_ARCHITECTURES}"
        return Range(low=None, high=None, note=note)
    sums_A = np.array([sums_C[names == name].sum() for name in found])
    by_images = _image_part(grid, images, weights_CSL, "architecture")
    variance = len(found) * float(sums_A.var(ddof=1))
    return _range(float(sums_C.sum()), variance, len(found) - 1, by_images, f"over {len(found)} architectures")


def of_cells(values_CS: Floats, architectures: Sequence[str]) -> tuple[Interval, str]:
    """The mean over cells of what each seed gave in each, with an interval.

    Over seeds, for these cells, where each has two or more: the variance of each cell's mean over its seeds, t with
    Satterthwaite's degrees of freedom; of one cell Student's. Else over architectures, if there are
    `MIN_ARCHITECTURES` that have the same number of cells, each the mean of its own.

    Args:
        values_CS: NaN where a seed has none; each cell has one.
        architectures: Of each cell.

    Returns:
        The interval, without ends where there are too few of both, and what it is over, or why there is none.
    """
    n_C, mean_C = np.isfinite(values_CS).sum(axis=1), mean_of(values_CS, axis=1)
    mean, cells = float(mean_C.mean()), len(values_CS)
    these = "this cell" if cells == 1 else f"these {cells} cells"
    seeds = int(n_C.max())
    if n_C.min() > 1 and (n_C - 1).sum() > 1:
        variance_C = np.nansum((values_CS - mean_C[:, None]) ** 2, axis=1) / (n_C - 1) / n_C / cells**2
        freedom = _satterthwaite(variance_C, (n_C - 1).astype(float))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance_C.sum()))
        return Interval(mean=mean, low=mean - half, high=mean + half, n=cells), f"over {seeds} seeds, for {these}"
    counts, names = Counter(architectures), np.array(architectures)
    if len(counts) >= MIN_ARCHITECTURES and len(set(counts.values())) == 1:
        each = t_interval([float(mean_C[names == name].mean()) for name in counts])
        return replace(each, n=cells), f"over {len(counts)} architectures"
    few = f"{these}, {seeds} seed{'s' * (seeds != 1)}: too few for an interval"
    return Interval(mean=mean, low=None, high=None, n=cells), few


def _range(value: float, variance: float, df: float, by_images: list[tuple[float, int]], note: str) -> Range:
    parts = np.array([variance, *(part for part, _ in by_images)])
    freedom = _satterthwaite(parts, np.array([df, *(n - 1 for _, n in by_images)], dtype=float))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(parts.sum()))
    return Range(low=value - half, high=value + half, note=note)


def _image_part(grid: Grid, images: Images, weights_CSL: Floats, by: str) -> list[tuple[float, int]]:
    """Variance and number of images of each data set."""
    found = contributions(grid, images, weights_CSL, by)
    return [(image_variance(values), values.shape[1]) for values in found.values() if values.shape[1] >= MIN_IMAGES]


def _satterthwaite(variances: Floats, df: Floats) -> float:
    used = (variances > 0) & (df > 0)
    if not used.any():
        return max(float(df.sum()), 1.0)
    return float(variances[used].sum() ** 2 / (variances[used] ** 2 / df[used]).sum())
