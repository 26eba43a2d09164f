"""The part of a grid in which every combination was measured: what an analysis of variance takes."""

from collections.abc import Hashable
from typing import Final

import numpy as np
import pandas as pd

from dashboards.statistics.blocks import left_out

FACTORS: Final = ("architecture", "dataset", "lambda")
AXES: Final = (*FACTORS, "seed")
NAMED: Final = {"lambda": "λ ", "seed": "seed "}


def balanced(points: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Leave out levels until no combination of architecture, data set, λ and seed is missing.

    Each time the level goes of which the largest part is missing; between equals, the one that holds the fewest
    trials.

    Args:
        points: Rows with the value that counts; one per combination.

    Returns:
        The part, and a sentence about what was left out; empty if nothing was.
    """
    part, lost = points, []
    while len(part) < _combinations(part):
        axis, level = _emptiest(part)
        part = part[part[axis] != level]
        lost.append(f"{NAMED[axis]}{level:g}" if isinstance(level, int | float) else str(level))
    return part, f"{left_out(tuple(lost))} ({len(part)} of {len(points)} trials are in)" if lost else ""


def _combinations(part: pd.DataFrame) -> int:
    return int(np.prod([part[axis].nunique() for axis in AXES]))


def _emptiest(part: pd.DataFrame) -> tuple[str, Hashable]:
    whole = _combinations(part)
    counted = [
        (count * part[axis].nunique() / whole, count, number, level)
        for number, axis in enumerate(AXES)
        for level, count in part.groupby(axis).size().items()
    ]
    _, _, number, level = min(counted, key=lambda entry: entry[:3])
    return AXES[number], level
