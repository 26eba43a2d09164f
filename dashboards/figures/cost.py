"""Accuracy against cost: which architecture is worth its time."""

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import CELL, choose


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPoint:
    """One architecture at its chosen λ."""

    architecture: str
    index: int
    seconds: float
    """Mean of a trial."""
    accuracy: float
    best: bool
    """Whether no cheaper one is as accurate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPanel:
    """One data set."""

    title: str
    points: tuple[CostPoint, ...]
    """The cheapest first."""


def cost_data(points: pd.DataFrame) -> tuple[CostPanel, ...]:
    """What to draw, from the rows of `at_best_settings(score(...))`; data sets with one architecture have no panel."""
    order = {name: i for i, name in enumerate(sorted(points["architecture"].unique()))}
    seconds = points.groupby(CELL)["seconds"].mean().rename("mean_seconds").reset_index()
    chosen = choose(points).merge(seconds, on=CELL).dropna(subset=["mean_seconds"])
    panels = []
    for dataset, part in chosen.sort_values("mean_seconds").groupby("dataset"):
        if len(part) < 2:
            continue
        highest = part["test"].cummax().shift(fill_value=float("-inf"))
        panels.append(
            CostPanel(
                title=str(dataset),
                points=tuple(
                    CostPoint(
                        architecture=str(name), index=order[str(name)], seconds=float(cost), accuracy=float(test),
                        best=bool(test > before),
                    )
                    for name, cost, test, before in zip(
                        part["architecture"], part["mean_seconds"], part["test"], highest, strict=True
                    )
                ),
            )
        )  # fmt: skip
    return tuple(panels)


def draw_cost(panel: CostPanel) -> go.Figure:
    """Draw one panel; the line joins what nothing cheaper beats."""
    figure = style.base_figure(320, title=style.titled(panel.title))
    figure.update_xaxes(type="log", title={"text": "seconds per trial (log scale)", "standoff": 6}, zeroline=False)
    figure.update_yaxes(tickformat=".0%", title={"text": "test top-1", "standoff": 4}, zeroline=False, automargin=True)
    front = [point for point in panel.points if point.best]
    figure.add_scatter(
        x=[p.seconds for p in front], y=[p.accuracy for p in front], mode="lines", hoverinfo="skip",
        line={"color": style.MUTED, "width": 1.2, "dash": "dash", "shape": "hv"}, name="nothing cheaper is better",
    )  # fmt: skip
    for point in panel.points:
        figure.add_scatter(
            x=[point.seconds],
            y=[point.accuracy],
            mode="markers",
            legendgroup=point.architecture,
            name=style.safe(point.architecture),
            marker={
                "color": style.colour(point.index),
                "symbol": style.SYMBOLS[point.index % len(style.SYMBOLS)],
                "size": 11,
            },
            hovertemplate=f"{style.safe(point.architecture)}<br>%{{x:.3g}} s per trial, %{{y:.1%}}<extra></extra>",
        )
    rows = [(point.architecture, point.seconds, point.accuracy) for point in panel.points]
    return style.with_table(figure, ("architecture", "seconds per trial", "test top-1"), rows)
