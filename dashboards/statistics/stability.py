"""How stable a study is over λ: windows, regret, Φ, the worst λ's cost and the gain, with intervals and nulls.

All are cross-fitted over seeds: the other seeds' validation chooses λ, the held-out seed's test reports it. What is
estimated is thus the outcome of choosing with one seed fewer than the study has, not that of knowing the best λ: of a
study with more seeds it would be a little more, and intervals hold the regret to the truly best λ in 72 to 96 % of
synthetic studies only (tests/dashboards/statistics/test_coverage.py). Beside each stands the same at face value
(`in_sample`), as one would compute it from a table of means, which noise alone makes large.
"""
# B labellings or draws, C cells, S seeds, L lambdas

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from dashboards.statistics import sensitivity
from dashboards.statistics.bootstrap import redraw, redraw_flat
from dashboards.statistics.crossfit import Bools, Floats, choose_on_others, taking_part, total, weigh, weights_of
from dashboards.statistics.images import Images
from dashboards.statistics.intervals import MIN_DF, Range, new_architectures, these_cells
from dashboards.statistics.noise import seed_noise
from dashboards.statistics.regret import Grid, mean_of, relabel
from dashboards.statistics.scores import CONFIDENCE
from dashboards.statistics.windows import EPSILONS, lost_to_chosen, median_width

NO_IMAGES: Final = Images(scores={})
MEASURES: Final = ("regret", "phi", "worst", "gain")
MAX_NOISE: Final = 1.5
"""Standard errors of a cell's differences above this many ε hide a window: no interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A measure with its intervals and what it would be if λ did nothing. Accuracies, decades, or Φ's own unit."""

    value: float
    low: float | None
    high: float | None
    note: str
    """What the interval is for, or why there is none."""
    new_low: float | None
    """Of the interval for new architectures on these data sets."""
    new_high: float | None
    new_note: str
    null_mean: float | None
    """Mean over labellings with λ permuted within each cell and seed; of a window's width over studies redrawn with
    this one's noise and no effect of λ. None where one seed tells neither."""
    null_low: float | None
    """2.5 % quantile."""
    null_high: float | None
    """97.5 % quantile."""
    p: float | None
    """Share of these, the real one included, in which λ seems to matter as much."""
    n: int
    """Cells that take part: those in which a λ could be chosen on other seeds."""
    cells: int
    """All cells."""
    in_sample: float
    """The measure at face value: the best λ chosen where it is reported."""
    in_sample_null: float | None
    """Mean of that over studies redrawn with this one's noise and no effect of λ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stability:
    """Every measure of one grid."""

    regret: Estimate
    """Accuracy lost by one λ for all cells to the λ chosen for each: λ given, or chosen for all by the other seeds."""
    phi: Estimate
    """The same with scores scaled in each cell by their 5th and 95th percentiles over λ: sensitivity Φ."""
    worst: Estimate
    """Accuracy that the λ of the worst validation loses to the one of the best."""
    gain: Estimate
    """Accuracy of the chosen λ above the same probe on the untrained backbone."""
    windows: Mapping[float, Estimate]
    """ε -> median over cells of the window's width in decades of λ."""
    fixed: float | None
    """The λ of `regret` if it was given in advance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One λ against another on the same seeds and images."""

    value: float
    """Mean over cells of accuracy at λ less that at the reference."""
    these_cells: Range
    new_architectures: Range
    n: int
    """Cells in which both were measured."""


def stability(
    grid: Grid,
    images: Images = NO_IMAGES,
    *,
    fixed: float | None = None,
    permutations: int = 500,
    draws: int = 2000,
    seed: int = 0,
) -> Stability:
    """Measure a grid.

    The intervals' targets are expectations over trainings and test images (for `gain`, over trainings: what the
    untrained backbone answers is not kept by image). For `regret`, `phi`, `worst` and `gain` the λ that the other
    seeds chose are taken as they are. For windows it is the mean width that studies of as many seeds would show.

    Args:
        grid: At least one cell, as `make_grid` gives it.
        images: Kept predictions of the same cells.
        fixed: The nearest λ of the grid is taken; None for the one that the other seeds choose for all cells.
        permutations: Labellings, or redrawn studies, of each null; 0 for no nulls.
        draws: Of the bootstrap behind the windows' intervals.
        seed: Of both.
    """
    index = None if fixed is None else nearest(grid.lambdas, fixed)
    possible = len(grid.seeds) >= 2 and len(grid.lambdas) >= 2
    real = _measured(grid, grid.val_CSL[None], grid.test_CSL[None], index)
    null = _measured(grid, *relabel(grid, permutations, seed), index) if possible and permutations else None
    flat = _measured(grid, *redraw_flat(grid, permutations, seed), index) if possible and permutations else None
    weights = weights_of(grid.val_CSL[None], grid.test_CSL[None], index)
    part = taking_part(grid.val_CSL, grid.test_CSL, index)
    drawn = lost_to_chosen(*redraw(grid, images, draws, seed)) if possible else None
    found = {}
    for name in MEASURES:
        key = "chosen" if name == "gain" else name
        shares = index is None and name in ("regret", "phi")
        why = _no_interval(part[key], weights[key][0], shares)
        ranges = (_none(why), _none(why)) if why else _linear(grid, images, weights[key][0], name == "gain")
        found[name] = _estimate(name, real, null, flat, ranges, part[key])
    windows = {}
    for eps in EPSILONS:
        name = _width(eps)
        why = _too_few(part["chosen"])
        here = _none(why) if why else _window_range(grid, images, float(real[0][name][0]), drawn, eps)
        windows[eps] = _estimate(name, real, flat, flat, (here, NOT_FOR_MEDIANS), part["chosen"])
    return Stability(**found, windows=windows, fixed=None if index is None else float(grid.lambdas[index]))


def differences(grid: Grid, images: Images = NO_IMAGES, *, reference: float) -> dict[float, Difference]:
    """Each λ against the one nearest to `reference`, by the same seeds and images."""
    at = nearest(grid.lambdas, reference)
    shape = grid.test_CSL.shape[:2]
    found = {}
    for index in (index for index in range(len(grid.lambdas)) if index != at):
        plus, minus = (np.full((1, *shape), i, dtype=np.intp) for i in (index, at))
        weights = weigh(np.ones((1, *shape), dtype=bool), grid.test_CSL[None], plus, minus)[0]
        cells = int(weights.any(axis=(1, 2)).sum())
        nothing = _none("measured at both λ in no cell")
        here, new = _linear(grid, images, weights, False) if cells else (nothing, nothing)
        value = float(total(weights[None], grid.test_CSL[None])[0]) if cells else float("nan")
        found[float(grid.lambdas[index])] = Difference(value=value, these_cells=here, new_architectures=new, n=cells)
    return found


def nearest(lambdas: Floats, wanted: float) -> int:
    """Index of the λ of the grid whose ratio to the wanted one is nearest to 1."""
    with np.errstate(divide="ignore"):
        return int(np.abs(np.log(lambdas) - np.log(wanted)).argmin())


NOT_FOR_MEDIANS: Final = Range(low=None, high=None, note="not given: a median over cells")
Values = tuple[dict[str, Floats], dict[str, Floats]]


def _width(eps: float) -> str:
    return f"width {eps:g}"


def _measured(grid: Grid, val_BCSL: Floats, test_BCSL: Floats, index: int | None) -> Values:
    """Every measure, cross-fitted and at face value."""
    choices = choose_on_others(val_BCSL, test_BCSL)
    weights = weights_of(val_BCSL, test_BCSL, index, choices)
    gains = test_BCSL - grid.floor_CS[..., None]
    means = mean_of(test_BCSL, axis=2)
    lost = lost_to_chosen(val_BCSL, test_BCSL, choices)
    face = np.nanmax(means, axis=2, keepdims=True) - means
    fitted = {name: total(weights[name], test_BCSL) for name in ("regret", "phi", "worst")}
    fitted["gain"] = total(weights["chosen"], gains)
    shared = sensitivity.shared_regret(means)
    plain = {
        "regret": shared if index is None else sensitivity.regret_at(means, index),
        "phi": sensitivity.sensitivity(means),
        "worst": sensitivity.worst_cost(means),
        "gain": mean_of(np.nanmax(mean_of(gains, axis=2), axis=2), axis=1),
    }
    for eps in EPSILONS:
        fitted[_width(eps)] = median_width(lost, grid.lambdas, eps)
        plain[_width(eps)] = median_width(face, grid.lambdas, eps)
    return fitted, plain


def _none(why: str) -> Range:
    return Range(low=None, high=None, note=why)


def _no_interval(part_C: Bools, weights_CSL: Floats, shares: bool) -> str:
    """Why a measure has no interval, or nothing; `shares`: it asks what one λ for all cells loses."""
    few = _too_few(part_C)
    if few or weights_CSL.any():
        return few
    return "one cell: nothing to share" if shares and part_C.sum() == 1 else "the same λ everywhere"


def _too_few(part_C: Bools) -> str:
    if not part_C.any():
        return "too few seeds: nothing to choose λ on"
    return "too few cells with two or more seeds" if 2 * part_C.sum() < len(part_C) else ""


def _linear(grid: Grid, images: Images, weights_CSL: Floats, gain: bool) -> tuple[Range, Range]:
    values = grid.test_CSL - grid.floor_CS[..., None] if gain else grid.test_CSL
    known = NO_IMAGES if gain else images
    return (
        these_cells(grid, known, weights_CSL, values, paired=not gain),
        new_architectures(grid, known, weights_CSL, values),
    )


def _window_range(grid: Grid, images: Images, value: float, drawn: Floats | None, eps: float) -> Range:
    """The value ± t times its spread over redrawn studies, cut to what widths can be."""
    noise = seed_noise(grid.test_CSL, paired=True)
    df = float(noise.df_C.sum())
    if drawn is None or df < MIN_DF:
        return _none(f"too few seeds: {len(grid.seeds)} in {len(grid.cells)} cells")
    seeds_CL = np.maximum(np.isfinite(grid.test_CSL).sum(axis=1), 1)
    error = float(np.sqrt(2 * (noise.variance_CL / seeds_CL).mean()))
    if error > MAX_NOISE * eps:
        points = f"two λ of a cell differ by {100 * error:.1f} points by chance"
        return _none(f"too few seeds or test images: {points}")
    spread = stats.t.ppf((1 + CONFIDENCE) / 2, df) * median_width(drawn, grid.lambdas, eps).std(ddof=1)
    decades = np.log10(grid.lambdas[grid.lambdas > 0])
    widest = float(np.ptp(decades))
    # A median of widths on a grid is no finer, even where every redrawn study shows the same one.
    half = max(float(spread), float(np.diff(decades).min()) / 2 if len(decades) > 1 else 0.0)
    low = max(0.0, value - half)
    if value >= widest - 1e-9:
        # What is as wide as the grid was not measured: more would need more λ.
        return _none(f"cut off by the grid: at least {low:.2f} decades")
    note = "these cells, other seeds" + (" and test images" if images.scores else ", these test images")
    return Range(low=low, high=min(widest, value + half), note=note)


def _estimate(
    name: str, real: Values, null: Values | None, flat: Values | None, ranges: tuple[Range, Range], part_C: Bools
) -> Estimate:
    n, cells = int(part_C.sum()), len(part_C)
    some = f"; from {n} of {cells} cells" if n < cells else ""
    value = float(real[0][name][0])
    low = high = mean = p = None
    if null is not None:
        values = null[0][name]
        mean, (low, high) = float(values.mean()), (float(end) for end in np.quantile(values, [0.025, 0.975]))
        # A narrow window says that λ matters; a large value of any other measure does.
        as_much = values <= value + 1e-12 if name.startswith("width") else values >= value - 1e-12
        p = float((1 + as_much.sum()) / (1 + len(values)))
    return Estimate(
        value=value, low=ranges[0].low, high=ranges[0].high, note=ranges[0].note + some,
        new_low=ranges[1].low, new_high=ranges[1].high, new_note=ranges[1].note + some,
        null_mean=mean, null_low=low, null_high=high, p=p, n=n, cells=cells,
        in_sample=float(real[1][name][0]),
        in_sample_null=None if flat is None else float(flat[1][name].mean()),
    )  # fmt: skip
