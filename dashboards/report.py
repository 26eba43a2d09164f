"""One self-contained HTML page per study: opens from disk, mails, needs no network and no server."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import tyro
from markupsafe import Markup

from dashboards.advice import advice_words, advise
from dashboards.figures import style
from dashboards.figures.accuracy import accuracy_data, draw_accuracy
from dashboards.figures.cost import cost_data, draw_cost
from dashboards.figures.curves import curves_data, draw_curves
from dashboards.figures.parallel import draw_parallel, parallel_data
from dashboards.figures.proxy import draw_proxy, proxy_data
from dashboards.figures.regret import draw_regret, regret_data
from dashboards.figures.shape import draw_quantiles, draw_spectrum, shape_data
from dashboards.figures.terms import CRITERIA, LOSS_TERMS, draw_terms, terms_data
from dashboards.findings import Findings, find
from dashboards.floor import floor_words
from dashboards.formats import number
from dashboards.inferred import inferred
from dashboards.overview import render_overview
from dashboards.pages import banner, panels, script, template
from dashboards.places import Place, Source, tracker_cache
from dashboards.results import PENDING, Results, read_results
from dashboards.statistics.scores import CELL, at_best_settings, score
from dashboards.summary import Json, numbers, plain
from dashboards.transfer import views
from dashboards.variants import overview
from dashboards.verdict import key_figures, verdict, warnings
from lejepa_platform.ledger import transfer_prefix
from lejepa_platform.storage import Location, Storage, folder_at_hand, write_bytes, write_json
from lejepa_platform.stored_variants import report_files
from lejepa_platform.tracking import known_tracker, run_links

LOCAL_PAGES: Final = "http://127.0.0.1:5000/"
"""Where `lejepa ui` serves a tracking store that is a file."""
TRIAL_COLUMNS: Final = {
    "architecture": "architecture",
    "dataset": "data set",
    "lambda": "λ",
    "seed": "seed",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "outcome": "outcome",
    "val/linear_top1": "val linear",
    "test/linear_top1": "test linear",
    "test/knn_top1": "test k-NN",
    "train/loss": "loss",
    "geometry/effective_rank": "eff. rank",
    "seconds": "seconds",
    "key": "trial key",
}


def summarise(results: Results, found: Findings | None = None) -> Json:
    """The numbers and sentences of a study.

    Args:
        results: From `read_results`.
        found: What was inferred from them, if that was done before.

    Returns:
        What `summary.json` holds: see `summary.numbers`, and `verdict`, `warnings`, `notes` in words.
    """
    said = numbers(results, found or find(results))
    advice = plain(advise(results)) if not results.searched else []
    texts = {"verdict": verdict(said), "warnings": warnings(said)}
    return {**texts, **said, "advice": advice, "notes": list(results.notes)}


def write_report(study: Location, tracking: str | None = None) -> Json:
    """Write `summary.json` and `report.html` into a study folder, each replaced in one step; see `write_pages`.

    Args:
        study: The folder that holds `study.json`.
        tracking: MLflow tracking store that points and rows are linked to; None = the one beside the study.

    Returns:
        The summary.

    Raises:
        StudyError: The folder holds no study.
        StorageError: The folder cannot be written.
    """
    uri = tracking or known_tracker(None, study.parent)
    return write_pages(read_results(study), study, run_pages(study.name, uri, tracker_cache(study.parent)))


def write_pages(results: Results, folder: Location, links: Json | None = None) -> Json:
    """Write `summary.json` and `report.html`, wherever the results were read; the folder is made if there is none.

    Of a study with variants these are about all of them, and each has a `summary-NAME.json` and a `report-NAME.html`.

    Args:
        results: From `read_results`.
        folder: Where they go; what else is read there is drawn only if it is there.
        links: From `run_pages`.

    Returns:
        The summary.

    Raises:
        StorageError: The folder cannot be written.
    """
    links = links or {"base": LOCAL_PAGES, "runs": {}}
    with folder_at_hand(folder, _of_figures) as copy:
        made = {name: _made(results.only(name), copy, links) for name in results.variants}
    if results.config.get("variants"):
        whole = overview(results, {name: summary for name, (summary, _) in made.items()})
        made = {"": (whole, render_overview(results, whole, links)), **made}
    files = report_files(results.config)
    for (summary, text), page, file in zip(made.values(), files[::2], files[1::2], strict=True):
        write_json(folder / file, summary)
        write_bytes(folder / page, text.encode())
    return made[""][0]


def _made(results: Results, study: Path, links: Json) -> tuple[Json, str]:
    found = find(results, study)
    summary = summarise(results, found)
    return summary, render(results, found, summary, study, links)


def _of_figures(names: Collection[str]) -> list[str]:
    return [name for name in names if name.endswith((".npz", "metrics.jsonl"))]


def run_pages(study: str, uri: str | None, cache: Path | None = None) -> Json:
    """Where MLflow's pages show each trial.

    Args:
        study: Its name.
        uri: Its tracker, if there is one.
        cache: Folder to keep what was read in.

    Returns:
        An address without credentials, `base`, and what stands behind it by trial key, `runs`.
    """
    if uri is None:
        return {"base": LOCAL_PAGES, "runs": {}}
    server = _public(uri) if uri.startswith(("http://", "https://")) else LOCAL_PAGES
    return {"base": f"{server.rstrip('/')}/", "runs": run_links(study, uri, cache)}


def _public(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def render(
    results: Results, found: Findings, summary: Json, study: Path | None = None, links: Json | None = None
) -> str:
    """The page as HTML.

    Args:
        results: From `read_results`.
        found: What was inferred from them.
        summary: From `summarise`.
        study: The study's folder, if it is here: training curves are read from it.
        links: `base` and `runs`: where MLflow shows each trial.
    """
    links = links or {"base": LOCAL_PAGES, "runs": {}}
    columns = {**TRIAL_COLUMNS, **{f"{transfer_prefix(name)}linear_top1": f"on {name}" for name in results.targets}}
    return template("report.html").render(
        summary=summary,
        banner=banner(results.notes),
        key_figures=key_figures(summary),
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        study=results.study,
        grid=not results.searched,
        floor=floor_words(results.pretrained),
        settings={name: _setting(value) for name, value in sorted(results.config.items())},
        figures={**_figures(results, summary, study), **inferred(found, floor_words(results.pretrained))},
        links=links,
        local_pages=LOCAL_PAGES,
        advice_words=advice_words,
        links_json=script(json.dumps(links)),
        architectures=legend(results.trials),
        failures=_failures(results.trials),
        pending=summary["counts"].get(PENDING, 0),
        trials=results.trials[[name for name in columns if name in results.trials]].to_dict("records"),
        trial_columns=columns,
        tuned=bool(results.trials.duplicated([*CELL, "lambda", "seed"]).any()),
    )


def _figures(results: Results, summary: Json, study: Path | None) -> dict[str, list[Markup]]:
    trials, floor = results.trials, floor_words(results.pretrained)
    parallel, lambdas = parallel_data(trials), summary["lambdas"]["values"]
    scored = score(trials)
    points = scored if results.searched else at_best_settings(scored)
    terms = {**LOSS_TERMS, "train/sigreg": results.regularizer}
    shapes = shape_data(study, trials) if study else ()
    figures = {
        "accuracy": panels(draw_accuracy(p, floor) for p in accuracy_data(trials, results.searched)),
        "proxy": panels(draw_proxy(panel) for panel in proxy_data(trials)),
        "terms": panels(
            draw_terms(panel) for panel in terms_data(trials, tuple(summary["unlabelled_datasets"]), terms)
        ),
        "criteria": panels(draw_terms(panel) for panel in terms_data(trials, _datasets(trials), CRITERIA)),
        "quantiles": panels(draw_quantiles(panel, lambdas) for panel in shapes),
        "spectra": panels(draw_spectrum(panel, lambdas) for panel in shapes),
        "regret": [],
        "transfer": panels(
            draw_accuracy(replace(panel, title=f"{panel.title} → {view.title}"), floor)
            for view in views(results)
            for panel in accuracy_data(view.trials, results.searched)
        ),
        "cost": panels(draw_cost(panel) for panel in cost_data(points)),
        "parallel": panels([draw_parallel(parallel)] if parallel else []),
        "curves": panels(draw_curves(panel, lambdas) for panel in (curves_data(study, trials) if study else ())),
    }
    if len(summary["regret_per_lambda"]) > 1:
        figures["regret"] = panels([draw_regret(regret_data(trials))])
    return figures


def _datasets(trials: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(trials["dataset"].unique()))


def legend(trials: pd.DataFrame) -> list[Json]:
    """Name, colour and dash of each architecture, as the figures of these trials draw it."""
    names = sorted(trials["architecture"].unique())
    return [{"name": name, "colour": style.colour(i), "dash": style.dash(i)} for i, name in enumerate(names)]


def _failures(trials: pd.DataFrame) -> list[dict[Any, Any]]:
    failed = trials[~trials["outcome"].isin(["ok", PENDING])]
    return failed.sort_values("outcome", kind="stable").to_dict("records")


def _setting(value: Any) -> str:
    if isinstance(value, list) and all(not isinstance(item, list | dict) for item in value):
        return ", ".join(number(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """Write a study's report as one page."""

    study: tyro.conf.Positional[str]
    """Name under the storage, or path; with `--from mlflow` its name there."""
    source: Annotated[Source, tyro.conf.arg(name="from")] = "ledger"
    """Where to read trials: the study's folder, or MLflow if that is not here. The page is written to STORAGE/STUDY."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db of the storage."""
    json: bool = False
    """Print the summary as JSON."""


def main(argv: Sequence[str] | None = None) -> int:
    """`lejepa report STUDY`.

    Returns:
        The exit code.

    Raises:
        LejepaError: An error that a person can act on.
    """
    arguments = tyro.cli(Arguments, args=argv, prog="lejepa report")
    place = Place(arguments.source, arguments.storage, arguments.tracking_uri)
    folder = place.folder(arguments.study)
    uri = known_tracker(arguments.tracking_uri, arguments.storage)
    summary = write_pages(place.read(arguments.study), folder, run_pages(folder.name, uri, place.cache))
    if arguments.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    else:
        print(summary["verdict"], *summary["warnings"], sep="\n")
        print(folder / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
