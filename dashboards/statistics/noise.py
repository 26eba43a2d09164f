"""How far accuracies are from what they estimate: the spread of trainings, and that of the sample of test images.

Seeds and test images are crossed: every training is judged on the same images. Resampling both in turn counts
what a training does with an image twice, since it is in the spread of the seeds already. So the images' part is
estimated from pairs of *different* trainings alone: what they have in common can only come from the images.
"""
# C cells, S seeds, L lambdas, N test images, G groups

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dashboards.statistics.images import Images
from dashboards.statistics.regret import Grid, mean_of

Floats = npt.NDArray[np.float64]
SWEEPS: Final = 30
"""Of the additive fit to a table with holes; without holes one is exact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedNoise:
    """Variance of one training's accuracy around what its cell and λ would give on average."""

    variance_CL: Floats
    df_C: Floats
    """Degrees of freedom behind each cell's."""


def seed_noise(values_CSL: Floats, paired: bool) -> SeedNoise:
    """Variance over seeds, each cell's own times the profile over λ that all cells share.

    Args:
        values_CSL: NaN where missing.
        paired: Whether what a seed has in common over λ is taken out, as it is in differences between λ.
    """
    there = np.isfinite(values_CSL)
    rest = residuals(values_CSL, paired)
    n_C = there.sum(axis=(1, 2))
    rows_C, columns_C = there.any(axis=2).sum(axis=1), there.any(axis=1).sum(axis=1)
    df_C = n_C - columns_C - (np.maximum(rows_C - 1, 0) if paired else 0)
    variance_C = np.where(df_C > 0, (rest**2).sum(axis=(1, 2)) / np.maximum(df_C, 1), np.nan)
    pooled = float(mean_of(np.where(df_C > 0, variance_C, np.nan), axis=0))
    profile_L = (rest**2).sum(axis=(0, 1)) / np.maximum(there.sum(axis=(0, 1)), 1)
    mean = float(profile_L[there.any(axis=(0, 1))].mean())
    profile_L = profile_L / mean if mean > 0 else np.ones_like(profile_L)
    filled_C = np.where(np.isfinite(variance_C), variance_C, pooled)
    return SeedNoise(variance_CL=filled_C[:, None] * profile_L, df_C=df_C.astype(float))


def residuals(values_CSL: Floats, paired: bool) -> Floats:
    """What is left of each cell's table after its means over seeds (and over λ, if paired); 0 where missing."""
    rest = values_CSL - mean_of(values_CSL, axis=1)[:, None, :]
    if paired:
        for _ in range(1 if np.isfinite(values_CSL).all() else SWEEPS):
            rest = rest - mean_of(rest, axis=2)[:, :, None]
            rest = rest - mean_of(rest, axis=1)[:, None, :]
    return np.nan_to_num(rest)


def image_variance(contributions_GN: Floats) -> float:
    """Variance that the sample of images gives to Σ_g of group means, from pairs of different groups.

    Args:
        contributions_GN: Each group's (training's, architecture's) weighted score on each image.

    Returns:
        G / (G - 1) · Σ_{g≠h} cov(g, h) / N, at least 0; 0 for fewer than two groups or images.
    """
    groups, n = contributions_GN.shape
    if groups < 2 or n < 2:
        return 0.0
    common = contributions_GN.sum(axis=0).var(ddof=1) - contributions_GN.var(axis=1, ddof=1).sum()
    return max(0.0, groups / (groups - 1) * float(common) / n)


def contributions(grid: Grid, images: Images, weights_CSL: Floats, by: str) -> dict[str, Floats]:
    """Weighted right answers per image: data set -> (G, N), by `seed` or by `architecture`."""
    found = {}
    for dataset, scores in images.scores.items():
        own = [index for index, (_, name) in enumerate(grid.cells) if name == dataset]
        weights = weights_CSL[own].astype(np.float32)
        axes = "csl,csln->sn" if by == "seed" else "csl,csln->cn"
        found[dataset] = np.einsum(axes, weights, np.nan_to_num(scores), optimize=True).astype(float)
    return found


def image_covariance(scores_CSLN: npt.NDArray[np.float32]) -> Floats:
    """Covariance that the sample of images gives to one data set's mean accuracies, from pairs of different seeds.

    Returns:
        (C·L, C·L), made positive semi-definite; zeros for fewer than two seeds or images.
    """
    cells, seeds, lambdas, n = scores_CSLN.shape
    if seeds < 2 or n < 2:
        return np.zeros((cells * lambdas, cells * lambdas))
    scores = np.nan_to_num(scores_CSLN).swapaxes(0, 1).reshape(seeds, cells * lambdas, n)
    centred = scores - scores.mean(axis=2, keepdims=True)
    whole = centred.sum(axis=0)
    both = whole @ whole.T - sum(own @ own.T for own in centred)
    values, vectors = np.linalg.eigh(both.astype(float) / (seeds * (seeds - 1)) / (n - 1) / n)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)
