"""Which λ, which architecture? For images without labels, within a given time: `lejepa recommend`.

    lejepa recommend --data folder:my_images --budget 30m

A study of small architectures over λ, as large as the time allows, judged by what needs no labels. Running the same
command again continues it.
"""

import hashlib
import json
import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
import tyro

from dashboards.advice import advice_words
from dashboards.report import write_report
from lejepa_core.architectures import local_size
from lejepa_core.datasets import ImageDataset
from lejepa_core.errors import SettingError
from lejepa_core.settings import PretrainSettings
from lejepa_platform.cli import guarded
from lejepa_platform.config import METHOD_VERSION
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.placement import concurrent_trials, resources_here, with_decoders
from lejepa_platform.storage import Storage, cache_of, require_writable, study_names
from lejepa_platform.study import open_study, run_study, stored_config
from lejepa_platform.tracking import check_tracking, tracking_uri
from sweeps.pacing import Cost, Shape, fit, measure_cost
from sweeps.planning import DataSettings, absolute, check_recipe, load_images, optimisers, resolve
from sweeps.recipes import Recipe

LOG = logging.getLogger("lejepa")
ARCHITECTURES: Final = ("resnet10t_w32", "mambaout_micro", "coatnet_micro")
"""Of three kinds, small, and quick to learn."""
LAMBDAS: Final = (0.005, 0.015, 0.05, 0.15, 0.5)
LADDER: Final = ((3, 3), (3, 2), (2, 2), (2, 1), (1, 1))
"""Architectures and seeds: the second seed tells luck from λ, the second architecture whether λ carries over."""
STEPS_WANTED: Final = 300
STARTING: Final = 15.0
"""Seconds that Ray and MLflow take to start."""
ENDING: Final = 10.0
"""Seconds that the report takes."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The command line."""

    data: str
    """folder:PATH of images, labelled or not (labels are not looked at), or a name of `lejepa datasets`."""
    budget: str = "30m"
    """Time for everything: 90s, 30m, 2h."""
    architectures: tuple[str, ...] = ARCHITECTURES
    """Names, see `lejepa archs`, the most wanted first: where time is short, the last are left out."""
    lambdas: tuple[float, ...] = LAMBDAS
    """Values of λ to choose from."""
    image_size: int = 32
    """Side of a global view, in pixels."""
    batch_size: int = 64
    """Images per step; λ is for this batch size, see `lejepa convert-lambda` for another."""
    gpus_per_worker: float | None = None
    """GPUs per trial; a fraction puts several trials on one. By default 1 if there are any, otherwise none."""
    threads_per_worker: int = 1
    """CPU threads per trial."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    data_root: Path | None = None
    """Folder of downloaded data sets."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default STORAGE/mlflow.db."""
    json: bool = False
    """The advice as JSON."""


def main(argv: Sequence[str] | None = None) -> int:
    """`lejepa recommend`; returns the exit code."""
    arguments = tyro.cli(Arguments, args=argv, prog="lejepa recommend", description=__doc__)
    return guarded(lambda: _run(arguments))


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 90s, 30m or 2h.

    Raises:
        SettingError: If it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or float(match[1]) <= 0:
        raise SettingError(f"budget {text!r} came, a duration such as 90s, 30m or 2h was wanted")
    return float(match[1]) * _UNITS[match[2]]


def _run(arguments: Arguments) -> int:
    start, budget = time.monotonic(), parse_duration(arguments.budget)
    recipe = _recipe(arguments)
    data = DataSettings(cache=cache_of(arguments.storage), root=arguments.data_root, labelled=False)
    check_recipe(recipe, data)
    require_writable(arguments.storage)
    data, images = _looked_at(recipe, data, arguments)
    ledger = StudyLedger.at(arguments.storage, study_name(arguments, images.fingerprint))
    execution = replace(_execution(arguments), streams={images.name: "always" if images.streamed else "never"})
    parallel = _parallel(execution)
    costs: Mapping[str, Cost] = {}
    if ledger.exists():
        recipe = _as_stored(recipe, ledger)
    else:
        check_tracking(execution.tracking_uri)
        costs = _costs(recipe, images, execution)
        recipe = _fitted(recipe, images, costs, budget - (time.monotonic() - start), parallel)
    plan = resolve(recipe, data, study=ledger.name)
    _, config = open_study(plan.config, arguments.storage)
    left = budget - ENDING - (time.monotonic() - start)
    if left <= 0:
        raise SettingError(f"reading the images took longer than the budget of {arguments.budget}; raise --budget")
    steps = _steps(config.shared, len(images.splits["train"]))
    execution = replace(
        execution,
        sources=plan.sources,
        streams=plan.streams,
        max_seconds=left,
        max_concurrent=parallel,
        expected_seconds={name: cost.trial(steps) for name, cost in costs.items()},
    )
    run_study(config, execution, notes=plan.notes)
    return _show(ledger, execution, as_json=arguments.json)


def _show(ledger: StudyLedger, execution: Execution, *, as_json: bool) -> int:
    """Write the report and print the advice; returns the exit code."""
    summary = write_report(ledger.path, execution.tracking_uri)
    page = ledger.path / "report.html"
    for advice in summary["advice"]:
        if as_json:
            print(json.dumps(advice, indent=1, ensure_ascii=False))
        else:
            print("", *advice_words(advice), "", f"report   {page}", sep="\n")
        return 0 if advice["choice"] else 1
    print(f"error: no trial came to a usable end, at least one was wanted; see {page} for the reasons, and run the "
          "same command again if the time was up", file=sys.stderr)  # fmt: skip
    return 1


def _recipe(arguments: Arguments) -> Recipe:
    return Recipe(
        name="recommend",
        architectures=arguments.architectures,
        datasets=(arguments.data,),
        lambdas=arguments.lambdas,
        shared={
            "epochs": 1,
            "batch_size": arguments.batch_size,
            "image_size": arguments.image_size,
            "views_global": 2,
            "views_local": 2,
            "projector_dim": 32,
            "slices": 256,
        },
    )


def study_name(arguments: Arguments, fingerprint: str) -> str:
    """A name of its own for every question about the same images.

    Args:
        arguments: The question.
        fingerprint: Of the images.
    """
    return f"{_question(arguments)}-{_hash(METHOD_VERSION, fingerprint)}"


def _question(arguments: Arguments) -> str:
    source = absolute(arguments.data)
    base = re.sub(r"[^A-Za-z0-9._-]", "-", Path(source.partition(":")[2] or source).name)[:60]
    asked = _hash(source, arguments.budget, arguments.architectures, arguments.lambdas, arguments.image_size,
                  arguments.batch_size)  # fmt: skip
    return f"recommend-{base}-{asked}"


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:6]


def _looked_at(recipe: Recipe, data: DataSettings, arguments: Arguments) -> tuple[DataSettings, ImageDataset]:
    """The images, in the form in which a study of them that exists looks at them."""
    for name in study_names(arguments.storage):
        if name.startswith(f"{_question(arguments)}-"):
            study = StudyLedger(arguments.storage / name)
            held = replace(data, held=study.read().get("streams", {}))
            images = _images(recipe, held)
            if study_name(arguments, images.fingerprint) == study.name:
                return held, images
    return data, _images(recipe, data)


def _images(recipe: Recipe, data: DataSettings) -> ImageDataset:
    (source,) = recipe.datasets
    return load_images(absolute(source), data, image_size=recipe.shared["image_size"], labelled=data.labelled)


def _execution(arguments: Arguments) -> Execution:
    return Execution(
        storage=arguments.storage,
        sources={},
        tracking_uri=tracking_uri(arguments.tracking_uri, arguments.storage),
        data_root=arguments.data_root,
        threads=arguments.threads_per_worker,
        gpus=arguments.gpus_per_worker,
    ).on([resources_here()])


def _as_stored(recipe: Recipe, ledger: StudyLedger) -> Recipe:
    """The recipe as it was fitted when the study began."""
    config = stored_config(ledger)
    return replace(recipe, architectures=config.architectures, seeds=config.seeds, shared=config.shared)


def _parallel(execution: Execution) -> int:
    """Trials at once."""
    here = resources_here()
    return concurrent_trials(with_decoders(execution.placement(Path()), [here]), [here], None)


def _costs(recipe: Recipe, images: ImageDataset, execution: Execution) -> dict[str, Cost]:
    device = torch.device("cuda" if execution.gpus else "cpu")
    return {
        architecture: measure_cost(_settings(recipe, architecture), images, device, execution.threads)
        for architecture in recipe.architectures
    }


def _fitted(recipe: Recipe, images: ImageDataset, costs: Mapping[str, Cost], seconds: float, parallel: int) -> Recipe:
    """The largest study that the time allows."""
    shape = fit(
        costs,
        [(min(count, len(costs)), seeds) for count, seeds in LADDER],
        lambdas=len(recipe.lambdas),
        images=len(images.splits["train"]),
        batch_size=recipe.shared["batch_size"],
        seconds=seconds - STARTING - ENDING,
        parallel=parallel,
        steps_wanted=STEPS_WANTED,
    )
    return _shaped(recipe, shape)


def _settings(recipe: Recipe, architecture: str) -> PretrainSettings:
    ((rate, decay),) = optimisers(recipe, architecture)
    settings: dict[str, Any] = dict(recipe.shared)
    size = local_size(architecture, settings["image_size"])
    return PretrainSettings(
        architecture=architecture, lambda_=recipe.lambdas[0], learning_rate=rate, weight_decay=decay,
        local_size=size, **settings,
    )  # fmt: skip


def _steps(shared: Mapping[str, Any], images: int) -> int:
    """Steps of a trial.

    Args:
        shared: What all trials share of their settings.
        images: Training images that there are.
    """
    epochs: int = shared["epochs"]
    return epochs * (min(images, shared.get("limit_train") or images) // int(shared["batch_size"]))


def _shaped(recipe: Recipe, shape: Shape) -> Recipe:
    return replace(
        recipe,
        architectures=shape.architectures,
        seeds=tuple(range(shape.seeds)),
        shared={**recipe.shared, "epochs": shape.epochs, "limit_train": shape.limit_train},
    )


if __name__ == "__main__":
    sys.exit(main())
