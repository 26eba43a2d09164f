"""Figures of an item: accuracy over λ, published and measured in panels of their own, and over the effective weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures import style
from lejepa_platform.config import Variant
from sweeps.paper.item import LINEAR, Published
from sweeps.paper.matching import Pair
from sweeps.paper.measured import Row
from sweeps.paper.scaling import Scaled
from sweeps.paper.trend import VARIED, varied, weight

ROW_HEIGHT = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A curve over λ."""

    name: str
    index: int
    """Of its colour: the same for a variant in all panels."""
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    """Percent."""
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """A panel."""

    title: str
    axis: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A row of a panel."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Dots:
    """A panel."""

    title: str
    axis: str
    dots: tuple[Dot, ...]


def curves_data(found: Scaled, rows: Sequence[Row]) -> tuple[Curves, ...]:
    """Panels over λ, published first; none where no variant has several λ.

    Args:
        found: The item at its scale.
        rows: From `measured_rows`.
    """
    published = [one for one in found.item.published if one.lambda_ is not None and not one.rival]
    own = [row for row in rows if row.metric == LINEAR and row.lambda_ is not None]
    if len({row.lambda_ for row in own}) < 2:
        return ()
    names = list(dict.fromkeys([found.variants.get(row.variant, row.variant) for row in own]))
    panels = []
    if published:
        panels.append(Curves(title="published, full scale", axis="λ", lines=_published(published, names)))
    measured = _measured(found, own, names, {})
    panels.append(Curves(title=f"measured, scale {found.scale}", axis="λ", lines=measured))
    setting = varied(found.recipe.variants)
    if setting is not None:
        axis = "λN / (1 - λ)" if setting == "batch_size" else "λ / (1 - λ) / number of views"
        lines = _measured(found, own, names, found.recipe.variants)
        panels.append(Curves(title=f"the same over effective weight ({VARIED[setting]})", axis=axis, lines=lines))
    return tuple(panels)


def _published(rows: Sequence[Published], names: list[str]) -> tuple[Line, ...]:
    lines = []
    for (variant, architecture, metric), group in _grouped(rows).items():
        nothing = (None,) * len(group)
        lines.append(
            Line(
                name=" · ".join(part for part in (variant, architecture, "" if metric == LINEAR else metric) if part),
                index=names.index(variant) if variant in names else len(names),
                xs=tuple(float(one.lambda_ or 0) for one in group),
                ys=tuple(one.value for one in group),
                lows=nothing,
                highs=nothing,
            )
        )
    return tuple(lines)


def _grouped(rows: Sequence[Published]) -> Mapping[tuple[str, str, str], list[Published]]:
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for one in rows:
        groups.setdefault((one.variant, one.architecture, one.metric), []).append(one)
    return groups


def _measured(
    found: Scaled, rows: Sequence[Row], names: list[str], variants: Mapping[str, Variant]
) -> tuple[Line, ...]:
    """A line per variant and cell; with variants over their effective weight, else over λ."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.variant, row.architecture, row.dataset), []).append(row)
    setting = varied(variants) if variants else None
    lines = []
    for (variant, architecture, dataset), group in groups.items():
        ordered = sorted(group, key=lambda row: row.lambda_ or 0)
        xs = [row.lambda_ or 0.0 for row in ordered]
        if setting is not None:
            xs = [weight(setting, float(variants[variant].settings[setting]), lam) for lam in xs]
        lines.append(
            Line(
                name=" · ".join(part for part in (variant, architecture, dataset) if part),
                index=names.index(found.variants.get(variant, variant)),
                xs=tuple(xs),
                ys=tuple(row.mean for row in ordered),
                lows=tuple(row.low for row in ordered),
                highs=tuple(row.high for row in ordered),
            )
        )
    return tuple(lines)


def draw_curves(panel: Curves) -> go.Figure:
    """Draw a panel; intervals as bars."""
    figure = style.base_figure(360, title=style.titled(panel.title))
    for line in panel.lines:
        colour = style.colour(line.index)
        figure.add_scatter(
            x=line.xs,
            y=line.ys,
            name=style.safe(line.name),
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 7},
            error_y=_bars(line),
            hovertemplate=f"{style.safe(line.name)}<br>{panel.axis} %{{x:.4g}}<br>%{{y:.1f}} %<extra></extra>",
        )
    figure.update_xaxes(type="log", title={"text": f"{panel.axis} (log scale)", "standoff": 6})
    figure.update_yaxes(title={"text": "test top-1, %", "standoff": 6})
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.25, "font": {"size": 11}})
    table = [
        (line.name, *point)
        for line in panel.lines
        for point in zip(line.xs, line.ys, line.lows, line.highs, strict=True)
    ]
    return style.with_table(figure, ("line", panel.axis, "top-1, %", "low", "high"), table)


def _bars(line: Line) -> dict[str, object]:
    up = [0.0 if high is None else high - y for high, y in zip(line.highs, line.ys, strict=True)]
    down = [0.0 if low is None else y - low for low, y in zip(line.lows, line.ys, strict=True)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1, "width": 3}


def dots_data(found: Scaled, pairs: Sequence[Pair], rows: Sequence[Row]) -> tuple[Dots, ...]:
    """Two panels of the linear probe, or of what an item has instead: published, and measured.

    Args:
        found: The item at its scale.
        pairs: From `matched`.
        rows: From `measured_rows`.
    """
    metric = LINEAR if any(row.metric == LINEAR for row in rows) else next(iter({row.metric for row in rows}), LINEAR)
    shown = [pair for pair in pairs if pair.published.metric == metric]
    axis = {LINEAR: "test top-1, %", "milliseconds": "milliseconds"}.get(metric, metric)
    panels = []
    if shown:
        dots = tuple(_published_dot(pair.published) for pair in shown)
        panels.append(Dots(title="published, full scale", axis=axis, dots=dots))
    own = [row for row in rows if row.metric == metric]
    if own:
        dots = tuple(Dot(name=row_name(row), value=row.mean, low=row.low, high=row.high) for row in own)
        panels.append(Dots(title=f"measured, scale {found.scale}", axis=axis, dots=dots))
    return tuple(panels)


def _published_dot(one: Published) -> Dot:
    spread = one.sd
    return Dot(
        name=published_name(one),
        value=one.value,
        low=None if spread is None else one.value - spread,
        high=None if spread is None else one.value + spread,
    )


def published_name(one: Published) -> str:
    """What a published row is of."""
    dial = one.label or ("" if one.lambda_ is None else f"λ {one.lambda_:g}")
    return " · ".join(part for part in (one.variant, one.architecture, one.dataset, dial) if part not in ("", "*"))


def row_name(row: Row) -> str:
    """What a measured row is of."""
    dial = "" if row.lambda_ is None else f"λ {row.lambda_:g}"
    return " · ".join(part for part in (row.variant, row.architecture, row.dataset, dial) if part)


def draw_dots(panel: Dots) -> go.Figure:
    """Draw a panel, the first row on top."""
    figure = style.base_figure(110 + ROW_HEIGHT * max(len(panel.dots), 2), title=style.titled(panel.title))
    figure.add_scatter(
        x=[dot.value for dot in panel.dots],
        y=[style.safe(dot.name) for dot in panel.dots],
        mode="markers",
        marker={"color": style.PALETTE[0], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if dot.high is None else dot.high - dot.value for dot in panel.dots],
            "arrayminus": [0.0 if dot.low is None else dot.value - dot.low for dot in panel.dots],
            "thickness": 1,
        },
        hovertemplate="%{y}<br>%{x:.4g}<extra></extra>",
    )
    figure.update_xaxes(zeroline=False, title={"text": panel.axis, "standoff": 6})
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    rows = [(dot.name, dot.value, dot.low, dot.high) for dot in panel.dots]
    return style.with_table(figure, ("row", panel.axis, "low", "high"), rows)
