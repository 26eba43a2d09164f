"""Cross-fitting over seeds: λ is chosen on the other seeds' validation and judged on the held-out seed's test.

Every measure of stability here is linear in the held-out accuracies, Σ a_csl · y_csl, with weights a that the
held-out training had no part in. So noise does not look like an effect: where λ does nothing, the expected
regret, cost and sensitivity are 0, which is not so for a λ chosen and reported on the same runs.
"""
# B labellings, C cells, S seeds, L lambdas

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dashboards.statistics.regret import fixed_lambda

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
PERCENTILES: Final = (5.0, 95.0)
"""Between which the scores of an environment count as 0 and 1 in Φ (Adkins et al., arXiv 2412.07165)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the other seeds would choose for each held-out seed."""

    best_BCS: Indices
    """λ of the best mean validation accuracy; ties go to the smaller λ."""
    worst_BCS: Indices
    """λ of the worst one."""
    shared_BS: Indices
    """The one λ for all cells with the least mean loss of validation accuracy."""
    scale_BCS: Floats
    """95th less 5th percentile over λ of the other seeds' mean test accuracy."""
    valid_BCS: Bools
    """Whether the held-out seed has a λ that the other seeds have too."""


def choose_on_others(val_BCSL: Floats, test_BCSL: Floats) -> Choices:
    """Choose for each held-out seed among the λ that it and the other seeds have.

    Args:
        val_BCSL: Validation accuracies, NaN where missing.
        test_BCSL: Test accuracies, NaN in the same places.
    """
    both = np.isfinite(val_BCSL) & np.isfinite(test_BCSL)
    others_BCSL = np.round(_others_mean(np.where(both, val_BCSL, np.nan)), 12)
    known = both & np.isfinite(others_BCSL)
    high = np.where(known, others_BCSL, -np.inf)
    low = np.where(known, others_BCSL, np.inf)
    loss_BSCL = np.where(known, high.max(axis=3, keepdims=True) - others_BCSL, np.nan).swapaxes(1, 2)
    b, c, s, n_lambdas = val_BCSL.shape
    loss = np.asarray(np.round(loss_BSCL, 12), dtype=np.float64).reshape(b * s, c, n_lambdas)
    shared = fixed_lambda(loss).reshape(b, s)
    tests = _others_mean(np.where(both, test_BCSL, np.nan))
    return Choices(
        best_BCS=high.argmax(axis=3),
        worst_BCS=low.argmin(axis=3),
        shared_BS=shared,
        scale_BCS=spread(np.where(known, tests, np.nan)),
        valid_BCS=np.asarray(known.any(axis=3)),
    )


def spread(scores: Floats) -> Floats:
    """95th less 5th percentile over the last axis, missing values left out; 0 where nothing is there."""
    there = np.isfinite(scores)
    if there.all():
        low, high = np.percentile(scores, PERCENTILES, axis=-1)
    else:
        filled = np.where(there.any(axis=-1, keepdims=True), scores, 0.0)
        low, high = np.nanpercentile(filled, PERCENTILES, axis=-1)
    return np.asarray(high - low, dtype=float)


def weigh(
    valid_BCS: Bools, test_BCSL: Floats, plus: Indices, minus: Indices | None, scale: Floats | None = None
) -> Floats:
    """Weights a_csl of Σ a · y: mean over cells of the mean over held-out seeds of y_plus - y_minus.

    Args:
        valid_BCS: Which folds there are.
        test_BCSL: A fold without a result at either λ is left out, a cell without folds as well.
        plus: λ index of each (B, C, S).
        minus: The same for what is subtracted; None for nothing.
        scale: (B, C, S); each difference is divided by it, or counts 0 where it is 0.

    Returns:
        (B, C, S, L); all zero for what is left out.
    """
    n_lambdas = test_BCSL.shape[-1]
    kept_BCS = _kept(valid_BCS, test_BCSL, plus, minus)
    weights = _one_hot(plus, n_lambdas)
    if minus is not None:
        weights = weights - _one_hot(minus, n_lambdas)
    folds_BC = kept_BCS.sum(axis=2)
    cells_B = (folds_BC > 0).sum(axis=1)
    share = kept_BCS / np.maximum(folds_BC, 1)[..., None] / np.maximum(cells_B, 1)[:, None, None]
    if scale is not None:
        share = np.where(scale > 0, share / np.where(scale > 0, scale, 1.0), 0.0)
    return np.asarray(weights * share[..., None])


def _kept(valid_BCS: Bools, test_BCSL: Floats, plus: Indices, minus: Indices | None) -> Bools:
    there = np.isfinite(test_BCSL)
    kept_BCS = valid_BCS & np.take_along_axis(there, plus[..., None], axis=3)[..., 0]
    if minus is not None:
        kept_BCS = kept_BCS & np.take_along_axis(there, minus[..., None], axis=3)[..., 0]
    return np.asarray(kept_BCS)


def total(weights_BCSL: Floats, values_BCSL: Floats) -> Floats:
    """(B,): Σ over cells, seeds and λ of weight times value; a missing value has no weight."""
    return np.asarray((weights_BCSL * np.nan_to_num(values_BCSL)).sum(axis=(1, 2, 3)))


def weights_of(
    val_BCSL: Floats, test_BCSL: Floats, fixed: int | None, choices: Choices | None = None
) -> dict[str, Floats]:
    """The weights of every cross-fitted measure.

    Args:
        val_BCSL: Validation accuracies.
        test_BCSL: Test accuracies.
        fixed: Index of a λ given in advance; None for the one that the other seeds choose for all cells.
        choices: Those of `choose_on_others`, if they are there already.

    Returns:
        `regret` (of the fixed λ), `phi`, `worst` and `chosen` (accuracy at the chosen λ), each (B, C, S, L).
    """
    made = choices or choose_on_others(val_BCSL, test_BCSL)
    return {
        name: weigh(made.valid_BCS, test_BCSL, made.best_BCS, other, made.scale_BCS if name == "phi" else None)
        for name, other in _compared(made, fixed).items()
    }


def taking_part(val_CSL: Floats, test_CSL: Floats, fixed: int | None) -> dict[str, Bools]:
    """(C,): the cells that each measure of `weights_of` is a mean over, those of weight 0 included."""
    made = choose_on_others(val_CSL[None], test_CSL[None])
    return {
        name: np.asarray(_kept(made.valid_BCS, test_CSL[None], made.best_BCS, other)[0].any(axis=1))
        for name, other in _compared(made, fixed).items()
    }


def _compared(made: Choices, fixed: int | None) -> dict[str, Indices | None]:
    """What each measure subtracts from the accuracy at the best λ."""
    shared = np.broadcast_to(made.shared_BS[:, None, :], made.best_BCS.shape)
    at = shared if fixed is None else np.full_like(made.best_BCS, fixed)
    return {"regret": at, "phi": shared, "worst": made.worst_BCS, "chosen": None}


def _one_hot(index: Indices, n: int) -> Floats:
    return np.asarray(index[..., None] == np.arange(n), dtype=float)


def _others_mean(values_BCSL: Floats) -> Floats:
    """Mean over the other seeds for each seed; NaN where they have nothing."""
    there = np.isfinite(values_BCSL)
    n = there.sum(axis=2, keepdims=True) - there
    sums = np.where(there, values_BCSL, 0.0)
    return np.where(n > 0, (sums.sum(axis=2, keepdims=True) - sums) / np.maximum(n, 1), np.nan)
