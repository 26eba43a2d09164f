"""Studies that might have been: the same cells with other seeds, drawn from what was measured.

A percentile bootstrap of two or three seeds is too narrow by √(S / (S - 1)) and more, and resampling images below
resampled seeds counts an image's luck with one training twice. Here the variance of trainings has its full degrees of
freedom, pooled as `noise.seed_noise` says, and the images' share is that of `noise.image_covariance`.
"""
# B draws, C cells, S seeds, L lambdas

from collections.abc import Callable

import numpy as np

from dashboards.statistics.images import Images
from dashboards.statistics.noise import Floats, image_covariance, residuals, seed_noise
from dashboards.statistics.regret import Grid, mean_of


def redraw(grid: Grid, images: Images, draws: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Validation and test accuracies of new seeds and new test images around smoothed means.

    What a seed does to all λ of a cell alike is left out: no difference between λ knows it. A training's luck on
    validation and test is drawn jointly; validation images stay as they are.

    Args:
        grid: Holes stay holes.
        images: Kept predictions; data sets without any get no images' share.
        draws: How many studies.
        seed: Of the draws.

    Returns:
        Two arrays (B, C, S, L).
    """
    rng = np.random.default_rng(seed)
    val, test = _trainings(grid, draws, rng, _smooth)
    return val, test + _image_luck(grid, images, draws, rng)[:, :, None, :]


def redraw_flat(grid: Grid, draws: int, seed: int = 0) -> tuple[Floats, Floats]:
    """The same around one level for all λ of a cell: what this study's seeds alone would show if λ did nothing.

    Permuting λ's labels tests whether it does nothing, but of a study in which it does something, permuted ones are no
    picture of its noise: one λ that fails spoils several means, and windows become narrow because λ matters.

    Args:
        grid: Holes stay holes.
        draws: How many studies.
        seed: Of the draws.

    Returns:
        Two arrays (B, C, S, L).
    """
    return _trainings(grid, draws, np.random.default_rng(seed), _level)


def _trainings(
    grid: Grid, draws: int, rng: np.random.Generator, around: Callable[[Floats, Floats], Floats]
) -> tuple[Floats, Floats]:
    test_noise, val_noise = seed_noise(grid.test_CSL, paired=True), seed_noise(grid.val_CSL, paired=True)
    shared = _correlation(residuals(grid.val_CSL, True), residuals(grid.test_CSL, True))
    shape = (draws, *grid.test_CSL.shape)
    of_test = rng.standard_normal(shape)
    of_val = shared * of_test + np.sqrt(1 - shared**2) * rng.standard_normal(shape)
    both = [
        around(values, noise.variance_CL)[:, None, :] + luck * np.sqrt(noise.variance_CL)[:, None, :]
        for values, noise, luck in ((grid.val_CSL, val_noise, of_val), (grid.test_CSL, test_noise, of_test))
    ]
    holes = ~(np.isfinite(grid.test_CSL) & np.isfinite(grid.val_CSL))
    val, test = (np.where(holes, np.nan, values) for values in both)
    return val, test


def _image_luck(grid: Grid, images: Images, draws: int, rng: np.random.Generator) -> Floats:
    luck = np.zeros((draws, len(grid.cells), len(grid.lambdas)))
    for dataset, scores in images.scores.items():
        own = [index for index, (_, name) in enumerate(grid.cells) if name == dataset]
        values, vectors = np.linalg.eigh(image_covariance(scores))
        drawn = rng.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
        luck[:, own] = drawn.reshape(draws, len(own), len(grid.lambdas))
    return luck


def _level(values_CSL: Floats, variance_CL: Floats) -> Floats:
    """Each cell's mean over λ, for all of them."""
    return np.broadcast_to(mean_of(mean_of(values_CSL, axis=1), axis=1)[:, None], variance_CL.shape)


def _smooth(values_CSL: Floats, variance_CL: Floats) -> Floats:
    """Means over seeds drawn together by the noise in them: λ's common curve to flat, each cell's to the common."""
    mean_CL = mean_of(values_CSL, axis=1)
    noise = float(mean_of((variance_CL / np.maximum(np.isfinite(values_CSL).sum(axis=1), 1)).ravel(), axis=0))
    level_C1 = mean_of(mean_CL, axis=1)[:, None]
    common_L = mean_of(mean_CL - level_C1, axis=0)
    own_CL = mean_CL - level_C1 - common_L
    cells = len(mean_CL)
    kept_common = _kept(common_L, noise / cells)
    return np.asarray(level_C1 + kept_common * common_L + _kept(own_CL, noise * (1 - 1 / cells)) * own_CL)


def _kept(values: Floats, noise: float) -> float:
    """The share of a spread that noise does not explain."""
    spread = float(np.nanvar(values))
    return max(0.0, 1 - noise / spread) if spread > 0 else 0.0


def _correlation(first: Floats, second: Floats) -> float:
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float(np.clip((first * second).sum() / scale, -1, 1)) if scale > 0 else 0.0
