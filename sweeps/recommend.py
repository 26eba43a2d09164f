"""Which λ, which architecture? For images without labels, within a given time: `lejepa recommend`.

    lejepa recommend --data folder:my_images --budget 30m

A study of small architectures over λ, as large as the time allows, judged by what needs no labels. Running the same
command again continues it.
"""

import hashlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
import tyro

from dashboards.advice import advice_words
from dashboards.report import write_report
from lejepa_core.architectures import local_size
from lejepa_core.errors import SettingError
from lejepa_core.settings import PretrainSettings
from lejepa_platform.cli import guarded
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import require_writable
from lejepa_platform.study import Execution, concurrent_trials, open_study, run_study, stored_config
from lejepa_platform.tracking import check_tracking, tracking_uri
from sweeps.pacing import Cost, Shape, fit, measure_cost
from sweeps.planning import DataSettings, Plan, absolute, check_recipe, optimisers, resolve
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
    gpus_per_worker: float = 0.0
    """GPUs per trial; a fraction puts several trials on one."""
    threads_per_worker: int = 1
    """CPU threads per trial."""
    storage: Path = Path("studies")
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
    data = DataSettings(cache=arguments.storage / ".cache", root=arguments.data_root, labelled=False)
    ledger = StudyLedger.at(arguments.storage, _name(arguments))
    execution = _execution(arguments)
    check_recipe(recipe, data)
    require_writable(arguments.storage)
    if ledger.exists():
        plan = resolve(_as_stored(recipe, ledger), data, study=ledger.name)
    else:
        check_tracking(execution.tracking_uri)
        plan = _fitted(recipe, data, ledger.name, execution, budget - (time.monotonic() - start))
    _, config = open_study(plan.config, arguments.storage)
    left = budget - ENDING - (time.monotonic() - start)
    if left <= 0:
        raise SettingError(f"reading the images took longer than the budget of {arguments.budget}; raise --budget")
    run_study(config, replace(execution, sources=plan.sources, max_seconds=left), notes=plan.notes)
    summary = write_report(ledger.path, execution.tracking_uri)
    (advice,) = summary["advice"]
    if arguments.json:
        print(json.dumps(advice, indent=1, ensure_ascii=False))
    else:
        print("", *advice_words(advice), "", f"report   {ledger.path / 'report.html'}", sep="\n")
    return 0 if advice["choice"] else 1


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


def _name(arguments: Arguments) -> str:
    """A name of its own for every question; the number of images, say, is no part of it."""
    source = absolute(arguments.data)
    asked = (source, arguments.budget, arguments.architectures, arguments.lambdas, arguments.image_size,
             arguments.batch_size)  # fmt: skip
    base = re.sub(r"[^A-Za-z0-9._-]", "-", Path(source.partition(":")[2] or source).name)[:60]
    return f"recommend-{base}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:6]}"


def _execution(arguments: Arguments) -> Execution:
    return Execution(
        storage=arguments.storage,
        sources={},
        tracking_uri=tracking_uri(arguments.tracking_uri, arguments.storage),
        data_root=arguments.data_root,
        threads=arguments.threads_per_worker,
        gpus=arguments.gpus_per_worker,
    )


def _as_stored(recipe: Recipe, ledger: StudyLedger) -> Recipe:
    """The recipe as it was fitted when the study began."""
    config = stored_config(ledger)
    return replace(recipe, architectures=config.architectures, seeds=config.seeds, shared=config.shared)


def _fitted(recipe: Recipe, data: DataSettings, name: str, execution: Execution, seconds: float) -> Plan:
    """The largest study that the time allows."""
    start = time.monotonic()
    plan = resolve(recipe, data, study=name)
    (images,) = plan.images.values()
    here = {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
    parallel = concurrent_trials(execution.placement(Path()), here, None)
    device = torch.device("cuda" if execution.gpus else "cpu")
    costs: dict[str, Cost] = {}
    for architecture in recipe.architectures:
        costs[architecture] = measure_cost(_settings(recipe, architecture), images, device, execution.threads)
    shape = fit(
        costs,
        [(min(count, len(costs)), seeds) for count, seeds in LADDER],
        lambdas=len(recipe.lambdas),
        images=len(images.splits["train"]),
        batch_size=recipe.shared["batch_size"],
        seconds=seconds - STARTING - ENDING - (time.monotonic() - start),
        parallel=parallel,
        steps_wanted=STEPS_WANTED,
    )
    return resolve(_shaped(recipe, shape), data, study=name)


def _settings(recipe: Recipe, architecture: str) -> PretrainSettings:
    ((rate, decay),) = optimisers(recipe, architecture)
    settings: dict[str, Any] = dict(recipe.shared)
    size = local_size(architecture, settings["image_size"])
    return PretrainSettings(
        architecture=architecture, lambda_=recipe.lambdas[0], learning_rate=rate, weight_decay=decay,
        local_size=size, **settings,
    )  # fmt: skip


def _shaped(recipe: Recipe, shape: Shape) -> Recipe:
    return replace(
        recipe,
        architectures=shape.architectures,
        seeds=tuple(range(shape.seeds)),
        shared={**recipe.shared, "epochs": shape.epochs, "limit_train": shape.limit_train},
    )


if __name__ == "__main__":
    sys.exit(main())
