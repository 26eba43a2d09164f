"""What λ does to quantities that need no labels: terms of the loss, criteria, the shape of projections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import CELL, MEASURED, column, pooled_intervals


@dataclass(frozen=True, kw_only=True, slots=True)
class TermLine:
    """One architecture; means over seeds by λ, without those that did not finish."""

    architecture: str
    index: int
    lambdas: tuple[float, ...]
    mean: tuple[float, ...]
    n: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    """(λ, value) of each trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TermPanel:
    """One quantity of one data set."""

    title: str
    term: str
    lines: tuple[TermLine, ...]
    lambdas: tuple[float, ...]


LOSS_TERMS: Final = {
    "train/prediction": "prediction loss",
    "train/sigreg": "SIGReg",
    "geometry/effective_rank": "effective rank",
}
CRITERIA: Final = {
    "heldout/retrieval_top1": "view retrieval",
    "geometry/embedding_rank": "rank of embeddings",
    "geometry/lidar": "LiDAR",
    "geometry/alpha_req": "α-ReQ",
    "heldout/sigreg_share": "SIGReg, of collapse",
    "geometry/slices_outside": "slices outside",
}


def terms_data(
    trials: pd.DataFrame, datasets: tuple[str, ...], terms: Mapping[str, str] = LOSS_TERMS
) -> tuple[TermPanel, ...]:
    """What to draw: a panel for each of `datasets` and each quantity that was measured there.

    Args:
        trials: `Results.trials`.
        datasets: Which to draw.
        terms: Column -> what to call it.
    """
    order = {name: i for i, name in enumerate(sorted(trials["architecture"].unique()))}
    panels = []
    for dataset in datasets:
        part = trials[(trials["dataset"] == dataset) & trials["outcome"].isin(MEASURED)]
        for term, words in terms.items():
            values = part.assign(value=column(part, term)).dropna(subset=["value"])
            if len(values):
                panels.append(_panel(f"{words} · {dataset}", term, values, order))
    return tuple(panels)


def _panel(title: str, term: str, values: pd.DataFrame, order: dict[str, int]) -> TermPanel:
    table = pooled_intervals(values, "value")
    lines = []
    for (name, _dataset), means in table.groupby(CELL):
        own = values[values["architecture"] == name]
        lines.append(
            TermLine(
                architecture=str(name),
                index=order[str(name)],
                lambdas=tuple(means["lambda"].astype(float)),
                mean=tuple(means["mean"].astype(float)),
                n=tuple(int(n) for n in means["n"]),
                points=tuple(zip(own["lambda"].astype(float), own["value"].astype(float), strict=True)),
            )
        )
    lambdas = tuple(sorted(float(value) for value in values["lambda"].unique()))
    return TermPanel(title=title, term=term, lines=tuple(lines), lambdas=lambdas)


def draw_terms(panel: TermPanel) -> go.Figure:
    """Draw one panel."""
    axis = style.lambda_axis(panel.lambdas)
    figure = style.base_figure(300, title=style.titled(panel.title), xaxis=style.lambda_layout(axis))
    figure.update_yaxes(zeroline=False, rangemode="tozero", tickformat="~g")
    for line in panel.lines:
        colour, name = style.colour(line.index), style.safe(line.architecture)
        figure.add_scatter(
            x=[axis.at(lam) for lam, _ in line.points],
            y=[value for _, value in line.points],
            mode="markers",
            legendgroup=line.architecture,
            marker={"size": 5, "color": style.faded(colour, 0.45)},
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[axis.at(lam) for lam in line.lambdas],
            y=list(line.mean),
            mode="lines+markers",
            legendgroup=line.architecture,
            line={"color": colour, "width": 2, "dash": style.dash(line.index)},
            marker={"symbol": style.SYMBOLS[line.index % len(style.SYMBOLS)], "size": 8, "color": colour},
            hovertext=[
                f"{name}<br>λ {lam:g}: {value:.4g}, {n} seeds"
                for lam, value, n in zip(line.lambdas, line.mean, line.n, strict=True)
            ],
            hoverinfo="text",
        )
    rows = [
        (line.architecture, lam, mean, n)
        for line in panel.lines
        for lam, mean, n in zip(line.lambdas, line.mean, line.n, strict=True)
    ]
    return style.with_table(figure, ("architecture", "lambda", panel.term, "seeds"), rows)
