"""What the cloud of held-out projections looks like: quantiles of its slices, spectrum of its covariance."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.scores import CELL, MEASURED

Floats = npt.NDArray[np.float64]
MOST_CELLS: Final = 24
"""Beyond, the rest is left to the files."""
ARRAYS: Final = "criteria.npz"
"""Of a trial's folder: see `lejepa_core.evaluation.criteria`."""
DRAWN: Final = ("qq_normal", "qq_envelope", "qq_slices", "projection_spectrum")
"""What is drawn of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cloud:
    """One trial."""

    lam: float
    key: str
    quantiles: Floats
    """(3, Q): low, middle and high one over slices."""
    spectrum: Floats
    """(D,) eigenvalues of the covariance of projections, falling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapePanel:
    """One cell, its first seed."""

    title: str
    architecture: str
    normal: Floats
    """(Q,) quantiles of N(0, 1)."""
    envelope: Floats
    """(2, Q): between these lie 95 % of samples of N(0, 1) as large as ours."""
    clouds: tuple[Cloud, ...]


def shape_data(study: Path, trials: pd.DataFrame) -> tuple[ShapePanel, ...]:
    """What to draw, of the first seed of each cell.

    Args:
        study: The study's folder.
        trials: `Results.trials`.
    """
    measured = trials[trials["outcome"].isin(MEASURED)]
    panels: list[ShapePanel] = []
    for (architecture, dataset), cell in measured.groupby(CELL):
        first = cell[cell["seed"] == cell["seed"].min()].drop_duplicates("lambda")
        held = [(row, arrays) for row in first.to_dict("records") if (arrays := _arrays(study, row)) is not None]
        if held and len(panels) < MOST_CELLS:
            panels.append(_panel(f"{architecture} · {dataset}", str(architecture), held))
    return tuple(panels)


def _arrays(study: Path, row: dict[Any, Any]) -> dict[str, Floats] | None:
    path = study / "trials" / str(row["key"]) / ARRAYS
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {name: held[name].astype(np.float64) for name in DRAWN}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _panel(title: str, architecture: str, held: Sequence[tuple[dict[Any, Any], dict[str, Floats]]]) -> ShapePanel:
    _, arrays = held[0]
    return ShapePanel(
        title=title,
        architecture=architecture,
        normal=arrays["qq_normal"],
        envelope=arrays["qq_envelope"],
        clouds=tuple(
            Cloud(
                lam=float(row["lambda"]), key=str(row["key"]), quantiles=own["qq_slices"],
                spectrum=own["projection_spectrum"],
            )
            for row, own in held
        ),
    )  # fmt: skip


def draw_quantiles(panel: ShapePanel, lambdas: Sequence[float]) -> go.Figure:
    """Quantiles of slices less those of N(0, 1): a Gaussian lies flat within the grey band.

    Args:
        panel: What to draw.
        lambdas: Of the whole study: a λ has the same shade in every panel.
    """
    figure = style.base_figure(270, title=style.titled(panel.title))
    figure.update_xaxes(title={"text": "quantile of N(0, 1)", "standoff": 4}, zeroline=False)
    figure.update_yaxes(title={"text": "slices, minus that", "standoff": 4}, zeroline=False)
    low, high = panel.envelope - panel.normal
    figure.add_scatter(
        x=[*panel.normal, *panel.normal[::-1]], y=[*high, *low[::-1]], fill="toself", mode="lines", hoverinfo="skip",
        line={"width": 0}, fillcolor=style.faded(style.MUTED, 0.22),
    )  # fmt: skip
    shades = style.shades(lambdas)
    for cloud in panel.clouds:
        figure.add_scatter(
            x=panel.normal,
            y=cloud.quantiles[1] - panel.normal,
            mode="lines",
            legendgroup=panel.architecture,
            name=f"λ {cloud.lam:g}",
            line={"color": shades[cloud.lam], "width": 1.6},
            customdata=[cloud.key] * len(panel.normal),
            hovertemplate="%{fullData.name}<br>at %{x:.2f}: %{y:+.3f}<extra></extra>",
        )
    rows = [
        (cloud.lam, float(x), *(float(q[i]) for q in cloud.quantiles))
        for cloud in panel.clouds
        for i, x in enumerate(panel.normal)
    ]
    return style.with_table(figure, ("lambda", "normal quantile", "2.5 % of slices", "median slice", "97.5 %"), rows)


def draw_spectrum(panel: ShapePanel, lambdas: Sequence[float]) -> go.Figure:
    """Eigenvalues of the covariance of projections by rank, both on log scales; N(0, I) lies at 1.

    Args:
        panel: What to draw.
        lambdas: Of the whole study.
    """
    figure = style.base_figure(270, title=style.titled(panel.title))
    figure.update_xaxes(title={"text": "rank", "standoff": 4}, type="log", dtick="D2", zeroline=False)
    figure.update_yaxes(title={"text": "eigenvalue", "standoff": 4}, type="log", zeroline=False, exponentformat="power")
    shades = style.shades(lambdas)
    for cloud in panel.clouds:
        positive = cloud.spectrum[cloud.spectrum > 0]
        figure.add_scatter(
            x=np.arange(1, len(positive) + 1),
            y=positive,
            mode="lines",
            legendgroup=panel.architecture,
            name=f"λ {cloud.lam:g}",
            line={"color": shades[cloud.lam], "width": 1.6},
            customdata=[cloud.key] * len(positive),
            hovertemplate="%{fullData.name}<br>rank %{x}: %{y:.3g}<extra></extra>",
        )
    rows = [(cloud.lam, i + 1, float(value)) for cloud in panel.clouds for i, value in enumerate(cloud.spectrum)]
    return style.with_table(figure, ("lambda", "rank", "eigenvalue"), rows)
