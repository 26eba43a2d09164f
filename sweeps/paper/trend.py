"""Does the best λ go with what a study varies? Its slope, beside the slopes that chance gives. Pure functions.

Where variants have λ in common, chance is that curves over λ belong to no value of the setting in particular: they
are shuffled among the variants within each cell and seed. λ may matter then, but alike for all. Where variants have
grids of their own, which move with the setting, the best λ moves with them whether λ does anything or not: then chance
is that each λ of a grid is as good, and a slope is told beside that of the grids.
"""
# V variants, B shufflings, C cells, S seeds, L lambdas, E the two ends of a grid

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.results import Results
from dashboards.statistics.intervals import of_cells
from dashboards.statistics.regret import Grid, make_grid, mean_of, relabel
from dashboards.statistics.scores import Interval, at_best_settings, score
from lejepa_platform.config import Variant
from sweeps.paper.item import LINEAR, Item

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
LEAST_SHARED: Final = 3
"""Fewer values than this in common say nothing of where the best one is."""
SAME: Final = 1e-3
"""Values that differ by this share of themselves are one: λ of a grid are rounded."""
SHUFFLINGS: Final = 1000
LEVEL: Final = 0.05
"""Of a test: what is rarer by chance is not called chance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    """What λ comes to at a value of a setting: its odds, times a power of that value."""

    words: str
    power: int

    def of(self, value: float, lam: float) -> float:
        """The dial.

        Args:
            value: Of the setting.
            lam: λ, between 0 and 1.
        """
        return float(lam / (1 - lam) * value**self.power)

    def lambda_at(self, value: float, dial: float) -> float:
        """The λ of a dial, `of` the other way round."""
        odds = dial / value**self.power
        return float(odds / (1 + odds))


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A setting that λ is thought to go with."""

    title: str
    judged: Dial
    """What the slope is of."""
    drawn: Dial
    """The effective weight, of which it is asked whether the best is the same for all values."""


_WEIGHT: Final = Dial(words="λN / (1 - λ)", power=1)
VARIED: Final[Mapping[str, Setting]] = {
    "views_global": Setting(
        title="views",
        judged=Dial(words="λ / (1 - λ)", power=0),
        drawn=Dial(words="λ / (1 - λ) / number of views", power=-1),
    ),
    "batch_size": Setting(title="batch", judged=_WEIGHT, drawn=_WEIGHT),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Middle:
    """The slope of the middle of each curve: of all its dials, weighted by accuracy above the curve's worst.

    It takes part of all λ, and so is less at the mercy of one run than the best λ is; but it cannot move as far, since
    the ends of the grid hold it.
    """

    slope: Interval
    p: float
    """As that of `Trend`."""
    least: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """The dial of the best λ goes with the setting to this power; 0 = the same for all values of it."""

    setting: str
    slope: Interval
    """Mean over cells of the mean over their seeds; `n` is what the interval is over."""
    note: str
    """What the interval is over, or why there is none."""
    null_mean: float
    """The slope by chance: of curves shuffled among variants; of the grids if λ did nothing, where `shared` is None."""
    null_low: float
    """2.5 % quantile."""
    null_high: float
    """97.5 % quantile."""
    p: float
    """Share of shufflings, the real one included, whose slope is as far from that mean."""
    least: float
    """The smallest p that there could be: with few curves even the steepest slope comes by chance."""
    edge: int
    """Best λ at an end of their grid, and so perhaps beyond it."""
    bests: int
    """Of so many."""
    grows: int
    """Cells and seeds with a slope above 0, of `each`."""
    each: int
    best: Mapping[float, float]
    """Value of the setting -> the best λ, the geometric mean of its odds over cells and seeds."""
    shared: Mapping[float, Sequence[float]] | None
    """Value of the setting -> the λ that it was judged on, those whose dial all values have; None = all of its own,
    because fewer than `LEAST_SHARED` are common to all."""
    middle: Middle | None
    """None where `shared` is, since grids of their own have middles of their own."""

    @property
    def told(self) -> bool:
        """Whether the slope is told from chance."""
        return self.p <= LEVEL


def varied(variants: Mapping[str, Variant]) -> str | None:
    """The one setting of `VARIED` that is all in which variants differ; None if there is none."""
    each = {frozenset(variant.settings) for variant in variants.values()}
    names = each.pop() if len(variants) > 1 and len(each) == 1 else frozenset()
    return next(iter(names)) if len(names) == 1 and names <= set(VARIED) else None


def trend(results: Results, variants: Mapping[str, Variant]) -> Trend | None:
    """The trend of a study: in each cell and seed the λ that is best on validation, variant by variant.

    Args:
        results: The study.
        variants: Its variants, see `measured.variants_of`.

    Returns:
        None if variants differ in something else, or no cell and seed has a best λ in two of them.
    """
    setting = varied(variants)
    if setting is None:
        return None
    parts = {name: at_best_settings(score(results.only(name).trials)) for name in variants}
    return trend_of(setting, {float(variants[name].settings[setting]): part for name, part in parts.items()})


def published_trend(item: Item) -> Trend | None:
    """The same of the published numbers; None where they do not vary such a setting."""
    variants = {} if item.make is None else item.make().variants
    setting = varied(variants)
    if setting is None:
        return None
    rows = [
        {"value": float(variants[one.variant].settings[setting]), "architecture": one.architecture, "seed": 0,
         "dataset": one.dataset, "lambda": one.lambda_, "val": one.value, "test": one.value, "floor": math.nan}
        for one in item.published
        if one.lambda_ is not None and one.metric == LINEAR and not one.aside and one.variant in variants
    ]  # fmt: skip
    if not rows:
        return None
    table = pd.DataFrame(rows)
    return trend_of(setting, {value: table[table["value"] == value] for value in sorted(set(table["value"]))})


def trend_of(
    setting: str, parts: Mapping[float, pd.DataFrame], *, shufflings: int = SHUFFLINGS, seed: int = 0
) -> Trend | None:
    """The trend of scored trials.

    The interval is that of `intervals.of_cells`.

    Args:
        setting: Of `VARIED`.
        parts: Value of the setting -> rows of `make_grid`. λ of 0 and of 1 have no odds, and are left out.
        shufflings: Of the null.
        seed: Likewise.

    Returns:
        None if no cell and seed has a best λ at two values of the setting.
    """
    curves = _arrange(VARIED[setting].judged, parts)
    best_VBCS = curves.each(lambda grid, logs_L: _best(grid.val_CSL[None], logs_L))
    slopes_CS = _slopes(curves.logs_V, best_VBCS)[0]
    if not np.isfinite(slopes_CS).any():
        return None
    null_B = _mean(_slopes(curves.logs_V, _by_chance(curves, best_VBCS[:, 0], shufflings, seed)))
    slope, note = _over_cells(slopes_CS, curves.cells, curves.half_step)
    p, least = _p_values(slope.mean, null_B, 0.0 if curves.shared else None)
    centres = zip(curves.grids, _mean(best_VBCS[:, 0]), strict=True)
    ends_VE = np.array([[logs_L[0], logs_L[-1]] for logs_L in curves.logs.values()])
    lambdas = {value: tuple(map(float, grid.lambdas)) for value, grid in curves.grids.items()}
    return Trend(
        setting=setting,
        slope=slope,
        note=note,
        null_mean=float(null_B.mean()),
        null_low=float(np.quantile(null_B, 0.025)),
        null_high=float(np.quantile(null_B, 0.975)),
        p=p,
        least=least,
        edge=int(np.isclose(best_VBCS, ends_VE[:, :, None, None], atol=1e-9).sum()),
        bests=int(np.isfinite(best_VBCS).sum()),
        grows=int((slopes_CS > 0).sum()),
        each=int(np.isfinite(slopes_CS).sum()),
        best={value: curves.dial.lambda_at(value, math.exp(log)) for value, log in centres if math.isfinite(log)},
        shared=lambdas if curves.shared else None,
        middle=_of_middles(curves, shufflings, seed) if curves.shared else None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Curves:
    """Accuracy over λ, a grid for each value of the setting."""

    dial: Dial
    grids: Mapping[float, Grid]
    """In order of the values; each with at least one cell."""
    logs: Mapping[float, Floats]
    """(L,) each: the logarithm of the dial."""
    cells: list[tuple[str, str]]
    """Of all grids."""
    seeds: list[int]
    """Likewise."""
    shared: bool
    """Whether grids were cut down to the dials that all have."""

    @property
    def logs_V(self) -> Floats:
        return np.log(list(self.grids))

    @property
    def half_step(self) -> float:
        """Half of what a slope changes by as the best of the last value moves to the next λ of the finest grid."""
        step = min(float(np.diff(logs_L).min()) for logs_L in self.logs.values() if len(logs_L) > 1)
        return step / float(np.ptp(self.logs_V)) / 2

    def each(self, of: Callable[[Grid, Floats], Floats]) -> Floats:
        """(V, B, C, S): what `of` finds in a grid and its logarithms, (B, C, S), placed among all cells and seeds."""
        return np.stack([_spread(grid, of(grid, self.logs[value]), self) for value, grid in self.grids.items()])


def _arrange(dial: Dial, parts: Mapping[float, pd.DataFrame]) -> _Curves:
    grids = {value: make_grid(part[part["lambda"].between(0, 1, inclusive="neither")]) for value, part in parts.items()}
    grids = {value: grid for value, grid in sorted(grids.items()) if grid.cells}
    kept = _shared(dial, grids)
    grids = {value: grid.only(kept[value]) for value, grid in grids.items()} if kept else grids
    return _Curves(
        dial=dial,
        grids=grids,
        logs={value: np.log([dial.of(value, lam) for lam in grid.lambdas]) for value, grid in grids.items()},
        cells=sorted({cell for grid in grids.values() for cell in grid.cells}),
        seeds=sorted({seed for grid in grids.values() for seed in grid.seeds}),
        shared=bool(kept),
    )


def _by_chance(curves: _Curves, best_VCS: Floats, shufflings: int, seed: int) -> Floats:
    """(V, B, C, S): curves shuffled among the variants; where their grids differ, the best of λ that do nothing."""
    if curves.shared:
        return _shuffled(best_VCS, shufflings, seed)
    # A generator for each variant: with the same one their labels would be permuted alike.
    seeds = itertools.count(seed)
    return curves.each(lambda grid, logs_L: _best(relabel(grid, shufflings, next(seeds))[0], logs_L))


def _of_middles(curves: _Curves, shufflings: int, seed: int) -> Middle | None:
    middle_VBCS = curves.each(lambda grid, logs_L: _middle(grid.val_CSL[None], logs_L))
    slopes_CS = _slopes(curves.logs_V, middle_VBCS)[0]
    if not np.isfinite(slopes_CS).any():
        return None
    slope, _ = _over_cells(slopes_CS, curves.cells, 0.0)
    null_B = _mean(_slopes(curves.logs_V, _shuffled(middle_VBCS[:, 0], shufflings, seed)))
    p, least = _p_values(slope.mean, null_B, 0.0)
    return Middle(slope=slope, p=p, least=least)


def _shared(dial: Dial, grids: Mapping[float, Grid]) -> dict[float, Bools] | None:
    """Value of the setting -> which of its λ have a dial that all values have; None if too few have."""
    dials = {value: np.array([dial.of(value, lam) for lam in grid.lambdas]) for value, grid in grids.items()}
    kept = {
        value: np.all([np.isclose(own[:, None], o, rtol=SAME, atol=0).any(axis=1) for o in dials.values()], axis=0)
        for value, own in dials.items()
    }
    return kept if kept and min(int(keep.sum()) for keep in kept.values()) >= LEAST_SHARED else None


def _best(val_BCSL: Floats, logs_L: Floats) -> Floats:
    """(B, C, S): that of the best λ, the mean of several that are as good. NaN where fewer than two were measured."""
    # Rounded, since equal accuracies may differ in the last bit once averaged, and ties have a rule.
    known_BCSL = np.where(np.isnan(val_BCSL), -np.inf, np.round(val_BCSL, 12))
    enough_BCS = np.isfinite(val_BCSL).sum(axis=3) > 1
    best_BCSL = known_BCSL == known_BCSL.max(axis=3, keepdims=True)
    return np.where(enough_BCS, (best_BCSL * logs_L).sum(axis=3) / best_BCSL.sum(axis=3), np.nan)


def _middle(val_BCSL: Floats, logs_L: Floats) -> Floats:
    """(B, C, S): NaN where a λ was not measured, which would draw it to the other side."""
    above_BCSL = val_BCSL - val_BCSL.min(axis=3, keepdims=True)
    total_BCS = above_BCSL.sum(axis=3)
    flat_BCS = total_BCS == 0
    weighted_BCS = (above_BCSL * logs_L).sum(axis=3) / np.where(flat_BCS, 1.0, total_BCS)
    return np.where(flat_BCS, logs_L.mean(), weighted_BCS)


def _shuffled(best_VCS: Floats, shufflings: int, seed: int) -> Floats:
    """(V, B, C, S): the best of each cell and seed among the variants that have one, in any order."""
    rng = np.random.default_rng(seed)
    found = np.full((shufflings, *best_VCS.shape), np.nan)
    for c, s in np.ndindex(best_VCS.shape[1:]):
        (there,) = np.nonzero(np.isfinite(best_VCS[:, c, s]))
        found[:, there, c, s] = best_VCS[:, c, s][there[rng.random((shufflings, len(there))).argsort(axis=1)]]
    return found.swapaxes(0, 1)


def _p_values(slope: float, null_B: Floats, centre: float | None) -> tuple[float, float]:
    """Share of the null, two-sided, that is as far from its mean, and that of its farthest value."""
    # A mean over shufflings is not quite that of all there are.
    room = 1e-9 + (4 * float(null_B.std()) / math.sqrt(len(null_B)) if centre is None else 0.0)
    middle = float(null_B.mean()) if centre is None else centre
    off_B = np.abs(null_B - middle)
    as_far = (off_B >= abs(slope - middle) - room).sum()
    farthest = (off_B >= off_B.max() - room).sum()
    return float((1 + as_far) / (1 + len(null_B))), float(farthest / len(null_B))


def _spread(grid: Grid, values_BCS: Floats, curves: _Curves) -> Floats:
    """The same among the cells and seeds of all grids; NaN where this one has none."""
    found = np.full((len(values_BCS), len(curves.cells), len(curves.seeds)), np.nan)
    rows, columns = [curves.cells.index(c) for c in grid.cells], [curves.seeds.index(s) for s in grid.seeds]
    found[np.ix_(range(len(found)), rows, columns)] = values_BCS
    return found


def _slopes(x_V: Floats, y_VBCS: Floats) -> Floats:
    """(B, C, S): by least squares over the variants that are there; NaN for fewer than two."""
    there = np.isfinite(y_VBCS)
    x = np.where(there, x_V[:, None, None, None], np.nan)
    x_off, y_off = np.nan_to_num(x - mean_of(x, axis=0)), np.nan_to_num(y_VBCS - mean_of(y_VBCS, axis=0))
    squares = (x_off**2).sum(axis=0)
    return np.where(there.sum(axis=0) > 1, (x_off * y_off).sum(axis=0) / np.where(squares > 0, squares, 1.0), np.nan)


def _mean(values_BCS: Floats) -> Floats:
    """(B,): over cells, of the mean over their seeds."""
    return np.asarray(mean_of(mean_of(values_BCS, axis=2), axis=1))


def _over_cells(slopes_CS: Floats, cells: list[tuple[str, str]], least_half: float) -> tuple[Interval, str]:
    """At least so wide on either side: the best λ is one of a grid, also where all seeds find the same one."""
    there_C = np.asarray(np.isfinite(slopes_CS).any(axis=1))
    names = [architecture for (architecture, _), there in zip(cells, there_C, strict=True) if there]
    found, note = of_cells(slopes_CS[there_C], names)
    if found.low is None or found.high is None:
        return found, note
    half = max(least_half, found.high - found.mean)
    return replace(found, low=found.mean - half, high=found.mean + half), note
