"""Tables without holes out of tables with some: what rank tests and paired aggregates need. Pure functions."""

import numpy as np
import pandas as pd

from dashboards.statistics.scores import CELL


def means(points: pd.DataFrame, value: str = "test") -> pd.DataFrame:
    """Mean over seeds for each (architecture, data set, λ).

    Args:
        points: Rows of `at_best_settings(score(...))`.
        value: The column to average.

    Returns:
        Columns architecture, dataset, lambda, `value` and n; a λ at which nothing was measured has n = 0.
    """
    groups = points.groupby([*CELL, "lambda"])[value]
    # Rounded, since equal accuracies may differ in the last bit once averaged, and ties are ties.
    return groups.agg(["mean", "count"]).round(12).reset_index().rename(columns={"mean": value, "count": "n"})


def complete(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The part of a table that has no holes.

    Columns of which half or more is missing go first, so that one broken column does not cost every row;
    then every row with a hole.

    Returns:
        The part, and the names of what was left out.
    """
    there = table.notna()
    kept = table.loc[:, there.mean(axis=0).to_numpy() > 0.5] if len(table) else table
    whole = kept.dropna(axis=0)
    lost = [name for name in table.columns if name not in kept.columns]
    lost += [name for name in table.index if name not in whole.index]
    return whole, tuple(_label(name) for name in lost)


def left_out(names: tuple[str, ...]) -> str:
    """A sentence about what `complete` left out; empty if nothing was."""
    if not names:
        return ""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"left out for holes: {shown}"


def joined(*sentences: str) -> str:
    """Sentences as one note."""
    return "; ".join(sentence for sentence in sentences if sentence)


def optional(value: float) -> float | None:
    """A plain float, None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def _label(name: object) -> str:
    if isinstance(name, tuple):
        return " · ".join(_label(part) for part in name)
    return f"λ {name:g}" if isinstance(name, float) else str(name)
