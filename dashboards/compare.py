"""`lejepa compare STUDY_A STUDY_B`: what differs between two studies, as text, JSON and one page."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dashboards.comparison import compare, difference_words, pairs_of
from dashboards.figures.paired import draw_paired, paired_data
from dashboards.formats import percent
from dashboards.pages import banner, panels, template
from dashboards.places import Place, Source
from dashboards.results import Results
from dashboards.summary import Json
from lejepa_platform.errors import StudyError
from lejepa_platform.storage import Storage, write_bytes
from lejepa_platform.stored_variants import slugs

LONGEST_SETTING = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """Compare two studies: settings, accuracies trial by trial, chosen λ."""

    first: tyro.conf.Positional[str]
    """Name under the storage, or path; with `--from mlflow` its name there. One of its variants is STUDY@VARIANT."""
    second: tyro.conf.Positional[str]
    """Likewise; differences are this one less the first."""
    source: Annotated[Source, tyro.conf.arg(name="from")] = "ledger"
    """Where to read trials: the studies' folders, or MLflow."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db of the storage."""
    output: Path | None = None
    """Where to write the page; by default STORAGE/compare-A-B.html."""
    json: bool = False
    """Print everything as JSON."""


def render(found: Json, first: Results, second: Results) -> str:
    """The page as HTML.

    Args:
        found: From `comparison.compare`.
        first: The studies that it was made of.
        second: Likewise.
    """
    rows = paired_data(pairs_of(first, second))
    return template("compare.html").render(
        found=found,
        words=difference_words(found),
        banners=[f"{one.name}: {text}" for one in (first, second) if (text := banner(one.notes))],
        figures={"paired": panels([draw_paired(rows, first.name, second.name)] if rows else [])},
    )


def lines(found: Json) -> list[str]:
    """The comparison as text."""
    first, second = (study["name"] for study in found["studies"])
    text = [difference_words(found), ""]
    for row in found["settings"]:
        one, two = (_short(row[side]) for side in ("first", "second"))
        text.append(f"{row['name']}: {one} | {two}")
    text += [] if found["settings"] else ["The settings are the same."]
    text += ["", f"chosen λ and test accuracy there, {first} | {second}:"]
    for row in found["chosen"]:
        sides = " | ".join(_choice(row, side) for side in ("first", "second"))
        text.append(f"{row['architecture']} · {row['dataset']}: {sides}")
    return [*text, *([""] if found["notes"] else []), *found["notes"]]


def _split(place: Place, text: str) -> tuple[str, str]:
    """A study, and the variant of it that is named behind an `@`, if one is; a path may hold an `@` too."""
    for at in (index for index, letter in enumerate(f"{text}@") if letter == "@"):
        with suppress(StudyError):
            place.folder(text[:at])
            return text[:at], text[at + 1 :]
    return text, ""


def _only(results: Results, variant: str) -> Results:
    if not variant and results.config.get("variants"):
        known = " ".join(f"'{results.name}@{name}'" for name in results.variants)
        raise StudyError(f"study {results.name!r} has variants, and one was wanted: {known}")
    return results.only(variant)


def _choice(row: dict[str, Any], side: str) -> str:
    if row[f"{side}_lambda"] is None:
        return "–"
    return f"λ {row[f'{side}_lambda']:.3g} {percent(row[f'{side}_test'])}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SETTING else f"{text[: LONGEST_SETTING - 1]}…"


def main(argv: Sequence[str] | None = None) -> int:
    """`lejepa compare STUDY_A STUDY_B`.

    Returns:
        The exit code.

    Raises:
        LejepaError: An error that a person can act on.
    """
    arguments = tyro.cli(Arguments, args=argv, prog="lejepa compare")
    place = Place(arguments.source, arguments.storage, arguments.tracking_uri)
    named = [_split(place, study) for study in (arguments.first, arguments.second)]
    folders = [place.folder(study) for study, _ in named]
    if folders[0] == folders[1] and named[0][1] == named[1][1]:
        raise StudyError(f"the study {arguments.first!r} came twice; name two studies")
    studies = {study: place.read(study) for study, _ in named}
    first, second = (_only(studies[study], variant) for study, variant in named)
    found = compare(first, second)
    ends = (f"{folder.name}{slugs([variant])[variant]}" for folder, (_, variant) in zip(folders, named, strict=True))
    page = arguments.output or arguments.storage / f"compare-{'-'.join(ends)}.html"
    write_bytes(page, render(found, first, second).encode())
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(*lines(found), page, sep="\n")
    return 0
