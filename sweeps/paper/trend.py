"""Does the best λ grow with what a study varies? The slope of the best odds λ / (1 - λ), in cells and seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashboards.results import Results
from dashboards.statistics.scores import CELL, Interval, at_best_settings, score, t_interval
from lejepa_platform.config import Variant

VARIED: Final = {"views_global": "views", "batch_size": "batch"}
"""Settings that λ is thought to go with, and what to call them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """Slope over all cells and seeds; 1 = odds proportional to the setting, 0 = the same λ for all."""

    setting: str
    slope: Interval
    grows: int
    """Cells and seeds with a slope above 0, of `slope.n`."""
    best: Mapping[float, float]
    """Value of the setting -> geometric mean of the best λ's odds."""


def varied(variants: Mapping[str, Variant]) -> str | None:
    """The one setting of `VARIED` that is all in which variants differ; None if there is none."""
    names = {name for variant in variants.values() for name in variant.settings}
    return names.pop() if len(variants) > 1 and len(names) == 1 and names <= set(VARIED) else None


def slope(pairs: Iterable[tuple[float, float]]) -> float:
    """Of log odds of λ over the logarithm of a setting, by least squares.

    Args:
        pairs: (setting, λ), of at least two settings.
    """
    x, y = zip(*((math.log(value), math.log(lam / (1 - lam))) for value, lam in pairs), strict=True)
    return float(np.polyfit(x, y, 1)[0])


def trend(results: Results, variants: Mapping[str, Variant]) -> Trend | None:
    """The trend of a study: in each cell and seed the λ that is best on validation, variant by variant.

    Args:
        results: The study.
        variants: Its variants.

    Returns:
        None if variants differ in something else, or no cell and seed has a best λ in two of them.
    """
    setting = varied(variants)
    if setting is None:
        return None
    best = _best(results, variants, setting)
    slopes = [slope(pairs.items()) for pairs in best.values() if len(pairs) > 1]
    if not slopes:
        return None
    return Trend(
        setting=setting,
        slope=t_interval(slopes),
        grows=sum(one > 0 for one in slopes),
        best=_geometric_means(list(best.values())),
    )


def _best(results: Results, variants: Mapping[str, Variant], setting: str) -> dict[tuple[Any, ...], dict[float, float]]:
    """(architecture, data set, seed) -> value of the setting -> the λ that is best there."""
    found: dict[tuple[Any, ...], dict[float, float]] = {}
    for name, variant in variants.items():
        points = at_best_settings(score(results.only(name).trials)).dropna(subset=["val"])
        for cell, group in points.groupby([*CELL, "seed"]):
            if len(group) > 1:
                lam = float(group.sort_values("val", kind="stable")["lambda"].iloc[-1])
                found.setdefault(tuple(cell), {})[float(variant.settings[setting])] = lam
    return found


def _geometric_means(each: Sequence[Mapping[float, float]]) -> dict[float, float]:
    values = sorted({value for pairs in each for value in pairs})
    return {
        value: math.exp(np.mean([math.log(pairs[value] / (1 - pairs[value])) for pairs in each if value in pairs]))
        for value in values
    }


def weight(setting: str | None, value: float, lam: float) -> float:
    """The effective weight that a study of a setting asks about: λN / (1 - λ) of a batch, λ / (1 - λ) / V of views.

    Args:
        setting: From `varied`.
        value: Of the setting.
        lam: λ.
    """
    odds = lam / (1 - lam)
    return odds * value if setting == "batch_size" else odds / value
