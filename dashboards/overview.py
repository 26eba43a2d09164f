"""The page of a study with variants: what they say beside each other. Each has a page of its own as well."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

from dashboards.comparison import points_of
from dashboards.figures import style
from dashboards.figures.accuracy import draw_accuracy
from dashboards.figures.dots import draw_dots
from dashboards.figures.paired import draw_paired
from dashboards.figures.variants import differences_data, dots_data, lines_data
from dashboards.floor import floor_words
from dashboards.pages import banner, panels, script, template
from dashboards.results import PENDING, Results
from dashboards.summary import Json

MOST_CELLS: Final = 40
"""Cells beyond which the page has no panel for each; the variants' own pages and the tables have them all."""


def render_overview(results: Results, found: Json, links: Json) -> str:
    """The page as HTML.

    Args:
        results: Of the study.
        found: From `variants.overview`.
        links: `base` and `runs`: where MLflow shows each trial.
    """
    failed = results.trials[~results.trials["outcome"].isin(["ok", PENDING])]
    return template("variants.html").render(
        found=found,
        banner=banner(results.notes),
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        floor=floor_words(results.pretrained),
        figures=_figures(results, found),
        crowded=_crowded(found),
        architectures=[
            {"name": name, "colour": style.colour(i), "dash": style.dash(i)} for i, name in enumerate(results.variants)
        ],
        failures=failed.sort_values("outcome", kind="stable").to_dict("records"),
        links_json=script(json.dumps(links)),
    )


def _figures(results: Results, found: Json) -> dict[str, list[Markup]]:
    floor, rows = floor_words(results.pretrained), found["rows"]
    points = {name: points_of(results.only(name)) for name in results.variants}
    reference, differing = results.variants[0], differences_data(results, points)
    figures: dict[str, list[Any]] = {"lines": [], "dots": [], "differences": []}
    if not _crowded(found):
        if all(len(one["lambdas"]) == 1 for one in found["variants"]):
            figures["dots"] = [draw_dots(panel, floor, "variant") for panel in dots_data(results, rows)]
        else:
            figures["lines"] = [draw_accuracy(panel, floor, "variant") for panel in lines_data(results)]
    if differing:
        figures["differences"] = [draw_paired(differing, reference, "each variant", "variant")]
    return {name: panels(drawn) for name, drawn in figures.items()}


def _crowded(found: Json) -> bool:
    return len({(row["architecture"], row["dataset"]) for row in found["rows"]}) > MOST_CELLS
