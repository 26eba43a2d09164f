"""`lejepa paper compare`: published beside measured, as text, as JSON and as one page in the study's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dashboards.pages import SCALED, panels, template
from dashboards.results import read_results
from lejepa_core.errors import SettingError
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Location, Storage, read_json, write_bytes
from sweeps.paper.figures import curves_data, dots_data, draw_curves, draw_dots, published_name, row_name
from sweeps.paper.item import Item, Scale
from sweeps.paper.matching import Pair, agreement, best_lambdas, matched, orders, unmatched
from sweeps.paper.measured import Row, measured_rows
from sweeps.paper.scaling import Scaled, scaled
from sweeps.paper.trend import VARIED, Trend, slope, trend, varied
from sweeps.recipes import Recipe

Json = dict[str, Any]
PAGE = "paper.html"


def compare_item(item: Item, scale: Scale, storage: Storage, *, study: str | None, as_json: bool) -> None:
    """Write the page, and print the same.

    Args:
        item: What was run.
        scale: At which scale.
        storage: Of all studies.
        study: Its name; None = that of the item and the scale.
        as_json: Whether to print JSON.

    Raises:
        StudyError: If there is no such study.
        StorageError: If the page cannot be written.
    """
    name = study or f"paper-{item.name}-{scale}"
    folder = StudyLedger.at(storage, name).path
    found, rows, found_trend = _read(item, scale, folder, name)
    said = compared(found, rows, found_trend)
    page = folder / PAGE
    write_bytes(page, render(said, found, rows).encode())
    if as_json:
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        print(*lines(said), page, sep="\n")


def _read(item: Item, scale: Scale, folder: Location, name: str) -> tuple[Scaled, list[Row], Trend | None]:
    if item.make is None:
        return _benchmark(item, scale, folder)
    if not StudyLedger(folder).exists():
        raise StudyError(f"no study {name!r}; run it: lejepa paper run {item.name} --scale {scale}")
    results = read_results(folder)
    if str(results.config.get("preset")) != f"paper-{item.name}-{scale}":
        raise SettingError(f"study {name!r} is of {results.config.get('preset')}, not of {item.name} at scale {scale}")
    found = scaled(item, scale, tuple(results.config["datasets"]))
    metrics = [one.metric for one in item.published if not one.rival]
    return found, measured_rows(results, metrics), trend(results, found.recipe.variants)


def _benchmark(item: Item, scale: Scale, folder: Location) -> tuple[Scaled, list[Row], None]:
    held = read_json(folder / "benchmark.json")
    if not isinstance(held, dict):
        raise StudyError(f"nothing was measured of {item.name}; run it: lejepa paper run {item.name} --scale {scale}")
    rows = [
        Row(variant=name, architecture="SIGReg", dataset="", lambda_=None, metric="milliseconds", mean=row["value"],
            low=row["value"] - row["sd"], high=row["value"] + row["sd"], n=held["repeats"], chosen=True, failed=0)
        for name, row in held["rows"].items()
    ]  # fmt: skip
    changes = (
        () if scale in ("full", "cluster", "1gpu") else ("the largest rows are left out, and it is another machine",)
    )
    recipe = Recipe(name=f"paper-{item.name}-{scale}", architectures=(), datasets=(), lambdas=())
    return Scaled(item=item, scale=scale, recipe=recipe, changes=changes), rows, None


def compared(found: Scaled, rows: Sequence[Row], found_trend: Trend | None) -> Json:
    """Everything that the page and the text say.

    Args:
        found: The item at its scale.
        rows: From `measured_rows`.
        found_trend: From `trend`.

    Returns:
        JSON: `item`, `title`, `about`, `source`, `scale`, `banner`, `findings` in words, `rows` (what was published,
        and what stands for it), `others` (measured without a published number), `changes` and `differences`.
    """
    pairs = matched(found, rows)
    item = found.item
    return {
        "item": item.name,
        "title": item.title,
        "about": item.about,
        "source": item.source,
        "scale": found.scale,
        "banner": banner_of(found),
        "findings": findings(found, pairs, found_trend),
        "rows": [_pair(pair) for pair in pairs],
        "others": [_row(row) for row in unmatched(pairs, rows)],
        "changes": list(found.changes),
        "differences": list(item.differences),
    }


def banner_of(found: Scaled) -> str:
    """What the page says above all else; empty where the study is the published setting."""
    if not found.changes:
        return ""
    return (
        f"{SCALED} scale {found.scale}, not the published setting. Numbers of the two sides are not comparable; only "
        "orders and places are."
    )


def findings(found: Scaled, pairs: Sequence[Pair], found_trend: Trend | None) -> list[str]:
    """What the two sides have in common, in sentences."""
    said = []
    close = agreement(found, pairs)
    if close is not None:
        said.append(
            f"Measured less published: {close.mean_points:+.1f} points on average of {close.n}; {close.inside} of "
            f"{close.with_interval} published values lie in the interval of what was measured."
        )
    said += [
        f"Order of {one.n} rows ({one.metric}): Spearman's ρ of published and measured is {one.rho:+.2f}."
        for one in orders(pairs)
    ]
    said += [
        f"Best of {one.values} λ{f' at {one.variant}' if one.variant else ''} ({one.architecture}): published "
        f"{one.published:g}, measured {one.measured:g}."
        for one in best_lambdas(pairs)
    ]
    if found_trend is not None:
        said.append(trend_words(found, found_trend))
    there = sum(pair.measured is not None for pair in pairs)
    ours = sum(not pair.published.rival for pair in pairs)
    said.append(f"{there} of {ours} published numbers have a measured one beside them.")
    return said


def trend_words(found: Scaled, one: Trend) -> str:
    """Whether the best λ goes with what the study varies."""
    what = VARIED[one.setting]
    interval = (
        f"95 % CI {one.slope.low:+.2f} to {one.slope.high:+.2f} over {one.slope.n} cells and seeds"
        if one.slope.low is not None and one.slope.high is not None
        else f"{one.slope.n} cells and seeds are too few for an interval"
    )
    places = ", ".join(f"{value:g}: λ {odds / (1 + odds):.3g}" for value, odds in one.best.items())
    published = published_slope(found)
    beside = "" if published is None else f" The published table's slope is {published:+.2f}."
    return (
        f"Best λ by {what} ({places}): its odds go with {what} to the power {one.slope.mean:+.2f} ({interval}; above 0 "
        f"in {one.grows} of {one.slope.n}).{beside}"
    )


def published_slope(found: Scaled) -> float | None:
    """The same slope from the published numbers; None where they do not vary such a setting."""
    item = found.item
    if item.make is None:
        return None
    variants = item.make().variants
    setting = varied(variants)
    if setting is None:
        return None
    best: dict[float, tuple[float, float]] = {}
    for one in item.published:
        if one.lambda_ is not None and one.variant in variants:
            value = float(variants[one.variant].settings[setting])
            best[value] = max(best.get(value, (0.0, 0.0)), (one.value, one.lambda_))
    return slope((value, lam) for value, (_, lam) in best.items()) if len(best) > 1 else None


def _pair(pair: Pair) -> Json:
    one = pair.published
    published = {**asdict(one), "name": published_name(one), "lambda": one.lambda_}
    return {"published": published, "measured": None if pair.measured is None else _row(pair.measured)}


def _row(row: Row) -> Json:
    return {**asdict(row), "name": row_name(row)}


def render(said: Json, found: Scaled, rows: Sequence[Row]) -> str:
    """The page as HTML."""
    curves = [draw_curves(panel) for panel in curves_data(found, rows)]
    dots = [draw_dots(panel) for panel in dots_data(found, matched(found, rows), rows)] if not curves else []
    report = "" if found.item.make is None else "report.html"
    return template("paper.html").render(found=said, figures=panels([*curves, *dots]), report=report)


def lines(said: Json) -> list[str]:
    """The comparison as text, published on the left and measured on the right."""
    text = [f"{said['item']}: {said['title']}", said["about"]]
    text += [said["banner"]] if said["banner"] else []
    text += ["", *said["findings"], "", f"published, full scale | measured, scale {said['scale']}:"]
    text += [f"{_published(row['published'])} | {_measured(row['measured'])}" for row in said["rows"]]
    text += [f"– | {_measured(row)}" for row in said["others"]]
    return [*text, ""]


def _published(row: Mapping[str, Any]) -> str:
    spread = "" if row["sd"] is None else f" ± {row['sd']:g}"
    return f"{row['name']} [{row['metric']}] {row['value']:g}{spread}{' (not ours)' if row['rival'] else ''}"


def _measured(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    interval = "" if row["low"] is None else f" [{row['low']:.3g}, {row['high']:.3g}]"
    return f"{row['name']} {row['mean']:.3g}{interval}, n {row['n']}"
