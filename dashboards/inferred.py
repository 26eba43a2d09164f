"""The figures of what was inferred from a study, as the page holds them."""

from collections.abc import Iterator
from typing import Final

import plotly.graph_objects as go
from markupsafe import Markup

from dashboards.figures.dots import dots_data, draw_dots
from dashboards.figures.judge import draw_judge, judged_scopes
from dashboards.figures.ranks import draw_difference, draw_ranks, ranks_data
from dashboards.figures.selection import draw_selection
from dashboards.figures.variance import draw_bars, importance_bars, variance_bars
from dashboards.figures.windows import draw_windows, windows_data
from dashboards.findings import WINDOW_EPS, Findings
from dashboards.floor import FloorWords
from dashboards.pages import panels

MOST_CELLS: Final = 80
"""Rows beyond which a figure with a row per cell is no figure any more; the tables have them all."""


def inferred(found: Findings, floor: FloorWords) -> dict[str, list[Markup]]:
    """Figures by the name of their section."""
    return {
        "dots": panels(_dots(found, floor)),
        "windows": panels(_windows(found)),
        "ranks": panels(_ranks(found)),
        "differences": panels(_differences(found)),
        "variance": panels(_variance(found)),
        "judge": panels(_judge(found)),
        "selection": panels(_selection(found)),
    }


def _dots(found: Findings, floor: FloorWords) -> Iterator[go.Figure]:
    """Where λ is no axis, architectures are ranked at the λ that there is."""
    if len(found.grid.lambdas) == 1:
        for panel in dots_data(found.points):
            yield draw_dots(panel, floor)


def _windows(found: Findings) -> Iterator[go.Figure]:
    if found.windows is not None and len(found.grid.lambdas) > 1 and len(found.windows) <= MOST_CELLS:
        rows = windows_data({str(k): v for k, v in row.items()} for row in found.windows.to_dict("records"))
        yield draw_windows(rows, found.grid.lambdas.tolist(), WINDOW_EPS)


def _ranks(found: Findings) -> Iterator[go.Figure]:
    if found.ranks is not None and len(found.grid.lambdas) > 1:
        for panel in ranks_data(found.points):
            if 1 < len(panel.flows) <= MOST_CELLS:
                yield draw_ranks(panel)


def _differences(found: Findings) -> Iterator[go.Figure]:
    for compared, title in ((found.lambdas, "λ"), (found.architectures, "architectures")):
        if compared is not None and compared.cd is not None:
            yield draw_difference(compared, title)


def _variance(found: Findings) -> Iterator[go.Figure]:
    if found.variance is not None and found.variance.shares:
        yield draw_bars(variance_bars(found.variance), "shares of variance", ".0%")
    for importance in found.importances:
        if importance.settings:
            where = " · ".join(part for part in (importance.architecture, importance.dataset) if part)
            yield draw_bars(importance_bars(importance), where or "all cells", ".0%")


def _judge(found: Findings) -> Iterator[go.Figure]:
    if found.judgement is not None:
        for scope in judged_scopes(found.judgement):
            yield draw_judge(found.judgement, scope)


def _selection(found: Findings) -> Iterator[go.Figure]:
    for selection, title in ((found.by_cell, "λ"), (found.by_dataset, "architecture and λ")):
        if selection is not None and selection.groups:
            yield draw_selection(selection, title)
