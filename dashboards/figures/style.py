"""What all figures share: colours, the axis of λ, names made safe to draw.

Backgrounds are transparent and fonts have no colour of their own: the page sets both, light or dark.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

PALETTE: Final = ("#2f7fc1", "#d55e00", "#0e9f74", "#c264a5", "#b58900", "#6c71c4", "#3f9fb5", "#8c6d5a")
"""After Okabe and Ito (2008), moved towards mid-tones that hold on white and on near-black."""
SYMBOLS: Final = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "pentagon",
    "hexagon",
    "star",
    "triangle-down",
)
DASHES: Final = ("solid", "dash", "dot", "dashdot")
MUTED: Final = "#8a8f98"
OUTCOME_WORDS: Final = {"collapsed": "collapsed", "diverged": "diverged, counted as chance"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LambdaAxis:
    """Where each λ stands on a logarithmic axis."""

    ticks: tuple[float, ...]
    """Positions, in decades."""
    labels: tuple[str, ...]
    span: tuple[float, float]
    """Ends of the axis."""
    zero: float
    """Where λ = 0 stands, which has no logarithm: one step left of the smallest other."""

    def at(self, lam: float) -> float:
        """The position of a λ."""
        return math.log10(lam) if lam > 0 else self.zero


def lambda_axis(lambdas: Iterable[float], most: int = 8) -> LambdaAxis:
    """An axis labelled with the λ themselves, or with decades when there are more than `most`."""
    values = sorted(set(lambdas))
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.log10(positive[0]), math.log10(positive[-1])
    step = (high - low) / (len(positive) - 1) if len(positive) > 1 else 0.5
    zero = low - step
    shown = values if len(values) <= most else _round_values(low, high) + ([0.0] if 0.0 in values else [])
    start = zero if 0.0 in values else low
    margin = max(0.06 * (high - start), 0.05)
    return LambdaAxis(
        ticks=tuple(math.log10(value) if value > 0 else zero for value in shown),
        labels=lambda_labels(shown),
        span=(start - margin, high + margin),
        zero=zero,
    )


def lambda_labels(lambdas: Sequence[float]) -> tuple[str, ...]:
    """λ to three digits, which fit below a narrow panel; to six if two of them would look alike."""
    short = tuple(f"{value:.3g}" for value in lambdas)
    return short if len(set(short)) == len(set(lambdas)) else tuple(f"{value:g}" for value in lambdas)


def _round_values(low: float, high: float) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return [value for value in values if low - 0.02 <= math.log10(value) <= high + 0.02]


def safe(name: str) -> str:
    """A name as Plotly may draw it: its texts are a subset of HTML, and names come from folders."""
    return html.escape(name, quote=False)


def colour(index: int) -> str:
    """The colour of the index-th architecture; after eight they repeat with another dash."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> str:
    """The dash of the index-th architecture."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def faded(hex_colour: str, opacity: float) -> str:
    """A `#rrggbb` colour made translucent."""
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def shades(lambdas: Sequence[float]) -> dict[float, str]:
    """A shade for each λ, the darker the smaller."""
    ordered = sorted(set(lambdas))
    # The scale's bright end is lost on white.
    places = np.linspace(0.0, 0.85, len(ordered)) if len(ordered) > 1 else [0.4]
    return dict(zip(ordered, sample_colorscale("Plasma", list(places)), strict=True))


def base_figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the style of the report."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 52, "r": 14, "t": 34, "b": 46},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 12},
        showlegend=False,
        hoverlabel={"align": "left"},
        **layout,
    )
    return figure


def with_table(figure: go.Figure, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> go.Figure:
    """The figure, with the numbers that its CSV download holds; what is not finite is an empty field there.

    Args:
        figure: Changed in place.
        columns: Names of the columns.
        rows: Values in that order.
    """
    table = [[None if isinstance(v, float) and not math.isfinite(v) else v for v in row] for row in rows]
    figure.update_layout(meta={**(figure.layout.meta or {}), "table": {"columns": list(columns), "rows": table}})
    return figure


def titled(text: str) -> dict[str, Any]:
    """A panel's title, at the left above the axes."""
    return {"text": f"<b>{safe(text)}</b>", "x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 13}}


def lambda_layout(axis: LambdaAxis) -> dict[str, Any]:
    """The x axis of a figure over λ."""
    return {
        "title": {"text": "λ (log scale)", "standoff": 6},
        "tickvals": list(axis.ticks),
        "ticktext": list(axis.labels),
        "range": list(axis.span),
        "zeroline": False,
        "showgrid": True,
    }
