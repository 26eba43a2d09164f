"""Test accuracy against λ: one panel per data set, one line per architecture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.floor import FloorWords
from dashboards.statistics.scores import at_best_settings, labelled, pooled_intervals, score

CROWDED = 8
"""More architectures than this in one panel cannot be told apart: panels are then per family as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One trial."""

    lam: float
    seed: int
    value: float
    """Fraction; chance if diverged."""
    outcome: str
    key: str = ""
    """The trial's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The seeds of one λ."""

    lam: float
    n: int
    mean: float | None
    """None when no seed finished."""
    low: float | None
    """None when an interval would not be honest."""
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One architecture."""

    architecture: str
    index: int
    """Its place among the study's architectures: its colour, dash and symbol."""
    means: tuple[Mean, ...]
    """By λ; empty when λ was searched."""
    points: tuple[Point, ...]
    floor: float | None
    """Accuracy of the backbone before training."""
    seeds: int
    """Seeds that were started anywhere on this line: what n should be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyPanel:
    """One data set (and one family of architectures, when there are many)."""

    title: str
    dataset: str
    lines: tuple[Line, ...]
    lambdas: tuple[float, ...]
    chance: float | None
    span: tuple[float, float]
    """Range of accuracies, the same in all panels of a data set."""


def accuracy_data(
    trials: pd.DataFrame, searched: bool = False, order: Sequence[str] | None = None
) -> tuple[AccuracyPanel, ...]:
    """What to draw.

    Args:
        trials: `Results.trials`.
        searched: Whether λ was sampled adaptively: then there are points only, since means over
            what a search happened to try are no estimates.
        order: Names of all lines, in the order of their colours; None = of the architectures, by name.

    Returns:
        Panels by data set; none for data sets without accuracies.
    """
    scored = score(trials)
    scored = scored[scored["dataset"].isin(labelled(scored))]
    points = scored if searched else at_best_settings(scored)
    means = {} if searched or points.empty else _means(points)
    places = {name: i for i, name in enumerate(order or sorted(scored["architecture"].unique()))}
    panels = []
    for dataset, part in points.groupby("dataset"):
        by_family = part["architecture"].nunique() > CROWDED and part["family"].nunique() > 1
        for family, some in part.groupby("family") if by_family else [("", part)]:
            title = f"{dataset} · {family}" if by_family else str(dataset)
            panels.append(_panel(title, some, part, places, means))
    return tuple(panels)


def _panel(
    title: str,
    some: pd.DataFrame,
    whole: pd.DataFrame,
    order: Mapping[str, int],
    means: Mapping[tuple[str, str], tuple[Mean, ...]],
) -> AccuracyPanel:
    dataset = str(some["dataset"].iloc[0])
    ends = [end for (_, name), held in means.items() if name == dataset for m in held for end in (m.low, m.high)]
    known = pd.concat([whole["test"], whole["floor"], whole["chance"], pd.Series(ends, dtype=float)]).dropna()
    low, high = max(float(known.min()), 0.0), min(float(known.max()), 1.0)
    margin = max(0.08 * (high - low), 0.01)
    chance = some["chance"].dropna()
    return AccuracyPanel(
        title=title,
        dataset=dataset,
        lines=tuple(
            _line(str(name), cell, order, means)
            for name, cell in sorted(some.groupby("architecture"), key=lambda group: order[str(group[0])])
        ),
        lambdas=tuple(sorted(float(value) for value in some["lambda"].unique())),
        chance=float(chance.iloc[0]) if len(chance) else None,
        span=(low - margin, high + margin),
    )


def _line(
    name: str,
    cell: pd.DataFrame,
    order: Mapping[str, int],
    means: Mapping[tuple[str, str], tuple[Mean, ...]],
) -> Line:
    finished = cell[cell["test"].notna()]
    points = zip(*(finished[name] for name in ("lambda", "seed", "test", "outcome", "key")), strict=True)
    floor = cell["floor"].mean()
    return Line(
        architecture=name,
        index=order[name],
        means=means.get((name, str(cell["dataset"].iloc[0])), ()),
        points=tuple(
            Point(lam=float(lam), seed=int(seed), value=float(value), outcome=str(outcome), key=str(key))
            for lam, seed, value, outcome, key in points
        ),
        floor=None if pd.isna(floor) else float(floor),
        seeds=int(cell["seed"].nunique()),
    )


def _means(points: pd.DataFrame) -> dict[tuple[str, str], tuple[Mean, ...]]:
    found: dict[tuple[str, str], list[Mean]] = {}
    for row in pooled_intervals(points).to_dict("records"):
        mean, low, high = (None if pd.isna(row[name]) else float(row[name]) for name in ("mean", "low", "high"))
        cell = (str(row["architecture"]), str(row["dataset"]))
        found.setdefault(cell, []).append(
            Mean(lam=float(row["lambda"]), n=int(row["n"]), mean=mean, low=low, high=high)
        )
    return {cell: tuple(means) for cell, means in found.items()}


def draw_accuracy(panel: AccuracyPanel, floor: FloorWords, what: str = "architecture") -> go.Figure:
    """Draw one panel; the page lays panels side by side or below each other.

    Args:
        panel: From `accuracy_data`.
        floor: What to call the backbone before training.
        what: A line stands for, in the CSV file.
    """
    axis = style.lambda_axis(panel.lambdas)
    figure = style.base_figure(370, title=style.titled(panel.title), xaxis=style.lambda_layout(axis))
    figure.update_yaxes(
        tickformat=".0%",
        range=list(panel.span),
        zeroline=False,
        automargin=True,
        title={"text": "test top-1", "standoff": 4},
    )
    if panel.chance is not None:
        _level(figure, panel.chance, "chance", style.MUTED, "dash")
    step = min(0.012, 0.07 / len(panel.lines)) * (axis.span[1] - axis.span[0])
    for place, line in enumerate(panel.lines):
        # Side by side within a λ, so that the architectures' points do not hide each other.
        shift = (place - (len(panel.lines) - 1) / 2) * step
        _draw_line(figure, line, axis, shift, floor.label)
    return style.with_table(
        figure,
        (what, "data set", "lambda", "seed", "test top-1", "outcome", "trial"),
        [
            (line.architecture, panel.dataset, point.lam, point.seed, point.value, point.outcome, point.key)
            for line in panel.lines
            for point in line.points
        ],
    )


def _level(figure: go.Figure, value: float, label: str, colour: str, dash: str) -> None:
    figure.add_hline(y=value, line={"color": colour, "width": 1.2, "dash": dash})
    if label:
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=value, yanchor="bottom", text=label, showarrow=False,
            font={"size": 10, "color": colour},
        )  # fmt: skip


def _draw_line(figure: go.Figure, line: Line, axis: style.LambdaAxis, shift: float, floor: str) -> None:
    colour, group = style.colour(line.index), line.architecture
    name = style.safe(line.architecture)
    if line.floor is not None:
        figure.add_scatter(
            x=list(axis.span), y=[line.floor] * 2, mode="lines", legendgroup=group, hoverinfo="text",
            text=f"{name}: {floor} {line.floor:.1%}",
            line={"color": style.faded(colour, 0.75), "width": 1.4, "dash": "dot"},
        )  # fmt: skip
    for outcome, points in _by_outcome(line.points).items():
        figure.add_scatter(
            x=[axis.at(point.lam) + shift for point in points],
            y=[point.value for point in points],
            mode="markers",
            legendgroup=group,
            marker=_marker(outcome, line),
            customdata=[point.key for point in points],
            text=[_hover(name, point) for point in points],
            hoverinfo="text",
        )
    if line.means:
        _draw_means(figure, line, axis, shift)


def _by_outcome(points: tuple[Point, ...]) -> dict[str, list[Point]]:
    return {name: [p for p in points if p.outcome == name] for name in sorted({p.outcome for p in points})}


def _marker(outcome: str, line: Line) -> dict[str, object]:
    colour = style.colour(line.index)
    if outcome == "diverged":
        return {"symbol": "x-thin", "size": 9, "line": {"color": colour, "width": 2}}
    if outcome == "collapsed":
        return {"symbol": "circle-open", "size": 9, "color": colour, "line": {"width": 2}}
    size, opacity = (5, 0.5) if line.means else (8, 0.8)
    return {"symbol": "circle", "size": size, "color": style.faded(colour, opacity)}


def _hover(name: str, point: Point) -> str:
    words = style.OUTCOME_WORDS.get(point.outcome, "")
    return f"{name}<br>λ {point.lam:g}, seed {point.seed}: {point.value:.1%}" + (f"<br>{words}" if words else "")


def _draw_means(figure: go.Figure, line: Line, axis: style.LambdaAxis, shift: float) -> None:
    colour, means = style.colour(line.index), line.means
    name = style.safe(line.architecture)
    ends = [None if m.high is None or m.mean is None else m.high - m.mean for m in means]
    figure.add_scatter(
        x=[axis.at(m.lam) + shift for m in means],
        y=[m.mean for m in means],
        error_y={"array": ends, "thickness": 1.4, "width": 3, "color": colour},
        mode="lines+markers+text",
        connectgaps=False,
        legendgroup=line.architecture,
        line={"color": colour, "width": 2, "dash": style.dash(line.index)},
        marker={"symbol": style.SYMBOLS[line.index % len(style.SYMBOLS)], "size": 6.5, "color": colour},
        text=[f"n={m.n}" if 0 < m.n < line.seeds else "" for m in means],
        textposition="top center",
        textfont={"size": 10, "color": colour},
        hovertext=[_mean_hover(name, m) for m in means],
        hoverinfo="text",
    )
    for m in means:
        if m.n == 0:
            figure.add_annotation(
                x=axis.at(m.lam) + shift, y=1, yref="paper", yanchor="top", text="n=0", showarrow=False,
                textangle=-90, font={"size": 10, "color": colour},
            )  # fmt: skip


def _mean_hover(name: str, m: Mean) -> str:
    if m.mean is None:
        return f"{name}<br>λ {m.lam:g}: nothing measured"
    interval = f" (95 % CI {m.low:.1%} to {m.high:.1%})" if m.low is not None and m.high is not None else ""
    return f"<b>{name}</b><br>λ {m.lam:g}: {m.mean:.1%}{interval}<br>{m.n} seeds"
