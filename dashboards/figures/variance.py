"""Which factor matters: shares of variance as bars, and settings of a search as others."""

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures import style
from dashboards.statistics.importance import Importances
from dashboards.statistics.variance import REST, REST_OF_ALL, SEED, Variance


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One source."""

    label: str
    share: float
    """At least 0, at most 1."""
    raw: float
    """Tick beside the bar: the share with chance left in, or that of chance alone."""
    chance: bool
    """Whether the source is chance itself."""
    hover: str


def variance_bars(found: Variance) -> tuple[Bar, ...]:
    """What to draw of `variance_shares`; a share below 0 is drawn as 0 and told on hover."""
    bars = []
    for share in found.shares:
        p = "" if share.p is None else f"<br>F {share.f:.3g}, p {_p(share.p)}"
        bars.append(
            Bar(
                label=share.source,
                share=min(max(share.omega2, 0.0), 1.0),
                raw=share.eta2,
                chance=share.source in (SEED, REST, REST_OF_ALL),
                hover=f"{share.source}: {share.omega2:.1%} of the variance<br>"
                f"with chance left in (η²) {share.eta2:.1%}, df {share.df}{p}",
            )
        )
    return tuple(bars)


def importance_bars(found: Importances) -> tuple[Bar, ...]:
    """What to draw of one entry of `importances`."""
    total = sum(setting.divergence for setting in found.settings) or 1.0
    return tuple(
        Bar(
            label=setting.name.replace("_", " ").replace("lambda", "λ"),
            share=setting.share,
            raw=min(setting.chance / total, 1.0),
            chance=setting.p > 0.05,
            hover=f"{setting.name}: {setting.share:.1%} of the divergence<br>p {_p(setting.p)}, {found.n} trials",
        )
        for setting in found.settings
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def draw_bars(bars: tuple[Bar, ...], title: str, ticks: str) -> go.Figure:
    """Draw bars from the top, chance in grey.

    Args:
        bars: From `variance_bars` or `importance_bars`.
        title: Of the panel.
        ticks: What the tick of each bar is, for the axis.
    """
    figure = style.base_figure(80 + 26 * len(bars), title=style.titled(title))
    rows = list(range(len(bars)))
    figure.add_bar(
        x=[bar.share for bar in bars],
        y=rows,
        orientation="h",
        marker={"color": [style.faded(style.MUTED, 0.5) if bar.chance else style.PALETTE[0] for bar in bars]},
        hovertext=[bar.hover for bar in bars],
        hoverinfo="text",
        width=0.62,
    )
    figure.add_scatter(
        x=[bar.raw for bar in bars],
        y=rows,
        mode="markers",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": style.PALETTE[1]}},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[max(bar.share, bar.raw) for bar in bars],
        y=rows,
        mode="text",
        text=[f" {bar.share:.0%}" for bar in bars],
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
    )
    most = max((max(bar.share, bar.raw) for bar in bars), default=1.0)
    figure.update_xaxes(
        tickformat=".0%", range=[0, 1.12 * most], zeroline=False,
        title={"text": f"share (orange tick: {ticks})", "standoff": 6},
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=rows, ticktext=[style.safe(bar.label) for bar in bars], range=[len(bars) - 0.5, -0.5],
        showgrid=False, zeroline=False, automargin=True, ticks="",
    )  # fmt: skip
    return style.with_table(figure, ("source", "share", "raw share"), [(b.label, b.share, b.raw) for b in bars])
