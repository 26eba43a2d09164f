"""Accuracy lost by choosing without labels: criteria as ranked dots with intervals."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.selection import Ranked, Selection

ROW: Final = 24
COLOURS: Final = {
    "criterion": style.PALETTE[0],
    "combination": style.PALETTE[2],
    "fitted": style.PALETTE[3],
    "reference": style.MUTED,
}


def shown_criteria(found: Selection) -> tuple[Ranked, ...]:
    """Those that could choose somewhere, the best first."""
    return tuple(ranked for ranked in found.ranked if np.isfinite(ranked.regret.mean))


def draw_selection(found: Selection, title: str) -> go.Figure:
    """Draw all criteria; the points beside a mean are its groups."""
    ranked = shown_criteria(found)
    rows = list(range(len(ranked)))
    figure = style.base_figure(80 + ROW * len(rows), title=style.titled(title))
    figure.add_vline(x=0, line={"color": style.MUTED, "width": 1})
    for row, criterion in zip(rows, ranked, strict=True):
        _draw_row(figure, row, criterion)
    figure.update_yaxes(
        tickvals=rows, ticktext=[criterion.label for criterion in ranked], range=[len(rows) - 0.4, -0.6],
        automargin=True, showgrid=False, zeroline=False, ticks="",
    )  # fmt: skip
    figure.update_xaxes(title={"text": "points lost to choosing by labels", "standoff": 6})
    table = [
        (c.label, c.kind, 100 * c.regret.mean, _points(c.regret.low), _points(c.regret.high), c.regret.n)
        for c in ranked
    ]
    return style.with_table(figure, ("criterion", "kind", "points lost", "low", "high", "choices"), table)


def _draw_row(figure: go.Figure, row: int, criterion: Ranked) -> None:
    colour = COLOURS[criterion.kind]
    values = [100 * value for value in criterion.by_group.values() if np.isfinite(value)]
    figure.add_scatter(
        x=values, y=[row] * len(values), mode="markers", hoverinfo="text",
        text=[f"{style.safe(name)}: {100 * v:.1f}" for name, v in criterion.by_group.items() if np.isfinite(v)],
        marker={"size": 5, "color": style.faded(colour, 0.35)} if colour.startswith("#") else {"size": 5},
    )  # fmt: skip
    figure.add_scatter(
        x=[100 * criterion.regret.mean], y=[row], mode="markers", hoverinfo="text", text=[_hover(criterion)],
        error_x=_bar(criterion, colour), marker={"size": 9, "color": colour},
    )  # fmt: skip


def _bar(criterion: Ranked, colour: str) -> dict[str, Any]:
    high = criterion.regret.high
    if high is None:
        return {"visible": False}
    return {"array": [100 * (high - criterion.regret.mean)], "color": colour, "thickness": 1.5, "width": 4}


def _hover(criterion: Ranked) -> str:
    interval = criterion.regret
    ends = "" if interval.low is None or interval.high is None else (
        f" (95 % CI {100 * interval.low:.1f} to {100 * interval.high:.1f})"
    )  # fmt: skip
    return f"<b>{criterion.label}</b><br>{criterion.about}<br>loses {100 * interval.mean:.1f}{ends} points"


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value
