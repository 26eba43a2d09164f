"""Where λ costs: points of test accuracy lost to each cell's own best λ, as a heat-map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.regret import Floats, make_grid, observe
from dashboards.statistics.scores import CELL, at_best_settings, labelled, score
from lejepa_platform.ledger import FAILURES

# Both scales stop where the page's own text colour, dark or light, is still easy to read on them.
LIGHT = [[0.0, "#f4f7fa"], [0.4, "#c2daee"], [1.0, "#6fabdb"]]
DARK = [[0.0, "#1a222b"], [0.4, "#1f4461"], [1.0, "#2c73aa"]]
FULL: Final = 10.0
"""Points at which the colour is full: one collapsed cell must not make all others look alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegretData:
    """One row per cell that has accuracies, one column per λ."""

    cells: tuple[tuple[str, str], ...]
    """(architecture, dataset)."""
    lambdas: tuple[float, ...]
    points: Floats
    """(cells, λ): percentage points below the chosen λ; NaN where nothing was measured."""
    chosen: tuple[int | None, ...]
    """Column of the λ chosen on validation."""
    marks: tuple[tuple[str, ...], ...]
    """(cells, λ): what a reader must know of the trials there, as in `✕1 n=2`; empty if all is well."""
    failed: tuple[tuple[bool, ...], ...]
    """(cells, λ): whether every trial that was started there failed (diverged ones included)."""


def regret_data(trials: pd.DataFrame) -> RegretData:
    """What to draw, from `Results.trials` of a grid study."""
    scored = score(trials)
    points = at_best_settings(scored[scored["dataset"].isin(labelled(scored))])
    grid = make_grid(points)
    found = observe(grid) if grid.cells else None
    cells = sorted({(str(a), str(d)) for a, d in zip(points["architecture"], points["dataset"], strict=True)})
    families = dict(zip(points["architecture"].astype(str), points["family"].astype(str), strict=True))
    cells.sort(key=lambda cell: (cell[1], families[cell[0]], cell[0]))
    lambdas = sorted(float(value) for value in points["lambda"].unique())
    values = np.full((len(cells), len(lambdas)), np.nan)
    chosen: list[int | None] = [None] * len(cells)
    columns = [lambdas.index(lam) for lam in grid.lambdas]
    for c, cell in enumerate(grid.cells):
        row = cells.index(cell)
        assert found is not None
        values[row, columns] = 100 * found.regret_BCL[0, c]
        chosen[row] = columns[found.chosen_BC[0, c]]
    marks = _marks(points, cells, lambdas)
    return RegretData(
        cells=tuple(cells),
        lambdas=tuple(lambdas),
        points=values,
        chosen=tuple(chosen),
        marks=marks,
        failed=_failed(points, cells, lambdas),
    )


def _failed(
    points: pd.DataFrame, cells: Sequence[tuple[str, str]], lambdas: Sequence[float]
) -> tuple[tuple[bool, ...], ...]:
    lost = points["outcome"].isin([*FAILURES, "diverged"]).groupby([points[name] for name in (*CELL, "lambda")]).all()
    return tuple(tuple(bool(lost.get((*cell, lam), False)) for lam in lambdas) for cell in cells)


def _marks(
    points: pd.DataFrame, cells: Sequence[tuple[str, str]], lambdas: Sequence[float]
) -> tuple[tuple[str, ...], ...]:
    groups = {key: part for key, part in points.groupby([*CELL, "lambda"])}
    seeds = {key: part["seed"].nunique() for key, part in points.groupby(CELL)}
    return tuple(tuple(_mark(groups.get((*cell, lam)), int(seeds.get(cell, 0))) for lam in lambdas) for cell in cells)


def _mark(trials: pd.DataFrame | None, seeds: int) -> str:
    if trials is None:
        return ""
    counts = trials["outcome"].value_counts()
    words = [f"✕{counts[name]}" for name in ("diverged",) if name in counts]
    words += [f"◌{counts[name]}" for name in ("collapsed",) if name in counts]
    measured = int(trials["test"].notna().sum())
    if measured == 0:
        words += [str(name) for name in counts.index if name not in ("diverged", "collapsed", "ok")]
    elif measured < seeds:
        words.append(f"n={measured}")
    return " ".join(words)


def draw_regret(data: RegretData) -> go.Figure:
    """Draw the heat-map; the chosen λ of each row is framed."""
    names = [f"{style.safe(a)}<br><span style='font-size:10px'>{style.safe(d)}</span>" for a, d in data.cells]
    figure = style.base_figure(60 + 42 * len(names))
    top = float(np.clip(np.nanmax(data.points), 1.0, FULL)) if np.isfinite(data.points).any() else 1.0
    rows, columns = list(range(len(names))), list(range(len(data.lambdas)))
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=data.points.tolist(),
        zmin=0,
        zmax=top,
        colorscale=LIGHT,
        xgap=2,
        ygap=2,
        text=_texts(data),
        texttemplate="%{text}",
        textfont={"size": 11},
        hovertext=_hovers(data),
        hoverinfo="text",
        showscale=False,
    )
    _hatch(figure, data.failed)
    figure.update_xaxes(
        tickvals=columns, ticktext=style.lambda_labels(data.lambdas), side="top", showgrid=False, ticks="",
        title={"text": "λ", "standoff": 2}, zeroline=False, range=[-0.5, len(columns) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False, automargin=True,
        zeroline=False, ticks="",
    )  # fmt: skip
    figure.update_layout(meta={"dark_colorscale": DARK}, margin={"t": 44, "b": 8})
    # All at once: Plotly checks every earlier shape again for each one added, minutes for 600 cells.
    figure.update_layout(shapes=[_frame(row, col) for row, col in enumerate(data.chosen) if col is not None])
    table = [
        (*cell, lam, float(value), mark)
        for cell, row, marks in zip(data.cells, data.points, data.marks, strict=True)
        for lam, value, mark in zip(data.lambdas, row, marks, strict=True)
    ]
    return style.with_table(figure, ("architecture", "data set", "lambda", "points lost", "marks"), table)


def _hatch(figure: go.Figure, failed: tuple[tuple[bool, ...], ...]) -> None:
    corners = [(-0.48, -0.46), (0.48, -0.46), (0.48, 0.46), (-0.48, 0.46), (-0.48, -0.46)]
    x: list[float | None] = []
    y: list[float | None] = []
    for row, column in [(r, c) for r, marks in enumerate(failed) for c, lost in enumerate(marks) if lost]:
        x += [*(column + dx for dx, _ in corners), None]
        y += [*(row + dy for _, dy in corners), None]
    if x:
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"width": 0}, fill="toself", hoverinfo="skip",
            fillcolor="rgba(0,0,0,0)", fillpattern={"shape": "/", "size": 6, "fgcolor": style.faded(style.MUTED, 0.6)},
        )  # fmt: skip


def _frame(row: int, column: int) -> dict[str, object]:
    ends = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.46, "y1": row + 0.46}
    return {"type": "rect", **ends, "line": {"color": style.PALETTE[1], "width": 2.5}}


def _texts(data: RegretData) -> list[list[str]]:
    def text(value: float, mark: str) -> str:
        number = "" if np.isnan(value) else f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
        return "<br>".join(part for part in (number, mark) if part)

    return [
        [text(value, mark) for value, mark in zip(row, marks, strict=True)]
        for row, marks in zip(data.points, data.marks, strict=True)
    ]


def _hovers(data: RegretData) -> list[list[str]]:
    def text(cell: tuple[str, str], lam: float, value: float) -> str:
        lost = "nothing measured" if np.isnan(value) else f"{value:.2f} points below the chosen λ"
        return f"{style.safe(cell[0])}, {style.safe(cell[1])}<br>λ {lam:g}: {lost}"

    return [
        [text(cell, lam, value) for lam, value in zip(data.lambdas, row, strict=True)]
        for cell, row in zip(data.cells, data.points, strict=True)
    ]
