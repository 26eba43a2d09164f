"""`lejepa paper compare`: published beside measured, as text, as JSON and as one page in the study's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from dashboards.formats import plus, signed
from dashboards.pages import SCALED, panels, template
from dashboards.results import read_results
from dashboards.verdict import detail
from lejepa_core.errors import SettingError
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Location, Storage, read_json, write_bytes
from sweeps.paper.figures import Curves, Dots, curves_data, dots_data, draw_curves, draw_dots, row_name
from sweeps.paper.item import LINEAR, Item, Scale
from sweeps.paper.matching import Pair, agreements, best_lambdas, matched, orders, unmatched
from sweeps.paper.measured import Row, measured_rows, variants_of, without_number
from sweeps.paper.scaling import Scaled, scaled
from sweeps.paper.trend import LEVEL, VARIED, Trend, published_trend, trend
from sweeps.paper.words import published_name, published_words
from sweeps.planning import absolute
from sweeps.recipes import Recipe

Json = dict[str, Any]
PAGE = "paper.html"
ANOTHER_MACHINE = "another machine than the published one: the order of rows can be compared, their milliseconds cannot"


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
        SettingError: If it is of another item, or at another scale.
        StorageError: If the page cannot be written.
    """
    name = study or f"paper-{item.name}-{scale}"
    folder = StudyLedger.at(storage, name).path
    found, rows, found_trend, lost = _read(item, scale, folder, name)
    said = compared(found, rows, found_trend, study=study_words(read_json(folder / "summary.json")), lost=lost)
    page = folder / PAGE
    write_bytes(page, render(said, found, rows).encode())
    if as_json:
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        print(*lines(said), page, sep="\n")


def _read(item: Item, scale: Scale, folder: Location, name: str) -> tuple[Scaled, list[Row], Trend | None, list[str]]:
    if item.make is None:
        return *_benchmark(item, scale, folder, name), None, []
    if not StudyLedger(folder).exists():
        raise StudyError(f"no study {name!r}; run it: lejepa paper run {item.name} --scale {scale}")
    results = read_results(folder)
    _check(name, str(results.config.get("preset")), item, scale)
    planned = scaled(item, scale, tuple(results.config["datasets"]))
    # Those that the study has, which may have been extended, or be without one of them.
    found = replace(planned, recipe=replace(planned.recipe, variants=variants_of(results)))
    metrics = [one.metric for one in item.published if not one.aside]
    rows = measured_rows(results, metrics, [absolute(target) for target in found.evaluate_on])
    return found, rows, trend(results, found.recipe.variants), without_number(results)


def study_words(summary: object) -> list[str]:
    """What the study's report says first, and of each variant if they are of different losses; [] before it has one.

    Args:
        summary: Its `summary.json`.
    """
    if not isinstance(summary, dict) or not summary.get("verdict"):
        return []
    variants = summary["variants"] if summary.get("dials") else []
    return [f"The study by itself: {summary['verdict']}", *map(_stability, variants)]


def _stability(variant: Json) -> str:
    """How wide the window of a variant's dial is, and how much λ matters in it."""
    window, phi, worst = variant["window_dial"], variant["phi"], variant["worst"]
    words = []
    if window:
        words.append(
            f"{window['dial']} that loses at most {window['eps_points']:g} point spans {window['value']:.2f} of its "
            f"grid's {window['grid_decades']:.2f} decades{_beside(window, 2)}, "
            f"{variant['cut']} of {len(variant['cells'])} cells cut off by the grid"
        )
        words += [
            f"at most {eps} points: {wide['value']:.2f}{_beside(wide, 2)}"
            for eps, wide in window.get("wider", {}).items()
            if window.get("low") is None and wide["low"] is not None
        ]
    if phi:
        words.append(f"sensitivity Φ {signed(phi['value'], 2)}{_beside(phi, 2)}")
    if worst:
        words.append(f"the worst λ costs {signed(worst['value'])} points{_beside(worst, 1)}")
    return f"{variant['name']}: {'; '.join(words) or 'nothing to compare yet'}."


def _beside(found: Json, digits: int) -> str:
    p = found.get("p")
    return f" ({detail(found, digits)}{'' if p is None else f', p = {p:.2g}'})"


def _check(name: str, preset: str, item: Item, scale: Scale) -> None:
    if preset != f"paper-{item.name}-{scale}":
        raise SettingError(f"study {name!r} is of {preset}, not of {item.name} at scale {scale}")


def _benchmark(item: Item, scale: Scale, folder: Location, name: str) -> tuple[Scaled, list[Row]]:
    held = read_json(folder / "benchmark.json")
    if not isinstance(held, dict):
        raise StudyError(f"nothing was measured of {item.name}; run it: lejepa paper run {item.name} --scale {scale}")
    _check(name, str(held.get("preset")), item, scale)
    rows = [
        Row(variant=shape, architecture="SIGReg", dataset="", lambda_=None, metric="milliseconds", mean=row["value"],
            low=None, high=None, sd=row["sd"], n=held["repeats"], chosen=True, not_ok=0)
        for shape, row in held["rows"].items()
    ]  # fmt: skip
    changes = [ANOTHER_MACHINE]
    if len(rows) < len(item.published):
        changes.append(f"rows: the largest are left out, {len(rows)} of {len(item.published)} stay")
    recipe = Recipe(name=f"paper-{item.name}-{scale}", architectures=(), datasets=(), lambdas=())
    return Scaled(item=item, scale=scale, recipe=recipe, changes=tuple(changes)), rows


def compared(
    found: Scaled,
    rows: Sequence[Row],
    found_trend: Trend | None,
    *,
    study: Sequence[str] = (),
    lost: Sequence[str] = (),
) -> Json:
    """Everything that the page and the text say.

    Args:
        found: The item at its scale.
        rows: From `measured_rows`.
        found_trend: From `trend`.
        study: From `study_words`.
        lost: From `without_number`.

    Returns:
        JSON: `item`, `title`, `about`, `source`, `scale`, `banner`, `stand_ins` (what the two sides do not share),
        `findings` in words, `trend` and `published_trend` (see `Trend`; None without one), `spread` (what stands beside
        measured means), `rows` (what was published, and what stands for it), `others` (measured without a published
        number), `lost`, `changes` and `differences`.
    """
    pairs = matched(found, rows)
    item = found.item
    published = published_trend(item)
    common = [*findings(found, pairs, found_trend, published), *ranges(pairs, rows)]
    return {
        "item": item.name,
        "title": item.title,
        "about": item.about,
        "source": item.source,
        "scale": found.scale,
        "banner": banner_of(found),
        "stand_ins": stand_ins(found),
        "findings": [*study, *common],
        "trend": None if found_trend is None else asdict(found_trend),
        "published_trend": None if published is None else asdict(published),
        "spread": f"sd of {rows[0].n} passes" if item.make is None and rows else "95 % interval",
        "rows": [_pair(pair) for pair in pairs],
        "others": [_row(row) for row in unmatched(pairs, rows)],
        "lost": list(lost),
        "changes": list(found.changes),
        "differences": list(item.differences),
    }


def banner_of(found: Scaled) -> str:
    """What the page says above all else; empty where the study is the published setting."""
    if not found.changes:
        return ""
    if found.item.make is None:
        return f"Scale {found.scale}, {'; '.join(found.changes)}."
    small = f"{SCALED} scale {found.scale}, not the {'published' if found.item.published else 'full'} setting."
    if not found.item.published:
        return small
    return f"{small} Numbers of the two sides are not comparable; only orders and places are."


def stand_ins(found: Scaled) -> str:
    """Whether networks or images are others than the published ones, in words; empty where there are no two sides."""
    if not found.item.published:
        return ""
    networks = any(here != there for here, there in found.architectures.items())
    images = any(here != there for here, there in found.datasets.items())
    if networks:
        return "other networks on other images" if images else "other networks on the same images"
    return "the same networks on other images" if images else ""


def findings(found: Scaled, pairs: Sequence[Pair], found_trend: Trend | None, published: Trend | None) -> list[str]:
    """What the two sides have in common, in sentences."""
    said = [
        f"Measured less published ({one.metric}): {plus(one.mean_points, 1)} points on average of {one.n}; "
        f"{one.inside} of {one.with_interval} published values lie where one more run would in 95 % of cases."
        for one in agreements(found, pairs)
    ]
    said += [
        f"Order of {one.n} rows ({one.metric}): Spearman's ρ of published and measured is {plus(one.rho)} "
        f"(p = {one.p:.2g} by shuffled orders)."
        for one in orders(pairs)
    ]
    said += [
        f"Best of {one.values} λ{f' at {one.variant}' if one.variant else ''} ({one.architecture}): published "
        f"{one.published:g}, measured {one.measured:g}."
        for one in best_lambdas(pairs)
    ]
    if found_trend is not None:
        said.append(trend_words(found_trend))
    if published is not None:
        power = f"The published table's power of {VARIED[published.setting].title} is {plus(published.slope.mean)}."
        said.append(f"{power} {chance_words(published)}")
    there = sum(pair.measured is not None for pair in pairs)
    ours = sum(not pair.published.aside for pair in pairs)
    said.append(
        f"{there} of {ours} published numbers have a measured one beside them."
        if ours
        else "Nobody has published numbers for this."
    )
    return said


def ranges(pairs: Sequence[Pair], rows: Sequence[Row]) -> list[str]:
    """From where to where both sides go, where none of one stands for one of the other."""
    published = [p.published.value for p in pairs if p.published.metric == LINEAR and not p.published.aside]
    own = [row.mean for row in rows if row.metric == LINEAR and row.chosen]
    if len(published) < 2 or len(own) < 2 or any(pair.measured for pair in pairs):
        return []
    return [
        f"{len(published)} published accuracies lie between {min(published):g} and {max(published):g}, the {len(own)} "
        f"measured ones, each at the λ chosen on validation, between {min(own):.3g} and {max(own):.3g}."
    ]


def trend_words(one: Trend) -> str:
    """Whether the best λ goes with what the study varies, beside what chance would give."""
    setting = VARIED[one.setting]
    places = ", ".join(f"{value:g}: λ {lam:.3g}" for value, lam in one.best.items())
    low, high = one.slope.low, one.slope.high
    interval = "" if low is None or high is None else f"95 % CI {plus(low)} to {plus(high)} "
    return (
        f"Best λ by {setting.title} ({places}): its {setting.judged.words} goes with {setting.title} to the power "
        f"{plus(one.slope.mean)}, 0 being the same for all ({interval}{one.note}; above 0 in {one.grows} of {one.each} "
        f"cells and seeds; {one.edge} of {one.bests} best λ at an end of their grid). {chance_words(one)}"
        f"{_middle_words(one)}"
    )


def _middle_words(one: Trend) -> str:
    """What all λ say, and not the best alone."""
    middle = one.middle
    if middle is None or middle.least > LEVEL:
        return ""
    low, high = middle.slope.low, middle.slope.high
    interval = "" if low is None or high is None else f"95 % CI {plus(low)} to {plus(high)}, "
    return (
        " The middle of the curves, λ weighted by accuracy above the lowest of its curve, goes with "
        f"{VARIED[one.setting].title} to the power {plus(middle.slope.mean)} ({interval}p = {middle.p:.2g}): it counts "
        "all λ, and cannot move as far as the best one can."
    )


def chance_words(one: Trend) -> str:
    """What slope chance would give, and whether this one is told from it."""
    if one.shared is None:
        ends = f"{plus(one.null_low)} to {plus(one.null_high)}"
        how = (
            "The variants have λ of their own, which move with the setting: if λ did nothing, the grids alone would "
            f"give {plus(one.null_mean)}, and {ends} in 95 % of studies"
        )
    else:
        values = len(next(iter(one.shared.values())))
        how = f"Judged on the {values} values that all have, curves shuffled among variants within cell and seed"
    if one.least > LEVEL:
        return f"{how}: p is {one.least:.2g} at the least, too few runs to tell any slope from chance."
    return f"{how}: p = {one.p:.2g}, {'not what chance gives' if one.told else 'no more than chance gives'}."


def _pair(pair: Pair) -> Json:
    one = pair.published
    published = {**asdict(one), "name": published_name(one), "words": published_words(one), "lambda": one.lambda_}
    return {"published": published, "measured": None if pair.measured is None else _row(pair.measured)}


def _row(row: Row) -> Json:
    return {**asdict(row), "name": row_name(row)}


def render(said: Json, found: Scaled, rows: Sequence[Row]) -> str:
    """The page as HTML."""
    curves = curves_data(found, rows)
    dots = dots_data(found, matched(found, rows), rows)
    figures = {"over λ": panels(map(draw_curves, curves)), "row by row": panels(map(draw_dots, dots))}
    figures = {kind: drawn for kind, drawn in figures.items() if drawn}
    each: list[Curves | Dots] = [*curves, *dots]
    bars = list(dict.fromkeys(f"{panel.bars} ({panel.title})" for panel in each if panel.bars))
    if len({panel.bars for panel in each}) == 1:
        bars = [each[0].bars] if each[0].bars else []
    report = "" if found.item.make is None else "report.html"
    ringed = any(panel.ringed for panel in curves)
    return template("paper.html").render(found=said, figures=figures, bars=bars, ringed=ringed, report=report)


def lines(said: Json) -> list[str]:
    """The comparison as text, published on the left and measured on the right."""
    text = [f"{said['item']}: {said['title']}", said["about"]]
    text += [said["banner"]] if said["banner"] else []
    head, nothing = ("published, full scale | ", "– | ") if said["rows"] else ("", "")
    text += ["", *said["findings"], "", f"{head}measured, scale {said['scale']}:"]
    text += [f"{row['published']['words']} | {_measured(row['measured'])}" for row in said["rows"]]
    text += [f"{nothing}{_measured(row)}" for row in said["others"]]
    text += [f"no number: {line}" for line in said["lost"]]
    return [*text, ""]


def _measured(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    spread = "" if row["sd"] is None else f" ± {row['sd']:.2g} (standard deviation)"
    interval = "" if row["low"] is None else f" [{row['low']:.3g}, {row['high']:.3g}]"
    not_ok = f" ({row['not_ok']} not ok)" if row["not_ok"] else ""
    return f"{row['name']} {row['mean']:.3g}{spread}{interval}, n {row['n']}{not_ok}"
