"""Is the loss a judge of accuracy that needs no labels? C(α) = -Spearman(loss / λ^α, test accuracy).

After arXiv 2511.08544, eq. 8, which pools trials over λ, learning rate and weight decay, failed ones
included; here also within cells and within data sets, with and without failed trials. α is a free
parameter: what its best value reaches on the trials that chose it is optimistic, so it is chosen on
others and judged on those held out, beside what chance gives.
"""
# A alphas, B resamples, P permutations, N trials, G groups

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.judge_alpha import Agreements, AlphaChoice, choose_alpha
from dashboards.statistics.judge_points import (
    SCOPES,
    Points,
    Scope,
    foldable,
    groups,
    judges,
    make_points,
    permute_runs,
    pooled_axes,
    resample_runs,
)
from dashboards.statistics.judge_ranks import scaled_losses, weighted_agreement
from dashboards.statistics.regret import Floats, Indices, mean_of

ALPHAS: Final[Floats] = np.round(np.linspace(-0.5, 1.5, 61), 12)
RESAMPLES: Final = 1000
PERMUTATIONS: Final = 500
QUANTILES: Final = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """C(α) of one scope."""

    scope: Scope
    live: bool
    """Whether collapsed and diverged trials are left out."""
    agreement_A: Floats
    """Mean over groups; NaN where no group has one."""
    low_A: Floats | None
    """2.5 % quantile over resamples of the runs, (cell, seed), within each cell: for these cells and other
    seeds. None where there are too few seeds (`judge_points.MIN_FREE_RUNS`)."""
    high_A: Floats | None
    """97.5 % quantile."""
    groups_GA: Mapping[str, Floats]
    """C(α) of each group: `ARCHITECTURE on DATASET`, data set, or `all`."""
    n: int
    """Trials in those groups."""
    without: Mapping[str, int]
    """Groups without C: fewer than `MIN_PAIRS` trials, or all equal -> their trials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Everything there is to say about the loss as a judge."""

    alphas_A: Floats
    curves: tuple[Curve, ...]
    """Each scope, with all trials and with the live ones."""
    choices: tuple[AlphaChoice, ...]
    """Each scope, all or live trials, and each of architecture, data set and seed that can be held out."""
    axes: tuple[str, ...]
    """Over what the trials of one cell differ, so that C pools over it."""
    n: int
    """Trials with a loss and an accuracy."""
    failed: int
    """Collapsed or diverged ones of them."""
    left_out: Mapping[str, int]
    """Reason -> trials of the table that are not among the `n`."""


def judge(
    trials: pd.DataFrame,
    alphas_A: Floats = ALPHAS,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Judgement:
    """C(α) with bands, and the best α cross-fitted.

    Args:
        trials: `Results.trials`. A diverged trial has the worst loss (all of them tie) and chance accuracy.
        alphas_A: Exponents, ascending; must hold 0.
        resamples: Of the bands.
        permutations: Of the nulls.
        seed: Of both.
    """
    points = make_points(trials)
    losses_AN = scaled_losses(points.loss_N, points.lambda_N, alphas_A)
    masks = {False: np.ones(points.n, dtype=bool), True: points.live_N}
    curves, choices = [], []
    for live, mask_N in masks.items():
        weights_BN = resample_runs(points, mask_N, resamples, seed)
        orders_PN = permute_runs(points, mask_N, permutations, seed)
        for scope in SCOPES:
            curves.append(_curve(points, losses_AN, scope, live, mask_N, weights_BN))
            agree = Agreements(points=points, losses_AN=losses_AN, scope=scope, orders_PN=orders_PN)
            for leave in foldable(points, mask_N):
                choice = choose_alpha(agree, alphas_A, live, leave, mask_N)
                choices += [choice] if choice else []
    return Judgement(
        alphas_A=alphas_A,
        curves=tuple(curves),
        choices=tuple(choices),
        axes=pooled_axes(trials),
        n=points.n,
        failed=int((~points.live_N).sum()),
        left_out=points.left_out,
    )


def _curve(
    points: Points,
    losses_AN: Floats,
    scope: Scope,
    live: bool,
    mask_N: npt.NDArray[np.bool_],
    weights_BN: Floats | None,
) -> Curve:
    all_groups = groups(points, scope, mask_N)
    usable = {name: there for name, there in all_groups.items() if judges(points, there)}
    ones = np.ones((1, points.n))
    found = {name: _weighted(points, losses_AN, there, ones)[:, 0] for name, there in usable.items()}
    band: tuple[Floats | None, Floats | None] = (None, None)
    if weights_BN is not None and usable:
        each_GAB = [_weighted(points, losses_AN, there, weights_BN) for there in usable.values()]
        mean_AB = mean_of(np.stack(each_GAB), axis=0)
        if np.isfinite(mean_AB).any(axis=1).all():
            low_A, high_A = np.nanquantile(mean_AB, QUANTILES, axis=1)
            band = (low_A, high_A)
    return Curve(
        scope=scope,
        live=live,
        agreement_A=mean_of(np.stack(list(found.values())), axis=0) if found else np.full(len(losses_AN), np.nan),
        low_A=band[0],
        high_A=band[1],
        groups_GA=found,
        n=sum(len(there) for there in usable.values()),
        without={name: len(there) for name, there in all_groups.items() if name not in usable},
    )


def _weighted(points: Points, losses_AN: Floats, there: Indices, weights_BN: Floats) -> Floats:
    return weighted_agreement(losses_AN[:, there], points.accuracy_N[there], weights_BN[:, there])
