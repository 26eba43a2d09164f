"""Is the pretraining loss a proxy for accuracy? One panel per data set, one point per trial."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import labelled, score


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyPoint:
    """One trial."""

    lam: float
    seed: int
    loss: float
    """Mean of the last epoch; infinite if diverged."""
    accuracy: float
    outcome: str
    key: str = ""
    """The trial's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxySeries:
    """The trials of one cell."""

    architecture: str
    index: int
    points: tuple[ProxyPoint, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyPanel:
    """One data set."""

    title: str
    series: tuple[ProxySeries, ...]
    logarithmic: bool
    """Whether losses span more than a decade and are all positive."""


def proxy_data(trials: pd.DataFrame) -> tuple[ProxyPanel, ...]:
    """What to draw, from `Results.trials`; none for data sets without accuracies."""
    scored = score(trials)
    scored = scored[scored["dataset"].isin(labelled(scored))]
    order = {name: i for i, name in enumerate(sorted(scored["architecture"].unique()))}
    pairs = scored.dropna(subset=["loss", "test"])
    panels = []
    for dataset, part in pairs.groupby("dataset"):
        finite = part.loc[np.isfinite(part["loss"]), "loss"]
        series = tuple(
            ProxySeries(architecture=str(name), index=order[str(name)], points=_points(cell))
            for name, cell in part.groupby("architecture")
        )
        wide = len(finite) > 0 and finite.min() > 0 and finite.max() / finite.min() > 10
        panels.append(ProxyPanel(title=str(dataset), series=series, logarithmic=bool(wide)))
    return tuple(panels)


def _points(cell: pd.DataFrame) -> tuple[ProxyPoint, ...]:
    columns = (cell[name] for name in ("lambda", "seed", "loss", "test", "outcome", "key"))
    return tuple(
        ProxyPoint(lam=float(a), seed=int(b), loss=float(c), accuracy=float(d), outcome=str(e), key=str(f))
        for a, b, c, d, e, f in zip(*columns, strict=True)
    )


def draw_proxy(panel: ProxyPanel) -> go.Figure:
    """Draw one panel; trials whose loss is not finite stand at the right edge."""
    figure = style.base_figure(320, title=style.titled(panel.title))
    losses = [p.loss for s in panel.series for p in s.points if np.isfinite(p.loss)]
    edge = _edge(losses, panel.logarithmic)
    for series in panel.series:
        colour = style.colour(series.index)
        finite = [np.isfinite(p.loss) for p in series.points]
        figure.add_scatter(
            x=[p.loss if there else edge for p, there in zip(series.points, finite, strict=True)],
            y=[p.accuracy for p in series.points],
            mode="markers",
            legendgroup=series.architecture,
            marker={
                "color": colour,
                "size": [10 if p.outcome == "collapsed" else 8 for p in series.points],
                "symbol": [_symbol(p, series.index) for p in series.points],
                "line": {"color": colour, "width": [0 if p.outcome == "ok" else 2 for p in series.points]},
                "opacity": 0.8,
            },
            customdata=[p.key for p in series.points],
            text=[_hover(series.architecture, p) for p in series.points],
            hoverinfo="text",
        )
    kind = "log" if panel.logarithmic else "linear"
    figure.update_xaxes(type=kind, zeroline=False, title={"text": "training loss, last epoch", "standoff": 6})
    accuracies = [p.accuracy for s in panel.series for p in s.points]
    margin = max(0.08 * (max(accuracies) - min(accuracies)), 0.01)
    span = [min(accuracies) - margin, max(accuracies) + margin]
    figure.update_yaxes(tickformat=".0%", range=span, zeroline=False, title={"text": "test top-1", "standoff": 4})
    if any(not np.isfinite(p.loss) for s in panel.series for p in s.points):
        position = np.log10(edge) if panel.logarithmic else edge
        figure.add_annotation(
            x=float(position), y=1, yref="paper", text="not finite", showarrow=False, xanchor="center",
            font={"size": 10, "color": style.MUTED},
        )  # fmt: skip
    return style.with_table(
        figure,
        ("architecture", "data set", "lambda", "seed", "loss", "test top-1", "outcome", "trial"),
        [
            (s.architecture, panel.title, p.lam, p.seed, p.loss, p.accuracy, p.outcome, p.key)
            for s in panel.series
            for p in s.points
        ],
    )


def _edge(losses: list[float], logarithmic: bool) -> float:
    if not losses:
        return 1.0
    low, high = min(losses), max(losses)
    return high * (high / low) ** 0.1 if logarithmic else high + 0.1 * max(high - low, 0.1 * abs(high), 1e-6)


def _symbol(point: ProxyPoint, index: int) -> str:
    if point.outcome == "diverged":
        return "x-thin"
    return "circle-open" if point.outcome == "collapsed" else style.SYMBOLS[index % len(style.SYMBOLS)]


def _hover(architecture: str, point: ProxyPoint) -> str:
    words = f"<br>{style.OUTCOME_WORDS[point.outcome]}" if point.outcome in style.OUTCOME_WORDS else ""
    where = f"λ {point.lam:g}, seed {point.seed}"
    return f"{style.safe(architecture)}<br>{where}<br>loss {point.loss:.4g}, top-1 {point.accuracy:.1%}{words}"
