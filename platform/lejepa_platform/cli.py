"""The `lejepa` command. Other packages add commands through the entry point group `lejepa.commands`."""

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import entry_points
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from lejepa_core.conventions import CONVENTIONS, Convention
from lejepa_core.conversion import convert
from lejepa_core.errors import LejepaError
from lejepa_platform import listing
from lejepa_platform.evaluating import Evaluate
from lejepa_platform.exporting import Export
from lejepa_platform.ledger import OUTCOMES, StudyLedger
from lejepa_platform.merging import Merge
from lejepa_platform.rerunning import Rerun
from lejepa_platform.stopping import STOPPED, Stopped, end_now, stoppable
from lejepa_platform.storage import Storage, study_names
from lejepa_platform.stored_variants import namer, planned_trials
from lejepa_platform.submit import Submit
from lejepa_platform.team import Server

COMMAND_GROUP = "lejepa.commands"


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How far studies are."""

    study: tyro.conf.Positional[str | None] = None
    """Name under the storage, or path; all studies if left out."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    json: bool = False
    """A JSON array."""

    def run(self) -> int:
        """Print the counts."""
        found = (
            [StudyLedger.find(self.study, self.storage)]
            if self.study is not None
            else [StudyLedger(self.storage / name) for name in study_names(self.storage)]
        )
        return show([status(study) for study in found], as_json=self.json)


@dataclass(frozen=True, kw_only=True, slots=True)
class Architectures:
    """Architectures that a study can name."""

    pattern: tyro.conf.Positional[str] = "*"
    """Only names like this, such as 'vit*'."""
    family: str | None = None
    """Only this family, a module of timm, such as levit."""
    max_params: str | None = None
    """Only with at most so many parameters, such as 20M."""
    json: bool = False
    """A JSON array."""

    def run(self) -> int:
        """Print the registry."""
        row = listing.as_data if self.json else listing.as_words
        found = listing.architectures(self.pattern, self.family, self.max_params)
        return show([row(name, spec) for name, spec in found], as_json=self.json)


@dataclass(frozen=True, kw_only=True, slots=True)
class Datasets:
    """Data sets that a study can name; `get NAME` downloads one."""

    action: tyro.conf.Positional[Literal["list", "get"]] = "list"
    """What to do."""
    name: tyro.conf.Positional[str | None] = None
    """What to fetch."""
    root: Path | None = None
    """Folder of downloaded data sets; by default LEJEPA_DATA_ROOT or ~/.cache/lejepa/data."""
    json: bool = False
    """A JSON array."""

    def run(self) -> int:
        """Print the registry, or fetch a data set."""
        from lejepa_core.datasets import DATASETS, download_dataset

        if self.action == "get":
            if self.name is None:
                raise LejepaError("datasets get came without a name; say which: lejepa datasets get cifar10")
            folder = download_dataset(self.name, self.root)
            print(f"{self.name} is in {folder}" if folder else f"{self.name} {DATASETS[self.name].how_to_get}")
            return 0
        if self.json:
            return show([asdict(spec) for spec in DATASETS.values()], as_json=True)
        rows = [
            {
                "name": spec.name,
                "title": spec.title,
                "classes": spec.classes,
                "train + val + test": " + ".join(map(str, spec.images.values())),
                "pixels": spec.native_size or "many sizes",
                "licence": spec.licence,
                "how_to_get": spec.how_to_get,
            }
            for spec in DATASETS.values()
        ]
        rows.append({"name": "folder:PATH", "title": "your own images", "how_to_get": "PATH/<class>/*.jpg"})
        get = "lejepa datasets get hf:ID --root DIR"
        rows.append({"name": "hf:ID[@REVISION][:CONFIG]", "title": "images of the Hugging Face Hub", "how_to_get": get})
        return show(rows, as_json=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ui:
    """MLflow's pages on what the studies of a storage logged."""

    storage: Storage = Path("studies")
    """Folder of all studies."""
    port: int = 5000
    """Port on this machine; nobody else can reach it."""

    def run(self) -> int:
        """Serve until interrupted."""
        from lejepa_platform.tracking import ui

        return ui(self.storage, self.port)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sync:
    """Bring MLflow up to date with a study's ledger."""

    study: tyro.conf.Positional[str]
    """Name under the storage, or path."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db beside the study."""

    def run(self) -> int:
        """Replay what is missing."""
        from lejepa_platform.tracking import artifacts_of, check_tracking, masked, sync, tracking_uri

        study = StudyLedger.find(self.study, self.storage)
        storage = study.path.parent
        uri = tracking_uri(self.tracking_uri, storage)
        check_tracking(uri)
        print(f"{sync(study, uri, artifacts=artifacts_of(storage))} trials of {study.name} are in {masked(uri)}")
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertLambda:
    """The λ of another implementation in our definition, or the other way round."""

    source: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Whose λ it is."""
    value: float | None = None
    """That λ."""
    target: Annotated[str, tyro.conf.arg(name="to")] = "ours"
    """Whose λ it shall become."""
    batch_size: int | None = None
    """Images per optimisation step, over all ranks together."""
    views_global: int = 2
    """Large crops per image."""
    views_local: int = 6
    """Small crops per image."""
    world_size: int = 1
    """Ranks that share the batch and average their gradients."""
    projection_dim: int | None = None
    """Width of the projections; only a loss that sums over dims needs it."""
    list: bool = False
    """The implementations that are known, and what their losses are."""
    json: bool = False
    """A JSON array."""

    def run(self) -> int:
        """Print the conversion, or the table."""
        if self.list:
            return show([_convention_row(name, spec) for name, spec in CONVENTIONS.items()], as_json=self.json)
        if self.source is None or self.value is None or self.batch_size is None:
            given = {"--from": self.source, "--value": self.value, "--batch-size": self.batch_size}
            raise LejepaError(
                f"convert-lambda came without {', '.join(name for name in given if given[name] is None)}; "
                "say it as in: lejepa convert-lambda --from lightly --value 0.05 --batch-size 256"
            )
        conversion = convert(
            self.value,
            source=self.source,
            target=self.target,
            batch_size=self.batch_size,
            views_global=self.views_global,
            views_local=self.views_local,
            world_size=self.world_size,
            projection_dim=self.projection_dim,
        )
        if self.json:
            weight = conversion.effective_weight
            # JSON knows no infinity.
            return show([asdict(conversion) | {"effective_weight": weight if isfinite(weight) else None}], as_json=True)
        print(f"λ = {self.value:g} of {self.source} is λ = {conversion.value:.4g} of {self.target}")
        ranks = "1 rank" if self.world_size == 1 else f"{self.world_size} ranks"
        print(f"for: batch {self.batch_size}, {self.views_global} global + {self.views_local} local views, {ranks}")
        print(
            f"weight of the Epps-Pulley integral (without N) / weight of prediction: {conversion.effective_weight:.4g}"
        )
        print(
            f"loss and gradient of {self.source}: {conversion.factor:.4g} times those of {self.target}; multiply the "
            "learning rate of SGD by that, leave AdamW's"
        )
        for note in conversion.notes:
            print(f"- {note}")
        return 0


def status(study: StudyLedger) -> dict[str, Any]:
    """Counts of a study's trials by outcome; of one with variants also how many of each are done."""
    document = study.read()
    results = [result for trial in study.trials() if (result := trial.result()) is not None]
    outcomes = Counter(result["outcome"] for result in results)
    config = document["config"]
    searched = len(config["architectures"]) * len(config["datasets"]) * config["trials"] * len(config["seeds"])
    total = len(document["planned"]) or searched
    counts = {outcome: outcomes[outcome] for outcome in OUTCOMES if outcomes[outcome]}
    return {
        "study": study.name,
        "total": total,
        "done": outcomes.total() - outcomes["stopped"],
        "outcomes": counts,
        "path": str(study.path),
        **({"variants": _variants(config, results)} if config.get("variants") else {}),
    }


def _variants(config: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, str]:
    name_of, planned = namer(config), planned_trials(config)
    done = Counter(name_of(result["config"]) for result in results if result["outcome"] != "stopped")
    return {name: f"{done[name]}/{total}" for name, total in planned.items()}


def _convention_row(name: str, spec: Convention) -> dict[str, Any]:
    return {
        "name": name,
        "form": "(1-λ)·pred + λ·sig" if spec.form == "convex" else "pred + λ·sig",
        "factor": ("V·N" if spec.pooled else "N") if spec.factor_n else "none",
        "tests": "all views together" if spec.pooled else "each view",
        "quadrature": spec.grid,
        "of_ranks": spec.ranks,
        "prediction": "sum over dims" if spec.sums_dims else "mean over dims",
        "centre": spec.centre,
        "source": spec.source,
    }


def show(rows: list[dict[str, Any]], *, as_json: bool) -> int:
    """Print rows as a JSON array or as a table."""
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = dict.fromkeys(chain.from_iterable(rows))
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(column, "")) for column in columns))
    # Piped into a file or a pager, a table needs no terminal's width.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table if rows else "nothing found")
    return 0


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def guarded(command: Callable[[], int]) -> int:
    """Run a command; an error that a person can act on becomes one line and exit code 2."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        with stoppable():
            return command()
    except LejepaError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read has read enough, as `| head` does; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Stopped as stop:
        # At once: all that has to be tidied up is, and libraries take their time on the way out.
        end_now(stop.exit_code, STOPPED)


def main(argv: list[str] | None = None) -> int:
    """The `lejepa` command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    for command in entry_points(group=COMMAND_GROUP):
        if arguments[:1] == [command.name]:
            return guarded(partial(command.load(), arguments[1:]))
    commands = (
        Annotated[Status, tyro.conf.subcommand("status")]
        | Annotated[Architectures, tyro.conf.subcommand("archs")]
        | Annotated[Datasets, tyro.conf.subcommand("datasets")]
        | Annotated[Ui, tyro.conf.subcommand("ui")]
        | Annotated[Server, tyro.conf.subcommand("server")]
        | Annotated[Sync, tyro.conf.subcommand("sync")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Merge, tyro.conf.subcommand("merge")]
        | Annotated[Export, tyro.conf.subcommand("export")]
        | Annotated[Rerun, tyro.conf.subcommand("rerun")]
        | Annotated[Submit, tyro.conf.subcommand("submit")]
        | Annotated[ConvertLambda, tyro.conf.subcommand("convert-lambda")]
    )
    others = ", ".join(sorted(command.name for command in entry_points(group=COMMAND_GROUP)))
    chosen: Any = tyro.cli(
        commands,
        args=arguments,
        prog="lejepa",
        description=f"Studies of LeJEPA over λ. Also: {others} (lejepa {others} --help).",
    )
    return guarded(chosen.run)


if __name__ == "__main__":
    sys.exit(main())
