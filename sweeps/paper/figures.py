"""Figures of an item: accuracy over λ, published and measured in panels of their own, and over the effective weight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import plotly.graph_objects as go

from dashboards.figures import style
from lejepa_core.methods import Method, method_of
from sweeps.paper.item import LINEAR, Published
from sweeps.paper.matching import Pair
from sweeps.paper.measured import Row, place_name
from sweeps.paper.scaling import Scaled
from sweeps.paper.trend import VARIED, varied
from sweeps.paper.words import published_name

ROW_HEIGHT = 24
INTERVALS: Final = "95 % intervals"
DEVIATIONS: Final = "± 1 standard deviation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A curve over λ."""

    name: str
    index: int
    """Of its colour: the same for a variant, or else for an architecture, in all panels."""
    cell: int = 0
    """Of its symbol, among the cells of a panel."""
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    """Percent."""
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    not_ok: tuple[int, ...]
    """Trials of each point that did not end ok."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """A panel."""

    title: str
    axis: str
    lines: tuple[Line, ...]

    @property
    def bars(self) -> str:
        """What bars stand for; empty where there are none."""
        return INTERVALS if any(low is not None for line in self.lines for low in line.lows) else ""

    @property
    def ringed(self) -> bool:
        """Whether a trial of any point did not end ok."""
        return any(any(line.not_ok) for line in self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A row of a panel."""

    name: str
    value: float
    low: float | None
    high: float | None
    bar: str = ""
    """What low and high are; empty where there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dots:
    """A panel."""

    title: str
    axis: str
    dots: tuple[Dot, ...]

    @property
    def bars(self) -> str:
        """What bars stand for; empty where there are none."""
        return ", ".join(dict.fromkeys(dot.bar for dot in self.dots if dot.bar))


def curves_data(found: Scaled, rows: Sequence[Row]) -> tuple[Curves, ...]:
    """Panels over λ, published first; none where no variant has several λ.

    Args:
        found: The item at its scale, with the variants that its study has.
        rows: From `measured_rows`.
    """
    published = [one for one in found.item.published if one.lambda_ is not None and not one.aside]
    own = [row for row in rows if row.metric == LINEAR and row.lambda_ is not None]
    if len({row.lambda_ for row in own}) < 2:
        return ()
    names = _coloured(found, own, published)
    panels = []
    if published:
        panels.append(Curves(title="published, full scale", axis="λ", lines=_published(published, names)))
    variants = found.recipe.variants
    methods = {name: method_of(variant.settings) for name, variant in variants.items()}
    if len({method.title for method in methods.values()}) > 1:
        # λ is a weight in one loss and a temperature in another: only multiples of it are on one axis.
        cells: dict[str, list[Row]] = {}
        for row in own:
            cells.setdefault(f"{row.architecture} · {row.dataset}", []).append(row)
        for cell, part in cells.items():
            lines = _measured(found, part, names, lambda variant, lam: _times_default(methods[variant], lam))
            lines = tuple(replace(line, name=line.name.removesuffix(f" · {cell}")) for line in lines)
            panels.append(Curves(title=cell, axis="times the published default", lines=lines))
        return tuple(panels)
    measured = _measured(found, own, names, lambda _, lam: lam)
    panels.append(Curves(title=f"measured, scale {found.scale}", axis="λ", lines=measured))
    name = varied(variants)
    if name is not None:
        setting = VARIED[name]
        lines = _measured(
            found, own, names, lambda variant, lam: setting.drawn.of(float(variants[variant].settings[name]), lam)
        )
        title = f"over the weight ({setting.title})"
        panels.append(Curves(title=title, axis=setting.drawn.words, lines=lines))
    return tuple(panels)


def _times_default(method: Method, lam: float) -> float:
    return method.turned(lam) / method.turned(method.default)


def _coloured(found: Scaled, rows: Sequence[Row], published: Sequence[Published]) -> list[str]:
    """What has a colour of its own: each variant, or each architecture where there are no variants."""
    measured = [_colour_of(found, row) for row in rows]
    return list(dict.fromkeys([*measured, *(one.variant or one.architecture for one in published)]))


def _colour_of(found: Scaled, row: Row) -> str:
    """The name at full scale, if there is one, so that published and measured have the same colour."""
    names, name = (found.variants, row.variant) if row.variant else (found.architectures, row.architecture)
    return names.get(name) or name


def _published(rows: Sequence[Published], names: list[str]) -> tuple[Line, ...]:
    lines = []
    for (variant, architecture, metric), group in _grouped(rows).items():
        nothing = (None,) * len(group)
        lines.append(
            Line(
                name=" · ".join(part for part in (variant, architecture, "" if metric == LINEAR else metric) if part),
                index=names.index(variant or architecture),
                xs=tuple(float(one.lambda_ or 0) for one in group),
                ys=tuple(one.value for one in group),
                lows=nothing,
                highs=nothing,
                not_ok=(0,) * len(group),
            )
        )
    return tuple(lines)


def _grouped(rows: Sequence[Published]) -> Mapping[tuple[str, str, str], list[Published]]:
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for one in rows:
        groups.setdefault((one.variant, one.architecture, one.metric), []).append(one)
    return groups


def _measured(
    found: Scaled, rows: Sequence[Row], names: list[str], place: Callable[[str, float], float]
) -> tuple[Line, ...]:
    """A line per variant and cell; `place` says where a variant's λ stands."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.variant, row.architecture, row.dataset), []).append(row)
    lines = []
    cells = list(dict.fromkeys((architecture, dataset) for _, architecture, dataset in groups))
    for (variant, architecture, dataset), group in groups.items():
        ordered = sorted(group, key=lambda row: row.lambda_ or 0)
        lines.append(
            Line(
                name=" · ".join(part for part in (variant, architecture, dataset) if part),
                index=names.index(_colour_of(found, ordered[0])),
                cell=cells.index((architecture, dataset)) if variant else 0,
                xs=tuple(place(variant, row.lambda_ or 0.0) for row in ordered),
                ys=tuple(row.mean for row in ordered),
                lows=tuple(row.low for row in ordered),
                highs=tuple(row.high for row in ordered),
                not_ok=tuple(row.not_ok for row in ordered),
            )
        )
    return tuple(lines)


def draw_curves(panel: Curves) -> go.Figure:
    """Draw a panel; intervals as bars, a ring where a trial did not end ok."""
    figure = style.base_figure(360, title=style.titled(panel.title))
    for line in panel.lines:
        colour = style.colour(line.index)
        figure.add_scatter(
            x=line.xs,
            y=line.ys,
            name=style.safe(line.name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": style.dash(line.index)},
            marker={"color": colour, "size": 7, "symbol": style.SYMBOLS[line.cell % len(style.SYMBOLS)]},
            error_y=_bars(line),
            customdata=[f"<br>{not_ok} not ok" if not_ok else "" for not_ok in line.not_ok],
            hovertemplate=(
                f"{style.safe(line.name)}<br>{panel.axis} %{{x:.4g}}<br>%{{y:.1f}} %%{{customdata}}<extra></extra>"
            ),
        )
        not_ok = [(x, y) for x, y, n in zip(line.xs, line.ys, line.not_ok, strict=True) if n]
        if not_ok:
            figure.add_scatter(
                x=[x for x, _ in not_ok],
                y=[y for _, y in not_ok],
                mode="markers",
                marker={"color": colour, "size": 14, "symbol": "circle-open"},
                hoverinfo="skip",
                showlegend=False,
            )
    figure.update_xaxes(type="log", tickformat="~g", title={"text": f"{panel.axis} (log scale)", "standoff": 6})
    figure.update_yaxes(title={"text": "test top-1, %", "standoff": 6})
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.25, "font": {"size": 11}})
    table = [
        (line.name, *point)
        for line in panel.lines
        for point in zip(line.xs, line.ys, line.lows, line.highs, line.not_ok, strict=True)
    ]
    return style.with_table(figure, ("line", panel.axis, "top-1, %", *_columns(panel.bars), "not ok"), table)


def _columns(bars: str) -> tuple[str, str]:
    return (f"low ({bars})", f"high ({bars})") if bars else ("low", "high")


def _bars(line: Line) -> dict[str, object]:
    # Without an interval there is no bar: one of no length would look exact.
    up = [None if high is None else high - y for high, y in zip(line.highs, line.ys, strict=True)]
    down = [None if low is None else y - low for low, y in zip(line.lows, line.ys, strict=True)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1, "width": 3}


def dots_data(found: Scaled, pairs: Sequence[Pair], rows: Sequence[Row]) -> tuple[Dots, ...]:
    """Two panels of numbers that no panel over λ shows: published ones without a λ, and those measured at the chosen λ.

    They are of the linear probe, or of what an item has instead.

    Args:
        found: The item at its scale.
        pairs: From `matched`.
        rows: From `measured_rows`.
    """
    drawn = bool(curves_data(found, rows))
    published = [pair.published for pair in pairs if not drawn or pair.published.lambda_ is None]
    if drawn and not published:
        return ()
    there = {row.metric for row in rows}
    metrics = [one.metric for one in published if not one.aside and one.metric in there] or sorted(there) or [LINEAR]
    metric = LINEAR if LINEAR in metrics else metrics[0]
    axis = {LINEAR: "test top-1, %", "milliseconds": "milliseconds"}.get(metric, metric)
    shown = tuple(_deviating(published_name(one), one.value, one.sd) for one in published if one.metric == metric)
    own = tuple(_measured_dot(row) for row in rows if row.metric == metric and (row.chosen or row.lambda_ is None))
    panels = {"published, full scale": shown, f"measured, scale {found.scale}": own}
    return tuple(Dots(title=title, axis=axis, dots=dots) for title, dots in panels.items() if dots)


def _measured_dot(row: Row) -> Dot:
    if row.low is None:
        return _deviating(row_name(row), row.mean, row.sd)
    return Dot(name=row_name(row), value=row.mean, low=row.low, high=row.high, bar=INTERVALS)


def _deviating(name: str, value: float, sd: float | None) -> Dot:
    if sd is None:
        return Dot(name=name, value=value, low=None, high=None)
    return Dot(name=name, value=value, low=value - sd, high=value + sd, bar=DEVIATIONS)


def row_name(row: Row) -> str:
    """What a measured row is of."""
    return place_name(row.variant, row.architecture, row.dataset, row.lambda_)


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
            "array": [None if dot.high is None else dot.high - dot.value for dot in panel.dots],
            "arrayminus": [None if dot.low is None else dot.value - dot.low for dot in panel.dots],
            "thickness": 1,
        },
        hovertemplate="%{y}<br>%{x:.4g}<extra></extra>",
    )
    figure.update_xaxes(zeroline=False, title={"text": panel.axis, "standoff": 6})
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    rows = [(dot.name, dot.value, dot.low, dot.high) for dot in panel.dots]
    return style.with_table(figure, ("row", panel.axis, *_columns(panel.bars)), rows)
