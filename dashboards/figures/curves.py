"""Training curves: the loss over epochs, a line per trial, λ as its shade."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures import style

MOST_TRIALS: Final = 600
"""Beyond, only the first seed of each cell and λ is drawn."""
MOST_POINTS: Final = 60
"""Points of a curve; longer histories are thinned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial."""

    key: str
    lam: float
    seed: int
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePanel:
    """One cell."""

    title: str
    architecture: str
    curves: tuple[Curve, ...]


def curves_data(study: Path, trials: pd.DataFrame) -> tuple[CurvePanel, ...]:
    """What to draw, from `Results.trials` and the `metrics.jsonl` of each.

    Args:
        study: The study's folder; without it, as when a study is read from a tracker, there is nothing to draw.
        trials: `Results.trials`.
    """
    shown = trials if len(trials) <= MOST_TRIALS else trials.drop_duplicates(["architecture", "dataset", "lambda"])
    panels = []
    for (dataset, architecture), cell in shown.groupby(["dataset", "architecture"]):
        curves = [curve for row in cell.to_dict("records") if (curve := _curve(study, row)) is not None]
        if curves:
            panels.append(
                CurvePanel(title=f"{architecture} · {dataset}", architecture=str(architecture), curves=tuple(curves))
            )
    return tuple(panels)


def _curve(study: Path, row: dict[Any, Any]) -> Curve | None:
    history = _history(study / "trials" / str(row["key"]) / "metrics.jsonl")
    if not history:
        return None
    places = np.unique(np.linspace(0, len(history) - 1, min(len(history), MOST_POINTS)).round().astype(int))
    return Curve(
        key=str(row["key"]),
        lam=float(row["lambda"]),
        seed=int(row["seed"]),
        epochs=tuple(history[i][0] for i in places),
        losses=tuple(history[i][1] for i in places),
        outcome=str(row["outcome"]),
    )


def _history(path: Path) -> list[tuple[int, float]]:
    """Epochs and losses; none if the file is missing or damaged, which costs a curve and not the page."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [(int(row["epoch"]), float(row["train/loss"])) for row in rows if row.get("train/loss") is not None]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def draw_curves(panel: CurvePanel, lambdas: Sequence[float]) -> go.Figure:
    """Draw one panel.

    Args:
        panel: What to draw.
        lambdas: Of the whole study: a λ has the same shade in every panel.
    """
    figure = style.base_figure(260, title=style.titled(panel.title))
    losses = [loss for curve in panel.curves for loss in curve.losses if math.isfinite(loss)]
    wide = bool(losses) and min(losses) > 0 and max(losses) / min(losses) > 10
    figure.update_xaxes(title={"text": "epoch", "standoff": 4}, zeroline=False, tickformat="d")
    figure.update_yaxes(title={"text": "loss", "standoff": 4}, zeroline=False, type="log" if wide else "linear")
    if wide:
        figure.update_yaxes(dtick="D2")
    shades = style.shades(lambdas)
    for curve in panel.curves:
        figure.add_scatter(
            x=list(curve.epochs),
            y=[loss if math.isfinite(loss) else None for loss in curve.losses],
            mode="lines" if len(curve.epochs) > 1 else "markers",
            legendgroup=panel.architecture,
            name=f"λ {curve.lam:g}, seed {curve.seed}",
            line={"color": shades[curve.lam], "width": 1.4, "dash": "dot" if curve.outcome == "collapsed" else "solid"},
            marker={"color": shades[curve.lam], "size": 5},
            customdata=[curve.key] * len(curve.epochs),
            hovertemplate="%{fullData.name}<br>epoch %{x}: %{y:.4g}<extra></extra>",
        )
    return style.with_table(
        figure,
        ("trial", "lambda", "seed", "epoch", "loss"),
        [
            (curve.key, curve.lam, curve.seed, epoch, loss)
            for curve in panel.curves
            for epoch, loss in zip(curve.epochs, curve.losses, strict=True)
        ],
    )
