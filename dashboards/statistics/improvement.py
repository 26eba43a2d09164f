"""How often one λ beats another: probability of improvement, Agarwal et al., NeurIPS 2021 (arXiv 2108.13264)."""
# B permutations, C cells, S seeds

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.scores import CELL

Floats = npt.NDArray[np.float64]

PERMUTATIONS: Final = 999


@dataclass(frozen=True, kw_only=True, slots=True)
class Improvement:
    """How often a run at one λ beats a run at another within a cell, averaged over cells."""

    better: float
    """The λ that is asked about."""
    than: float
    probability: float | None
    """P(X > Y) + P(X = Y) / 2; None without common cells."""
    p: float | None
    """Two-sided, the two labels exchanged at random within each (cell, seed): trials are paired by seed.
    Not adjusted for the number of comparisons. None without common seeds."""
    cells: int
    note: str


def improvements(
    points: pd.DataFrame, value: str = "test", permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[Improvement, ...]:
    """Probability of improvement between every two λ.

    Within a cell all pairs of runs are compared, as in Agarwal et al. (the Mann-Whitney statistic divided by
    the number of pairs); cells weigh the same.

    Args:
        points: Rows of `at_best_settings(score(...))` of a grid; each pair of λ takes the cells measured at both.
        value: The column to compare.
        permutations: For the p value, over the runs whose seed was measured at both λ.
        seed: Of the permutations.
    """
    there = points.dropna(subset=[value])
    by_cell = [part for _, part in there.groupby(CELL)]
    runs = [{float(str(lam)): part.set_index("seed")[value] for lam, part in c.groupby("lambda")} for c in by_cell]
    lambdas = sorted(float(lam) for lam in there["lambda"].unique())
    return tuple(
        _improvement(b, a, [r for r in runs if a in r and b in r], permutations, seed)
        for a, b in combinations(lambdas, 2)
    )


def _improvement(
    better: float, than: float, cells: Sequence[Mapping[float, pd.Series]], permutations: int, seed: int
) -> Improvement:
    if not cells:
        return Improvement(better=better, than=than, probability=None, p=None, cells=0, note="no common cells")
    each = [_superiority(cell[better].to_numpy(float), cell[than].to_numpy(float)) for cell in cells]
    pairs = [pd.concat([cell[better], cell[than]], axis=1, join="inner").to_numpy(dtype=float) for cell in cells]
    paired = [pair for pair in pairs if len(pair)]
    return Improvement(
        better=better,
        than=than,
        probability=float(np.mean(each)),
        p=_exchange(paired, permutations, seed) if paired else None,
        cells=len(cells),
        note="" if len(paired) == len(cells) else f"{len(cells) - len(paired)} cells have no common seed",
    )


def _superiority(x: Floats, y: Floats) -> float:
    difference = x[..., :, None] - y[..., None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def _exchange(pairs_CS2: Sequence[Floats], permutations: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    real, permuted_B = 0.0, np.zeros(permutations)
    for pair_S2 in pairs_CS2:
        swap_BS = rng.random((permutations, len(pair_S2))) < 0.5
        x_BS = np.where(swap_BS, pair_S2[:, 1], pair_S2[:, 0])
        y_BS = np.where(swap_BS, pair_S2[:, 0], pair_S2[:, 1])
        difference = x_BS[:, :, None] - y_BS[:, None, :]
        permuted_B += np.sign(difference).mean(axis=(1, 2))
        real += float(np.sign(pair_S2[:, None, 0] - pair_S2[None, :, 1]).mean())
    more = (np.abs(permuted_B) >= abs(real) - 1e-9).sum()
    return float((1 + more) / (1 + permutations))
