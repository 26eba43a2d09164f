"""Parallel coordinates over all trials: log λ, settings, loss terms, label-free criteria, accuracy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import column

MOST_TRIALS: Final = 3000
"""Of a larger study an even sample is drawn."""
AXES: Final = {
    "log λ": "lambda",
    "loss": "train/loss",
    "prediction": "train/prediction",
    "SIGReg": "train/sigreg",
    "retrieval": "heldout/retrieval_top1",
    "rank": "geometry/embedding_rank",
    "seconds": "seconds",
    "test top-1": "test/linear_top1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One coordinate of every trial."""

    title: str
    values: tuple[float, ...]
    labels: tuple[str, ...] = ()
    """Of the whole numbers 0, 1, ... where the coordinate is a name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelData:
    """What to draw."""

    axes: tuple[Axis, ...]
    shade: tuple[float, ...]
    """The last axis."""
    shown: int
    total: int


def parallel_data(trials: pd.DataFrame) -> ParallelData | None:
    """What to draw, from `Results.trials`; None for fewer than two finished trials."""
    last = "test/linear_top1" if column(trials, "test/linear_top1").notna().any() else "train/loss"
    finished = trials[column(trials, last).notna()]
    if len(finished) < 2:
        return None
    step = -(-len(finished) // MOST_TRIALS)
    shown = finished.iloc[::step]
    axes = [_names(shown, "architecture"), _names(shown, "dataset")]
    for title, name in AXES.items():
        values = column(shown, name)
        if name != last and values.notna().all() and values.nunique() > 1:
            axes.append(Axis(title=title, values=tuple(np.log10(values) if name == "lambda" else values)))
    axes.append(Axis(title={v: k for k, v in AXES.items()}[last], values=tuple(column(shown, last))))
    axes = [axis for axis in axes if len(set(axis.values)) > 1]
    if len(axes) < 2:
        return None
    return ParallelData(axes=tuple(axes), shade=axes[-1].values, shown=len(shown), total=len(finished))


def _names(trials: pd.DataFrame, name: str) -> Axis:
    codes, labels = pd.factorize(trials[name], sort=True)
    title = {"architecture": "architecture", "dataset": "data set"}[name]
    return Axis(title=title, values=tuple(float(code) for code in codes), labels=tuple(map(str, labels)))


def draw_parallel(data: ParallelData) -> go.Figure:
    """Draw it; the axes can be brushed and moved."""
    figure = style.base_figure(440)
    figure.update_layout(margin={"l": 120, "r": 60, "t": 50, "b": 24})
    figure.add_parcoords(
        dimensions=[_dimension(axis) for axis in data.axes],
        line={"color": list(data.shade), "colorscale": "Viridis", "showscale": False},
        labelfont={"size": 12},
    )
    return style.with_table(figure, [axis.title for axis in data.axes], list(zip(*map(_shown, data.axes), strict=True)))


def _shown(axis: Axis) -> list[float | str]:
    return [axis.labels[int(value)] for value in axis.values] if axis.labels else list(axis.values)


def _dimension(axis: Axis) -> dict[str, object]:
    drawn: dict[str, object] = {"label": style.safe(axis.title), "values": list(axis.values)}
    if axis.labels:
        drawn |= {"tickvals": list(range(len(axis.labels))), "ticktext": [style.safe(name) for name in axis.labels]}
    elif axis.title == "log λ":
        values = sorted(set(axis.values))
        if len(values) <= 12:
            drawn |= {"tickvals": values, "ticktext": [f"{10**value:g}" for value in values], "label": "λ"}
    return drawn
