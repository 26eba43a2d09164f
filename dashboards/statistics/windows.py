"""The window of good λ: the widest run of neighbouring λ that lose at most ε to the chosen one."""
# B labellings, C cells, S seeds, L lambdas

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboards.statistics.crossfit import Choices, Floats, choose_on_others
from dashboards.statistics.regret import Grid, mean_of, widths

EPSILONS: Final = (0.005, 0.01, 0.02)
"""Losses of accuracy that count as none: 0.5, 1 and 2 points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Where one cell may be trained at little loss."""

    low: float
    high: float
    best: float
    """The λ that the window is measured from."""
    decades: float
    """log10(high / low); a run that begins at λ = 0 counts from its first positive λ."""
    censored_low: bool
    """The window, or its best λ, lies at the smallest λ measured: it may go on below."""
    censored_high: bool
    """The same at the largest λ."""
    n: int
    """λ inside."""


def window(regret_L: Floats, lambdas: Floats, eps: float, best: int | None = None) -> Window | None:
    """The window of one curve.

    Args:
        regret_L: What each λ loses, NaN where it was not measured, which ends a run.
        lambdas: (L,), ascending.
        eps: In the unit of the regret.
        best: Index of the λ it is lost to; None for the λ that loses least.

    Returns:
        Of runs equally wide that with the best λ, else the one at smaller λ; None where no λ is inside.
    """
    inside = np.nan_to_num(regret_L, nan=np.inf) <= eps + 1e-12
    if not inside.any():
        return None
    at = int(np.nanargmin(regret_L)) if best is None else best
    first, last = min(
        _runs(inside), key=lambda run: (-_decades(run[0], run[1], lambdas), not run[0] <= at <= run[1], run[0])
    )
    measured = np.flatnonzero(np.isfinite(regret_L))
    return Window(
        low=float(lambdas[first]),
        high=float(lambdas[last]),
        best=float(lambdas[at]),
        decades=_decades(first, last, lambdas),
        censored_low=bool(min(first, at) <= measured[0]),
        censored_high=bool(max(last, at) >= measured[-1]),
        n=last - first + 1,
    )


def _runs(inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]])))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]


def _decades(first: int, last: int, lambdas: Floats) -> float:
    positive = lambdas[first : last + 1][lambdas[first : last + 1] > 0]
    return float(np.log10(positive[-1] / positive[0])) if len(positive) else 0.0


def lost_to_chosen(val_BCSL: Floats, test_BCSL: Floats, choices: Choices | None = None) -> Floats:
    """What each λ loses on test to the λ that the other seeds choose on validation.

    The chosen λ's accuracy is that of seeds which did not choose it, so that luck does not raise the bar. With one
    seed there are no others: λ is then chosen and reported on the same trainings.

    Returns:
        (B, C, L): mean over seeds; negative where a λ is better than the chosen one.
    """
    made = choices or choose_on_others(val_BCSL, test_BCSL)
    at_best = np.take_along_axis(test_BCSL, made.best_BCS[..., None], axis=3)[..., 0]
    reference_BC = mean_of(np.where(made.valid_BCS, at_best, np.nan), axis=2)
    if test_BCSL.shape[2] == 1:
        reference_BC = _at_own_best(val_BCSL[:, :, 0], test_BCSL[:, :, 0])
    return np.asarray(reference_BC[..., None] - mean_of(test_BCSL, axis=2))


def _at_own_best(val_BCL: Floats, test_BCL: Floats) -> Floats:
    best = np.where(np.isnan(val_BCL), -np.inf, np.round(val_BCL, 12)).argmax(axis=2)
    return np.take_along_axis(test_BCL, best[..., None], axis=2)[..., 0]


def median_width(lost_BCL: Floats, lambdas: Floats, eps: float) -> Floats:
    """(B,): median over cells of the window's width in decades; cells without any reference are left out."""
    known_C = np.isfinite(lost_BCL).any(axis=(0, 2))
    if not known_C.any():
        return np.full(len(lost_BCL), np.nan)
    return np.asarray(np.median(widths(lost_BCL[:, known_C], lambdas, eps), axis=1))


def cell_windows(grid: Grid, eps: float) -> pd.DataFrame:
    """Each cell's window, measured from the λ with the best mean validation accuracy.

    Returns:
        Columns architecture, dataset, low, high, best, decades, censored_low, censored_high, n; a cell in which no
        λ comes within `eps` of the chosen one's accuracy has missing values and n = 0.
    """
    lost_CL = lost_to_chosen(grid.val_CSL[None], grid.test_CSL[None])[0]
    val_CL = mean_of(np.where(np.isfinite(grid.test_CSL), grid.val_CSL, np.nan), axis=1)
    rows = []
    for (architecture, dataset), lost_L, val_L in zip(grid.cells, lost_CL, val_CL, strict=True):
        best = int(np.where(np.isnan(val_L), -np.inf, np.round(val_L, 12)).argmax())
        found = window(lost_L, grid.lambdas, eps, best)
        row = {name: getattr(found, name, None) for name in Window.__slots__} | {"n": found.n if found else 0}
        rows.append({"architecture": architecture, "dataset": dataset, **row})
    return pd.DataFrame(rows, columns=["architecture", "dataset", *Window.__slots__])
