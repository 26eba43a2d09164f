"""Does the order of architectures hold? A bump chart over λ, and what ranks apart from what."""

from dataclasses import dataclass
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.differences import CriticalDifference
from dashboards.statistics.ranks import rank_flow
from dashboards.statistics.scores import at_best_settings, labelled, score

ROW: Final = 22
"""Pixels between two places."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One architecture at one λ."""

    lam: float
    rank: float | None
    """1 is best; None when nothing was measured."""
    mean: float | None
    """Test accuracy."""
    n: int
    """Seeds."""
    ranked: int
    """Architectures measured there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """One architecture over λ."""

    architecture: str
    index: int
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RankPanel:
    """One data set."""

    title: str
    flows: tuple[Flow, ...]
    lambdas: tuple[float, ...]


def ranks_data(trials: pd.DataFrame) -> tuple[RankPanel, ...]:
    """What to draw, from `Results.trials` of a grid; none for data sets without accuracies."""
    scored = score(trials)
    scored = scored[scored["dataset"].isin(labelled(scored))]
    order = {name: i for i, name in enumerate(sorted(scored["architecture"].unique()))}
    panels = []
    for dataset, part in rank_flow(at_best_settings(scored)).groupby("dataset"):
        flows = tuple(
            Flow(architecture=str(name), index=order[str(name)], places=_places(rows))
            for name, rows in part.groupby("architecture")
        )
        lambdas = tuple(sorted(float(lam) for lam in part["lambda"].unique()))
        panels.append(RankPanel(title=str(dataset), flows=flows, lambdas=lambdas))
    return tuple(panels)


def _places(rows: pd.DataFrame) -> tuple[Place, ...]:
    columns = (rows[name] for name in ("lambda", "rank", "test", "n", "ranked"))
    return tuple(
        Place(
            lam=float(lam),
            rank=None if pd.isna(rank) else float(rank),
            mean=None if pd.isna(mean) else float(mean),
            n=int(n),
            ranked=int(ranked),
        )
        for lam, rank, mean, n, ranked in zip(*columns, strict=True)
    )


def draw_ranks(panel: RankPanel) -> go.Figure:
    """Draw the bump chart of one data set; names stand where each line ends."""
    axis = style.lambda_axis(panel.lambdas)
    height = 110 + ROW * max(len(panel.flows), 4)
    figure = style.base_figure(height, title=style.titled(panel.title), xaxis=style.lambda_layout(axis))
    ticks = {"dtick": 1} if len(panel.flows) <= 20 else {}
    figure.update_yaxes(
        range=[len(panel.flows) + 0.5, 0.5], zeroline=False, title={"text": "rank", "standoff": 4}, **ticks
    )
    for flow in panel.flows:
        colour = style.colour(flow.index)
        figure.add_scatter(
            x=[axis.at(place.lam) for place in flow.places],
            y=[place.rank for place in flow.places],
            mode="lines+markers",
            connectgaps=False,
            legendgroup=flow.architecture,
            line={"color": colour, "width": 2, "dash": style.dash(flow.index)},
            marker={"symbol": style.SYMBOLS[flow.index % len(style.SYMBOLS)], "size": 8, "color": colour},
            text=[_hover(flow.architecture, place) for place in flow.places],
            hoverinfo="text",
        )
    # All at once: Plotly checks every earlier annotation again for each one added.
    figure.update_layout(annotations=[_end(flow, axis) for flow in panel.flows if _last(flow)], margin={"r": 120})
    rows = [
        (flow.architecture, panel.title, place.lam, place.rank, place.mean, place.n)
        for flow in panel.flows
        for place in flow.places
    ]
    return style.with_table(figure, ("architecture", "data set", "lambda", "rank", "test top-1", "seeds"), rows)


def _last(flow: Flow) -> Place | None:
    return next((place for place in reversed(flow.places) if place.rank is not None), None)


def _end(flow: Flow, axis: style.LambdaAxis) -> dict[str, object]:
    place = _last(flow)
    assert place is not None
    return {
        "x": axis.at(place.lam), "y": place.rank, "text": style.safe(flow.architecture), "showarrow": False,
        "xanchor": "left", "xshift": 8, "font": {"size": 11, "color": style.colour(flow.index)},
    }  # fmt: skip


def _hover(architecture: str, place: Place) -> str:
    if place.rank is None or place.mean is None:
        return ""
    where = f"{style.safe(architecture)}<br>λ {place.lam:g}: rank {place.rank:g} of {place.ranked}"
    return f"{where}<br>{place.mean:.1%}, {place.n} seeds"


def draw_difference(found: CriticalDifference, title: str) -> go.Figure:
    """Draw a critical-difference diagram: a row per group, best on top, bars join what is not told apart.

    Rows instead of the usual single line, so that sixty groups or a narrow screen can be read.
    """
    figure = style.base_figure(80 + ROW * len(found.groups), title=style.titled(title))
    last = max(found.mean_ranks, default=1.0)
    step = 0.05 * max(last - 1, 1)
    figure.add_scatter(
        x=list(found.mean_ranks),
        y=list(range(len(found.groups))),
        mode="markers",
        marker={"size": 9, "color": style.PALETTE[0]},
        text=[
            f"{style.safe(name)}<br>mean rank {rank:.2f} over {found.blocks} blocks"
            for name, rank in zip(found.groups, found.mean_ranks, strict=True)
        ],
        hoverinfo="text",
    )
    for number, clique in enumerate(found.cliques):
        rows = [found.groups.index(name) for name in (clique[0], clique[-1])]
        figure.add_scatter(
            x=[last + (number + 1) * step] * 2,
            y=rows,
            mode="lines",
            line={"color": style.MUTED, "width": 4},
            hovertext=f"{len(clique)} not told apart",
            hoverinfo="text",
        )
    if found.cd is not None:
        _draw_cd(figure, found.cd)
    figure.update_xaxes(
        title={"text": "mean rank", "standoff": 4},
        zeroline=False,
        range=[1 - step, max(last + (len(found.cliques) + 1) * step, 1 + (found.cd or 0))],
    )
    figure.update_yaxes(
        tickvals=list(range(len(found.groups))), ticktext=[style.safe(name) for name in found.groups],
        range=[len(found.groups) - 0.4, -1.2], showgrid=False, zeroline=False, automargin=True, ticks="",
    )  # fmt: skip
    table = list(zip(found.groups, found.mean_ranks, strict=True))
    return style.with_table(figure, ("group", "mean rank"), table)


def _draw_cd(figure: go.Figure, cd: float) -> None:
    figure.add_scatter(
        x=[1, 1 + cd],
        y=[-0.8, -0.8],
        mode="lines+markers",
        line={"color": style.PALETTE[1], "width": 2},
        marker={"symbol": "line-ns", "size": 9, "line": {"color": style.PALETTE[1], "width": 2}},
        hovertext=f"critical difference {cd:.2f}: mean ranks closer than this are not told apart",
        hoverinfo="text",
    )
    figure.add_annotation(
        x=1 + cd, y=-0.8, text=f"CD {cd:.2f}", showarrow=False, xanchor="left", xshift=6,
        font={"size": 10, "color": style.PALETTE[1]},
    )  # fmt: skip
