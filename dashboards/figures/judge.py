"""How well loss / λ^α judges accuracy, as a curve over α."""

from typing import Final

import numpy as np
import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.judge import Curve, Judgement
from dashboards.statistics.judge_points import SCOPES, Scope
from dashboards.statistics.regret import Floats

COLOURS: Final = {False: style.PALETTE[0], True: style.PALETTE[1]}
NAMES: Final = {False: "all trials", True: "live trials"}


def judged_scopes(found: Judgement) -> tuple[Scope, ...]:
    """The scopes that have a curve; where there is one cell or one data set, the wider ones say the same again."""
    scopes = [scope for scope in SCOPES if any(_known(curve) for curve in found.curves if curve.scope == scope)]
    groups = {curve.scope: len(curve.groups_GA) for curve in found.curves if not curve.live}
    return tuple(scope for i, scope in enumerate(scopes) if i == 0 or groups[scopes[i - 1]] > 1)


def draw_judge(found: Judgement, scope: Scope) -> go.Figure:
    """Draw the curves of one scope: all trials, and without those that collapsed or diverged."""
    figure = style.base_figure(330, title=style.titled(scope))
    figure.update_xaxes(title={"text": "α in loss / λ<sup>α</sup>", "standoff": 6}, zeroline=False)
    figure.update_yaxes(title={"text": "C(α) = −ρ", "standoff": 4}, zeroline=False, range=[-1.05, 1.05])
    figure.add_hline(y=0, line={"color": style.MUTED, "width": 1})
    figure.add_vline(x=0, line={"color": style.MUTED, "width": 1, "dash": "dot"})
    _draw_null(figure, found, scope)
    curves = [curve for curve in found.curves if curve.scope == scope and _known(curve)]
    for curve in curves if found.failed else curves[:1]:
        _draw_curve(figure, found.alphas_A, curve)
    rows = [
        (NAMES[curve.live], float(alpha), float(curve.agreement_A[i]), *_ends(curve, i))
        for curve in curves
        for i, alpha in enumerate(found.alphas_A)
    ]
    return style.with_table(figure, ("trials", "alpha", "C", "low", "high"), rows)


def _known(curve: Curve) -> bool:
    return bool(np.isfinite(curve.agreement_A).any())


def _ends(curve: Curve, index: int) -> tuple[float | None, float | None]:
    if curve.low_A is None or curve.high_A is None:
        return None, None
    return float(curve.low_A[index]), float(curve.high_A[index])


def _draw_null(figure: go.Figure, found: Judgement, scope: Scope) -> None:
    """What the best α reaches on accuracies that were permuted."""
    nulls = [choice.optimistic for choice in found.choices if choice.scope == scope and not choice.live]
    if nulls:
        figure.add_hrect(
            y0=nulls[0].low, y1=nulls[0].high, line_width=0, fillcolor=style.faded(style.MUTED, 0.18), layer="below"
        )


def _draw_curve(figure: go.Figure, alphas_A: Floats, curve: Curve) -> None:
    colour, name = COLOURS[curve.live], NAMES[curve.live]
    if curve.low_A is not None and curve.high_A is not None:
        figure.add_scatter(
            x=[*alphas_A, *alphas_A[::-1]], y=[*curve.high_A, *curve.low_A[::-1]], fill="toself", mode="lines",
            line={"width": 0}, fillcolor=style.faded(colour, 0.18), hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=alphas_A, y=curve.agreement_A, mode="lines", name=name, line={"color": colour, "width": 2},
        hovertemplate=f"{name}<br>α %{{x:.2f}}: %{{y:.2f}}<extra></extra>",
    )  # fmt: skip
    best = int(np.nanargmax(np.nan_to_num(curve.agreement_A, nan=-np.inf)))
    figure.add_scatter(
        x=[alphas_A[best]], y=[curve.agreement_A[best]], mode="markers+text", text=[f"{curve.agreement_A[best]:.2f}"],
        textposition="top center", textfont={"size": 11, "color": colour}, hoverinfo="skip",
        marker={"color": colour, "size": 8},
    )  # fmt: skip
