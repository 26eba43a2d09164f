"""Architectures ranked, each at its chosen λ: what there is to show when a study has one λ only."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.floor import FloorWords
from dashboards.statistics.scores import CELL, SETTINGS, at_best_settings, choose, labelled, pooled_intervals, score

ROW: Final = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedPoint:
    """One trial."""

    seed: int
    value: float
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One architecture at the λ chosen for it on validation."""

    architecture: str
    index: int
    lam: float
    mean: float
    """Test accuracy over seeds."""
    low: float | None
    """None when an interval would not be honest."""
    high: float | None
    points: tuple[SeedPoint, ...]
    floor: float | None
    """Accuracy of the backbone before training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DotPanel:
    """One data set, best architecture first."""

    title: str
    dots: tuple[Dot, ...]
    chance: float | None
    unmeasured: tuple[str, ...]
    """Architectures without one accuracy."""


def dots_data(trials: pd.DataFrame, searched: bool = False) -> tuple[DotPanel, ...]:
    """What to draw, from `Results.trials`; none for data sets without accuracies.

    Args:
        trials: Every trial of the study.
        searched: Whether λ was sampled adaptively: then there are points but no intervals.
    """
    scored = score(trials)
    scored = scored[scored["dataset"].isin(labelled(scored))]
    order = {name: i for i, name in enumerate(sorted(scored["architecture"].unique()))}
    points = scored if searched else at_best_settings(scored)
    chosen = choose(points)
    ends = _intervals(points) if not searched and len(points) else {}
    panels = []
    for dataset, part in chosen.groupby("dataset"):
        here = points[points["dataset"] == dataset]
        ranked = part.sort_values("test", ascending=False, kind="stable").to_dict("records")
        chance = here["chance"].dropna()
        panels.append(
            DotPanel(
                title=str(dataset),
                dots=tuple(_dot(row, here, order, ends) for row in ranked),
                chance=float(chance.iloc[0]) if len(chance) else None,
                unmeasured=tuple(sorted(set(here["architecture"].astype(str)) - set(part["architecture"]))),
            )
        )
    return tuple(panels)


def _intervals(points: pd.DataFrame) -> dict[tuple[object, ...], tuple[float, float]]:
    table = pooled_intervals(points).dropna(subset=["low"])
    return {
        (row["architecture"], row["dataset"], row["lambda"]): (row["low"], row["high"])
        for row in table.to_dict("records")
    }


def _dot(
    row: Mapping[Hashable, Any],
    here: pd.DataFrame,
    order: Mapping[str, int],
    ends: Mapping[tuple[object, ...], tuple[float, float]],
) -> Dot:
    kept = here.dropna(subset=["val", "test"])
    for name in ("architecture", "lambda", *SETTINGS):
        kept = kept[(kept[name] == row[name]) | (kept[name].isna() & pd.isna(row[name]))]
    low, high = ends.get(tuple(row[name] for name in (*CELL, "lambda")), (None, None))
    return Dot(
        architecture=str(row["architecture"]),
        index=order[str(row["architecture"])],
        lam=float(row["lambda"]),
        mean=float(row["test"]),
        low=low,
        high=high,
        points=tuple(
            SeedPoint(seed=int(seed), value=float(value), outcome=str(outcome))
            for seed, value, outcome in zip(kept["seed"], kept["test"], kept["outcome"], strict=True)
        ),
        floor=None if pd.isna(row["floor"]) else float(row["floor"]),
    )


def draw_dots(panel: DotPanel, floor: FloorWords, what: str = "architecture") -> go.Figure:
    """Draw one data set; `what` a dot stands for, in the CSV file."""
    rows = list(range(len(panel.dots)))
    figure = style.base_figure(90 + ROW * len(rows), title=style.titled(panel.title))
    if panel.chance is not None:
        figure.add_vline(x=panel.chance, line={"color": style.MUTED, "width": 1.2, "dash": "dash"})
    figure.add_scatter(
        x=[dot.floor for dot in panel.dots],
        y=rows,
        mode="markers",
        marker={"symbol": "line-ns", "size": 10, "line": {"width": 2, "color": style.MUTED}},
        hovertext=[floor.label] * len(rows),
        hoverinfo="text",
    )
    _draw_seeds(figure, panel)
    colours = [style.colour(dot.index) for dot in panel.dots]
    for row, dot in enumerate(panel.dots):
        if dot.low is not None and dot.high is not None:
            figure.add_scatter(
                x=[dot.low, dot.high], y=[row, row], mode="lines", hoverinfo="skip", legendgroup=dot.architecture,
                line={"color": colours[row], "width": 2},
            )  # fmt: skip
    figure.add_scatter(
        x=[dot.mean for dot in panel.dots],
        y=rows,
        mode="markers",
        marker={"size": 10, "color": colours},
        hovertext=[_hover(dot) for dot in panel.dots],
        hoverinfo="text",
    )
    figure.update_xaxes(tickformat=".0%", zeroline=False, title={"text": "test top-1", "standoff": 6})
    figure.update_yaxes(
        tickvals=rows, ticktext=[style.safe(dot.architecture) for dot in panel.dots],
        range=[len(rows) - 0.5, -0.5], showgrid=False, zeroline=False, automargin=True, ticks="",
    )  # fmt: skip
    table = [(dot.architecture, panel.title, dot.lam, dot.mean, dot.low, dot.high) for dot in panel.dots]
    return style.with_table(figure, (what, "data set", "lambda", "test top-1", "low", "high"), table)


def _draw_seeds(figure: go.Figure, panel: DotPanel) -> None:
    every = [(row, dot, point) for row, dot in enumerate(panel.dots) for point in dot.points]
    figure.add_scatter(
        x=[point.value for _, _, point in every],
        y=[row for row, _, _ in every],
        mode="markers",
        marker={
            "size": 6,
            "symbol": [_symbol(point) for _, _, point in every],
            "color": [style.faded(style.colour(dot.index), 0.5) for _, dot, _ in every],
            "line": {"width": 1.5, "color": [style.faded(style.colour(dot.index), 0.5) for _, dot, _ in every]},
        },
        hovertext=[
            f"seed {point.seed}: {point.value:.1%} {style.OUTCOME_WORDS.get(point.outcome, '')}"
            for _, _, point in every
        ],
        hoverinfo="text",
    )


def _symbol(point: SeedPoint) -> str:
    return {"diverged": "x-thin", "collapsed": "circle-open"}.get(point.outcome, "circle")


def _hover(dot: Dot) -> str:
    interval = f" (95 % CI {dot.low:.1%} to {dot.high:.1%})" if dot.low is not None and dot.high is not None else ""
    return (
        f"<b>{style.safe(dot.architecture)}</b> at λ {dot.lam:g}<br>{dot.mean:.1%}{interval}<br>{len(dot.points)} seeds"
    )
