"""What a λ costs against the λ one would have chosen, and what it would cost if λ did nothing.

Noise alone makes regret: the best of several equal λ looks better than the rest. So every measure has its null: what
it would be if λ did nothing.
"""
# B permutations, C cells, S seeds, L lambdas

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

WINDOW_EPS: Final = 0.01
"""A λ is inside the window when it loses at most this accuracy (1 point)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The labelled trials of a grid as arrays; NaN where nothing was measured."""

    cells: tuple[tuple[str, str], ...]
    """(architecture, dataset), each with at least one measured trial."""
    lambdas: Floats
    """Ascending."""
    seeds: tuple[int, ...]
    val_CSL: Floats
    test_CSL: Floats
    floor_CS: Floats

    def only(self, keep_L: Bools) -> "Grid":
        """The same over some λ alone."""
        test_CSL, val_CSL = self.test_CSL[..., keep_L], self.val_CSL[..., keep_L]
        return replace(self, lambdas=self.lambdas[keep_L], val_CSL=val_CSL, test_CSL=test_CSL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """The measures of one labelling, or of B of them along the first axis. Accuracies, not points."""

    chosen_BC: Indices
    """Index of the λ with the best mean validation accuracy; ties go to the smaller λ."""
    regret_BCL: Floats
    """Test accuracy lost to the chosen λ; negative where test disagrees with validation."""
    fixed_B: Indices
    """Index of the one λ for all cells that loses least on validation."""
    fixed_mean_B: Floats
    """Test regret of that λ, mean over cells."""
    fixed_max_B: Floats
    """Test regret of that λ in its worst cell."""
    worst_B: Floats
    """Regret of each cell's worst λ, mean over cells: how much λ can matter on this grid."""
    width_B: Floats
    """Median over cells of log10(λ_hi / λ_lo) of the widest run of λ within `WINDOW_EPS`."""


def make_grid(points: pd.DataFrame) -> Grid:
    """Arrange scored rows by (cell, seed, λ).

    Args:
        points: Rows of `statistics.at_best_settings`; those without both accuracies become NaN.
    """
    both = points.dropna(subset=["val", "test"])
    pairs = list(zip(both["architecture"].astype(str), both["dataset"].astype(str), strict=True))
    cells = tuple(sorted(set(pairs)))
    lambdas, seeds = np.unique(both["lambda"].to_numpy(dtype=float)), np.unique(both["seed"])
    shape = (len(cells), len(seeds), len(lambdas))
    order = pd.MultiIndex.from_product([range(len(cells)), seeds, lambdas])
    number = {cell: index for index, cell in enumerate(cells)}
    by = [
        np.array([number[pair] for pair in pairs], dtype=int),
        both["seed"].to_numpy(),
        both["lambda"].to_numpy(),
    ]
    means = both[["val", "test", "floor"]].groupby(by).mean().reindex(order)
    val, test, floor = (means[name].to_numpy(dtype=float).reshape(shape) for name in ("val", "test", "floor"))
    return Grid(
        cells=cells,
        lambdas=lambdas,
        seeds=tuple(int(seed) for seed in seeds),
        val_CSL=val,
        test_CSL=test,
        floor_CS=mean_of(floor, axis=2),
    )


def mean_of(values: Floats, axis: int) -> Floats:
    """Mean of what is there along an axis; NaN (and no warning) where nothing is."""
    n = np.isfinite(values).sum(axis=axis)
    return np.where(n > 0, np.nansum(values, axis=axis) / np.maximum(n, 1), np.nan)


def measure(val_BCL: Floats, test_BCL: Floats, lambdas: Floats) -> Measures:
    """Every measure of B labellings at once.

    Args:
        val_BCL: Validation accuracy, mean over seeds; NaN where missing, not for a whole cell.
        test_BCL: Test accuracy, NaN in the same places.
        lambdas: (L,), ascending.
    """
    # Rounded, since equal accuracies may differ in the last bit once averaged, and ties have a rule.
    known_BCL = np.where(np.isnan(val_BCL), -np.inf, np.round(val_BCL, 12))
    chosen_BC = known_BCL.argmax(axis=2)
    best_BC1 = np.take_along_axis(test_BCL, chosen_BC[..., None], axis=2)
    regret_BCL = best_BC1 - test_BCL
    fixed_B = fixed_lambda(np.round(known_BCL.max(axis=2, keepdims=True) - val_BCL, 12))
    at_fixed_BC = np.take_along_axis(regret_BCL, fixed_B[:, None, None], axis=2)[..., 0]
    return Measures(
        chosen_BC=chosen_BC,
        regret_BCL=regret_BCL,
        fixed_B=fixed_B,
        fixed_mean_B=mean_of(at_fixed_BC, axis=1),
        fixed_max_B=np.where(np.isnan(at_fixed_BC), -np.inf, at_fixed_BC).max(axis=1),
        worst_B=np.where(np.isnan(regret_BCL), -np.inf, regret_BCL).max(axis=2).mean(axis=1),
        width_B=np.median(widths(regret_BCL, lambdas), axis=1),
    )


def fixed_lambda(val_regret_BCL: Floats) -> Indices:
    """Index of the one λ for all cells that loses least, for each of B labellings; ties go to the smaller λ.

    A λ measured in easy cells only would look cheap: only the most widely measured ones compete.
    """
    n_BL = np.isfinite(val_regret_BCL).sum(axis=1)
    widely_BL = n_BL == n_BL.max(axis=1, keepdims=True)
    mean_BL = np.round(mean_of(val_regret_BCL, axis=1), 12)
    return np.where(widely_BL, mean_BL, np.inf).argmin(axis=1)


def widths(regret_BCL: Floats, lambdas: Floats, eps: float = WINDOW_EPS) -> Floats:
    """(B, C): log10(λ_hi / λ_lo) of the widest run of neighbouring λ that lose at most `eps`; a hole ends a run."""
    inside_BCL = np.nan_to_num(regret_BCL, nan=np.inf) <= eps + 1e-12
    width_BC = np.zeros(inside_BCL.shape[:2])
    start_BC = np.full(inside_BCL.shape[:2], np.nan)
    for index, lam in enumerate(lambdas):
        if lam <= 0:  # λ = 0 is infinitely many decades away
            continue
        start_BC = np.where(np.isnan(start_BC), np.log10(lam), start_BC)
        start_BC = np.where(inside_BCL[:, :, index], start_BC, np.nan)
        width_BC = np.fmax(width_BC, np.log10(lam) - start_BC)
    return width_BC


def observe(grid: Grid) -> Measures:
    """The measures of the real labels (B = 1)."""
    return measure(mean_of(grid.val_CSL, axis=1)[None], mean_of(grid.test_CSL, axis=1)[None], grid.lambdas)


def relabel(grid: Grid, permutations: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Validation and test accuracies after permuting λ's labels within each (cell, seed); holes stay where they are.

    Both of a trial move together: it is the label that is wrong, not the trial.

    Returns:
        Two arrays (B, C, S, L).
    """
    rng = np.random.default_rng(seed)
    shape = (permutations, *grid.test_CSL.shape)
    val, test = np.full(shape, np.nan), np.full(shape, np.nan)
    for c in range(len(grid.cells)):
        for s in range(len(grid.seeds)):
            (there,) = np.nonzero(np.isfinite(grid.test_CSL[c, s]))
            shuffled = there[rng.random((permutations, len(there))).argsort(axis=1)]
            val[:, c, s, there] = grid.val_CSL[c, s][shuffled]
            test[:, c, s, there] = grid.test_CSL[c, s][shuffled]
    return val, test


def new_seed_test(grid: Grid) -> Floats:
    """Test accuracy of a seed at the λ chosen on the validation accuracy of the *other* seeds.

    Choosing λ and reporting it on the same training runs flatters their luck; this does not.

    Returns:
        (C,), mean over seeds; NaN for cells with fewer than two seeds.
    """
    tests_CS = np.full(grid.test_CSL.shape[:2], np.nan)
    for s in range(len(grid.seeds)):
        others_CL = mean_of(np.delete(grid.val_CSL, s, axis=1), axis=1)
        # Only a λ that this seed has run can be reported for it.
        others_CL = np.where(np.isnan(grid.test_CSL[:, s]) | np.isnan(others_CL), -np.inf, others_CL)
        chosen_C = np.round(others_CL, 12).argmax(axis=1)
        possible_C = np.isfinite(others_CL.max(axis=1))
        tests_C = np.take_along_axis(grid.test_CSL[:, s], chosen_C[:, None], axis=1)[:, 0]
        tests_CS[:, s] = np.where(possible_C, tests_C, np.nan)
    return mean_of(tests_CS, axis=1)
