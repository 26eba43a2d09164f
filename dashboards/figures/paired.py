"""Two studies: the difference in test accuracy of each pair of trials, a row per cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import CELL

ROW_HEIGHT = 26
MANY = 3000
"""Points beyond which SVG is slow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedRow:
    """One cell, or whatever else pairs are grouped by."""

    name: str
    points: tuple[float, ...]
    """Percentage points, second study less first; one per pair."""
    labels: tuple[str, ...]
    mean: float


def paired_data(pairs: pd.DataFrame) -> tuple[PairedRow, ...]:
    """What to draw, from `comparison.paired`."""
    rows = []
    for (architecture, dataset), cell in pairs.groupby(CELL):
        rows.append(
            PairedRow(
                name=f"{architecture} · {dataset}",
                points=tuple(float(value) for value in cell["points"]),
                labels=tuple(pair_label(pair) for pair in cell.to_dict("records")),
                mean=float(cell["points"].mean()),
            )
        )
    return tuple(rows)


def pair_label(pair: Mapping[Any, Any]) -> str:
    """λ and seed of a row of `comparison.paired`; of two λ, the second's first, as it is in the difference."""
    lambdas = [pair[name] for name in ("lambda_second", "lambda") if name in pair]
    return f"λ {' less '.join(f'{lam:g}' for lam in lambdas)}, seed {pair['seed']:g}"


def draw_paired(rows: tuple[PairedRow, ...], first: str, second: str, what: str = "cell") -> go.Figure:
    """Draw them, the first row on top; `what` a row stands for, in the CSV file."""
    title = style.titled(f"{second} less {first}")
    figure = style.base_figure(90 + ROW_HEIGHT * max(len(rows), 2), title=title)
    names = [style.safe(row.name) for row in rows]
    points = sum(len(row.points) for row in rows)
    # WebGL draws any number, but not every browser has it.
    (figure.add_scattergl if points > MANY else figure.add_scatter)(
        x=[value for row in rows for value in row.points],
        y=[name for name, row in zip(names, rows, strict=True) for _ in row.points],
        text=[
            f"{name}<br>{label}: {value:+.1f} points"
            for name, row in zip(names, rows, strict=True)
            for value, label in zip(row.points, row.labels, strict=True)
        ],
        mode="markers",
        hoverinfo="text",
        marker={"color": style.faded(style.PALETTE[0], 0.45), "size": 6},
    )
    figure.add_scatter(
        x=[row.mean for row in rows],
        y=names,
        text=[f"{name}<br>mean {row.mean:+.1f} points" for name, row in zip(names, rows, strict=True)],
        mode="markers",
        hoverinfo="text",
        marker={"color": style.PALETTE[0], "symbol": "diamond", "size": 10},
    )
    figure.add_vline(x=0, line={"color": style.MUTED, "width": 1.2, "dash": "dash"})
    figure.update_xaxes(zeroline=False, title={"text": "difference in test top-1, points", "standoff": 6})
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    table = [(row.name, *one) for row in rows for one in zip(row.labels, row.points, strict=True)]
    return style.with_table(figure, (what, "trial", "points"), table)
