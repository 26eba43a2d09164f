"""Everything that is inferred from a study, once, for the page, the verdict and `summary.json` alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboards.results import Results
from dashboards.statistics.aggregate import LambdaAggregate, iqm_by_lambda
from dashboards.statistics.crossfit import choose_on_others
from dashboards.statistics.differences import CriticalDifference, compare_architectures, compare_lambdas
from dashboards.statistics.images import Images, align, read_correct
from dashboards.statistics.importance import Importances, importances
from dashboards.statistics.judge import Judgement, judge
from dashboards.statistics.ranks import RankStability, rank_stability
from dashboards.statistics.regret import Grid, make_grid, observe
from dashboards.statistics.scores import Interval, at_best_settings, labelled, score
from dashboards.statistics.selection import Selection, select
from dashboards.statistics.selection_best import Best, best_criterion
from dashboards.statistics.stability import NO_IMAGES, Difference, Estimate, Stability, differences, nearest, stability
from dashboards.statistics.variance import Variance, variance_shares
from dashboards.statistics.windows import cell_windows, lost_to_chosen
from lejepa_core.methods import Method, method_of

Json = dict[str, Any]
WINDOW_EPS: Final = 0.01
"""Accuracy: of the windows that are drawn."""
LARGE: Final = 2000
"""Trials beyond which fewer resamples must do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a study says; None or empty where it cannot say anything."""

    points: pd.DataFrame
    """Scored trials with accuracies, of a grid those of the best learning rate and weight decay at each λ."""
    grid: Grid
    stability: Stability | None = None
    iqm: tuple[LambdaAggregate, ...] = ()
    """Test accuracy at each λ, over cells."""
    against: Mapping[float, Difference] = field(default_factory=dict)
    """Each other λ against the one that loses least over all cells on validation."""
    by_dial: "DialWindow | None" = None
    """Of a variant."""
    windows: pd.DataFrame | None = None
    """`cell_windows` at `WINDOW_EPS`."""
    default: "DefaultLambda | None" = None
    ranks: RankStability | None = None
    lambdas: CriticalDifference | None = None
    """λ against each other, over cells."""
    architectures: CriticalDifference | None = None
    """Architectures against each other, over data sets and λ."""
    variance: Variance | None = None
    importances: tuple[Importances, ...] = ()
    """Of a search."""
    judgement: Judgement | None = None
    by_cell: Selection | None = None
    """Choosing λ in each cell."""
    by_dataset: Selection | None = None
    """Choosing architecture and λ on each data set."""
    best: Best | None = None
    """Criterion that chooses λ best."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DialWindow:
    """The window in decades of what λ comes to, which variants have in common where they have no λ in common."""

    dial: str
    """Name of that, see `methods.Method`."""
    width: Estimate | float
    """At `WINDOW_EPS`, median over cells; a number alone where one seed a cell allows no more."""
    wider: Mapping[float, Estimate]
    """The same where more may be lost: the largest loss, as a fraction -> width. Empty where `width` is a number."""
    grid: float
    """Width of the whole grid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DefaultLambda:
    """How the λ that its loss was published with, or what the grid has nearest to it, does."""

    published: float
    lam: float
    near: int
    """Cells in which it loses at most `WINDOW_EPS` to the chosen λ."""
    cells: int
    """Cells in which it was measured."""


def find(results: Results, study: Path | None = None, *, rough: bool = False) -> Findings:
    """Infer all that can be inferred.

    Args:
        results: From `read_results`, finished or not.
        study: The study's folder, if it is here: kept predictions make intervals that know of the test images.
        rough: Whether to be done within a second or two, by fewer resamples: for a page that is drawn again soon. Large
            studies are always treated so.
    """
    rough = rough or len(results.trials) > LARGE
    scored = score(results.trials)
    usable = scored[scored["dataset"].isin(labelled(scored))]
    points = usable if results.searched else at_best_settings(usable)
    grid = make_grid(points)
    if results.searched:
        found = importances(usable) if len(usable) else ()
        return Findings(points=points, grid=grid, importances=found, judgement=_judge(results.trials, usable, rough))
    if not grid.cells:
        return Findings(points=points, grid=grid)
    method = method_of(results.config)
    by_cell, by_dataset = _selections(results.trials, grid, rough, method.default)
    images = _images(grid, points, study)
    shared = float(grid.lambdas[observe(grid).fixed_B[0]])
    return Findings(
        points=points,
        grid=grid,
        stability=_stability(grid, images, rough),
        iqm=iqm_by_lambda(points),
        against=differences(grid, images, reference=shared),
        by_dial=_by_dial(grid, images, method, rough) if "part_of" in results.study else None,
        windows=cell_windows(grid, WINDOW_EPS),
        default=_default(grid, method.default),
        ranks=rank_stability(points),
        lambdas=compare_lambdas(points),
        architectures=compare_architectures(points),
        variance=variance_shares(points),
        judgement=_judge(results.trials, usable, rough),
        by_cell=by_cell,
        by_dataset=by_dataset,
        best=best_criterion(by_cell) if by_cell else None,
    )


def _stability(grid: Grid, images: Images, rough: bool) -> Stability | None:
    seeds = choose_on_others(grid.val_CSL[None], grid.test_CSL[None]).valid_BCS
    if not seeds.any() or len(grid.lambdas) < 2:
        return None
    return stability(grid, images, permutations=100 if rough else 500, draws=300 if rough else 2000)


def _by_dial(grid: Grid, images: Images, method: Method, rough: bool) -> DialWindow:
    over = replace(grid, lambdas=np.array([method.turned(float(lam)) for lam in grid.lambdas]))
    found = _stability(over, images, rough)
    width = float(observe(over).width_B[0]) if found is None else found.windows[WINDOW_EPS]
    wider = {} if found is None else {eps: one for eps, one in found.windows.items() if eps > WINDOW_EPS}
    grid_width = float(np.log10(over.lambdas[-1] / over.lambdas[0]))
    return DialWindow(dial=method.dial, width=width, wider=wider, grid=grid_width)


def _images(grid: Grid, points: pd.DataFrame, study: Path | None) -> Images:
    # Of thousands of trials, the images would fill the memory; seeds and cells are many by then.
    if study is None or len(points) > LARGE:
        return NO_IMAGES
    return align(grid, points, read_correct(study, dict(zip(points["key"], points["dataset"], strict=True))))


def _default(grid: Grid, published: float) -> DefaultLambda | None:
    if len(grid.seeds) < 2 or len(grid.lambdas) < 2:
        return None
    index = nearest(grid.lambdas, published)
    lost_C = lost_to_chosen(grid.val_CSL[None], grid.test_CSL[None])[0, :, index]
    known_C = lost_C[np.isfinite(lost_C)]
    near = int((known_C <= WINDOW_EPS + 1e-12).sum())
    return DefaultLambda(published=published, lam=float(grid.lambdas[index]), near=near, cells=len(known_C))


def _judge(trials: pd.DataFrame, usable: pd.DataFrame, rough: bool) -> Judgement | None:
    if len(usable) < 4:
        return None
    own = trials[trials["dataset"].isin(usable["dataset"].unique())]
    return judge(own, resamples=200 if rough else 1000, permutations=50 if rough else 500)


def _selections(
    trials: pd.DataFrame, grid: Grid, rough: bool, published: float
) -> tuple[Selection | None, Selection | None]:
    if len(grid.lambdas) < 2:
        return None, None
    resamples = 100 if rough else 1000
    several = len({architecture for architecture, _ in grid.cells}) > 1
    return (
        select(trials, by="cell", resamples=resamples, published=published),
        select(trials, by="dataset", resamples=resamples, published=published) if several else None,
    )


def as_json(found: Findings) -> Json:
    """The part of `summary.json` that is inferred: points for accuracies, decades for windows."""
    return {
        "stability": _stability_json(found.stability) if found.stability else None,
        "default_lambda": None if found.default is None else {
            "published": found.default.published, "lambda": found.default.lam,
            "within_one_point": found.default.near, "cells": found.default.cells
        },
        "window_dial": None if found.by_dial is None else _dial_json(found.by_dial),
        "windows": [] if found.windows is None else found.windows.to_dict("records"),
        "ranks": _ranks_json(found.ranks) if found.ranks else None,
        "lambda_ranks": _difference_json(found.lambdas),
        "architecture_ranks": _difference_json(found.architectures),
        "variance": _variance_json(found.variance) if found.variance else None,
        "importance": [_importance_json(one) for one in found.importances],
        "judge": _judge_json(found.judgement) if found.judgement else None,
        "selection": {
            name: _selection_json(one)
            for name, one in (("lambda", found.by_cell), ("architecture_and_lambda", found.by_dataset))
            if one is not None
        },
        "best_criterion": _best_json(found.best) if found.best else None,
    }  # fmt: skip


def _stability_json(found: Stability) -> Json:
    return {
        **{name: estimate_json(getattr(found, name), 100) for name in ("gain", "regret", "worst")},
        "phi": estimate_json(found.phi, 1),
        "windows": {f"{100 * eps:g}": estimate_json(one, 1) for eps, one in found.windows.items()},
    }


def _dial_json(found: DialWindow) -> Json:
    width = estimate_json(found.width, 1) if isinstance(found.width, Estimate) else {"value": found.width}
    wider = {f"{100 * eps:g}": estimate_json(one, 1) for eps, one in found.wider.items()}
    return {**width, "eps_points": 100 * WINDOW_EPS, "wider": wider, "dial": found.dial, "grid_decades": found.grid}


def estimate_json(found: Estimate, scale: float) -> Json:
    """An estimate with all its numbers times `scale`, but p and n."""
    names = ("value", "low", "high", "new_low", "new_high", "null_mean", "null_low", "null_high", "in_sample",
             "in_sample_null")  # fmt: skip
    numbers = {name: _times(getattr(found, name), scale) for name in names}
    return {**numbers, "p": found.p, "n": found.n, "cells": found.cells, "note": found.note, "new_note": found.new_note}


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else scale * value


def interval_json(found: Interval, scale: float = 100) -> Json:
    """An interval in points."""
    ends = {name: _times(getattr(found, name), scale) for name in ("mean", "low", "high")}
    return {**ends, "n": found.n}


def _ranks_json(found: RankStability) -> Json:
    concordance = {"across_datasets": found.across_datasets, **found.across_lambdas}
    return {
        "kendall_w": {
            name: {"w": one.w, "chance": one.chance, "p": one.p, "judges": one.judges, "items": one.items,
                   "note": one.note}
            for name, one in concordance.items()
        },
        "tau_between_neighbours": {table.dataset: table.neighbours for table in found.taus},
    }  # fmt: skip


def _difference_json(found: CriticalDifference | None) -> Json | None:
    if found is None:
        return None
    return {
        "mean_ranks": dict(zip(found.groups, found.mean_ranks, strict=True)),
        "critical_difference": found.cd,
        "p": found.p,
        "blocks": found.blocks,
        "note": found.note,
    }


def _variance_json(found: Variance) -> Json:
    shares = [
        {"source": share.source, "df": share.df, "eta2": share.eta2, "omega2": share.omega2, "p": share.p}
        for share in found.shares
    ]
    return {"shares": shares, "p_lambda": found.p_lambda, "trials": found.n, "of": found.of, "note": found.note}


def _importance_json(found: Importances) -> Json:
    settings = {one.name: {"share": one.share, "chance": one.chance, "p": one.p} for one in found.settings}
    where = {"architecture": found.architecture, "dataset": found.dataset}
    return {**where, "settings": settings, "trials": found.n, "note": found.note}


def _judge_json(found: Judgement) -> Json:
    at_zero = int(np.flatnonzero(found.alphas_A == 0)[0])
    curves = [
        {"scope": curve.scope, "live_only": curve.live, "at_zero": float(curve.agreement_A[at_zero]),
         "at_zero_low": None if curve.low_A is None else float(curve.low_A[at_zero]),
         "at_zero_high": None if curve.high_A is None else float(curve.high_A[at_zero]),
         "groups": len(curve.groups_GA), "trials": curve.n}
        for curve in found.curves
    ]  # fmt: skip
    choices = [
        {"scope": choice.scope, "live_only": choice.live, "held_out": choice.leave,
         "cross_fitted": choice.cross_fitted.value, "cross_fitted_null": choice.cross_fitted.mean,
         "p": choice.cross_fitted.p_more, "low": choice.interval.low, "high": choice.interval.high,
         "folds": len(choice.folds), "best_alpha": choice.best_alpha, "optimistic": choice.optimistic.value,
         "optimistic_null": [choice.optimistic.low, choice.optimistic.high]}
        for choice in found.choices
    ]  # fmt: skip
    return {
        "curves": curves, "choices": choices, "axes": list(found.axes), "trials": found.n, "failed": found.failed,
        "left_out": dict(found.left_out),
    }  # fmt: skip


def _selection_json(found: Selection) -> Json:
    ranked = [
        {"name": one.name, "label": one.label, "kind": one.kind, **interval_json(one.regret), "note": one.note,
         "worst": 100 * one.worst, "unguarded": _times(one.unguarded, 100), "member": one.member,
         "missing": one.missing, "p_best": one.p_best}
        for one in found.ranked
    ]  # fmt: skip
    counts: Mapping[str, Any] = {
        "choices": len(found.groups), "candidates": found.candidates, "seeds": found.seeds, "trials": found.n,
        "dead": found.dead, "left_out": found.left_out,
    }  # fmt: skip
    return {"ranked": ranked, **counts}


def _best_json(found: Best) -> Json:
    return {
        "name": found.name, "label": found.label, "member": found.member, "regret": interval_json(found.regret),
        "honest": interval_json(found.honest), "p_best": found.p_best, "note": found.note,
    }  # fmt: skip
