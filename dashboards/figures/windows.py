"""How wide is the window of λ? One row per cell: the range, the best λ in it, arrows where the grid ends it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style

ROW: Final = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One cell."""

    architecture: str
    dataset: str
    index: int
    """Place of the data set among all: its colour."""
    low: float | None
    """Smallest λ of the window; None when nothing was measured."""
    high: float | None
    best: float | None
    censored_low: bool
    """Whether the window reaches the smallest λ that was tried, and may go on below."""
    censored_high: bool

    @property
    def width(self) -> float | None:
        """In decades; None where there is no window, or where it begins at λ = 0."""
        if self.low is None or self.high is None or self.low <= 0:
            return None
        return log10(self.high / self.low)


def windows_data(rows: Iterable[Mapping[str, Any]]) -> tuple[Window, ...]:
    """What to draw: by data set, the widest window first, cells without one last.

    Args:
        rows: architecture, dataset, low, high, best (λ, None or NaN when unknown), censored_low, censored_high.
    """
    known = list(rows)
    order = {name: i for i, name in enumerate(sorted({str(row["dataset"]) for row in known}))}
    windows = [
        Window(
            architecture=str(row["architecture"]),
            dataset=str(row["dataset"]),
            index=order[str(row["dataset"])],
            low=_optional(row["low"]),
            high=_optional(row["high"]),
            best=_optional(row["best"]),
            censored_low=bool(row["censored_low"]),
            censored_high=bool(row["censored_high"]),
        )
        for row in known
    ]
    return tuple(sorted(windows, key=_place))


def _place(window: Window) -> tuple[str, bool, float, str]:
    width = window.width
    # A window that begins at λ = 0 is endless in decades.
    endless = window.low is not None and width is None
    return window.dataset, window.low is None, -(1e9 if endless else width or 0.0), window.architecture


def _optional(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def draw_windows(windows: Sequence[Window], lambdas: Iterable[float], epsilon: float) -> go.Figure:
    """Draw the windows.

    Args:
        windows: From `windows_data`.
        lambdas: The λ of the grid.
        epsilon: Accuracy that a λ inside the window may lose.
    """
    axis = style.lambda_axis(lambdas)
    points = f"{100 * epsilon:g} point{'' if epsilon == 0.01 else 's'}"
    title = style.titled(f"widest run of λ that lose at most {points}")
    figure = style.base_figure(96 + ROW * len(windows), title=title, xaxis=style.lambda_layout(axis))
    for row, window in enumerate(windows):
        if window.low is not None and window.high is not None:
            _draw_window(figure, row, window, axis)
    _draw_dots(figure, windows, axis)
    names = [
        f"{style.safe(window.architecture)} <span style='font-size:10px'>{style.safe(window.dataset)}</span>"
        for window in windows
    ]
    figure.update_yaxes(
        tickvals=list(range(len(windows))), ticktext=names, range=[len(windows) - 0.5, -0.5],
        showgrid=False, zeroline=False, automargin=True, ticks="",
    )  # fmt: skip
    empty = [_nothing(row, axis) for row, window in enumerate(windows) if window.low is None]
    figure.update_layout(annotations=empty)
    rows = [
        (w.architecture, w.dataset, w.low, w.best, w.high, w.width, w.censored_low, w.censored_high) for w in windows
    ]
    columns = ("architecture", "data set", "low", "chosen", "high", "decades", "may go on below", "may go on above")
    return style.with_table(figure, columns, rows)


def _draw_window(figure: go.Figure, row: int, window: Window, axis: style.LambdaAxis) -> None:
    assert window.low is not None and window.high is not None
    colour = style.colour(window.index)
    figure.add_scatter(
        x=[axis.at(window.low), axis.at(window.high)],
        y=[row, row],
        mode="lines+markers",
        legendgroup=window.architecture,
        line={"color": colour, "width": 4},
        marker={
            "symbol": [
                "triangle-left" if window.censored_low else "line-ns",
                "triangle-right" if window.censored_high else "line-ns",
            ],
            "size": 11,
            "color": colour,
            "line": {"color": colour, "width": 2},
        },
        hovertext=_hover(window),
        hoverinfo="text",
    )


def _draw_dots(figure: go.Figure, windows: Sequence[Window], axis: style.LambdaAxis) -> None:
    dots = [(row, window, window.best) for row, window in enumerate(windows)]
    known = [(row, window, best) for row, window, best in dots if best is not None]
    figure.add_scatter(
        x=[axis.at(best) for _, _, best in known],
        y=[row for row, _, _ in known],
        mode="markers",
        marker={
            "size": 10,
            "color": [style.colour(window.index) for _, window, _ in known],
            "line": {"color": "#ffffff", "width": 1.5},
        },
        hovertext=[_hover(window) for _, window, _ in known],
        hoverinfo="text",
    )


def _nothing(row: int, axis: style.LambdaAxis) -> dict[str, object]:
    font = {"size": 10, "color": style.MUTED}
    return {"x": axis.span[0], "y": row, "text": "no window", "showarrow": False, "xanchor": "left", "font": font}


def _hover(window: Window) -> str:
    name = f"{style.safe(window.architecture)}, {style.safe(window.dataset)}"
    if window.low is None or window.high is None:
        return name
    low = "below " if window.censored_low else ""
    high = " and above" if window.censored_high else ""
    least = "at least " if window.censored_low or window.censored_high else ""
    wide = "" if window.width is None else f"<br>{least}{window.width:.2f} decades"
    best = "" if window.best is None else f"<br>best λ {window.best:g}"
    return f"{name}<br>λ {low}{window.low:g} to {window.high:g}{high}{wide}{best}"
