"""How stable is LeJEPA over λ? The main study, from one command.

    python sweeps/lambda_stability.py                                       # minutes on a laptop
    python sweeps/lambda_stability.py --datasets folder:my_images --architectures resnet18 vit_small_p16

Running the same command again continues a study that was interrupted, and trains nothing twice.
"""

import logging
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lejepa_core.architectures import select_architectures, size_notes
from lejepa_core.errors import SettingError
from lejepa_core.methods import Objective
from lejepa_core.settings import Precision, Regularizer, Sampler, Stream
from lejepa_platform.cli import guarded
from lejepa_platform.config import Search
from lejepa_platform.errors import StudyError
from lejepa_platform.execution import Execution, check_scheduler
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.rungs import Scheduler, SchedulerMetric
from lejepa_platform.storage import cache_of
from lejepa_platform.stored_variants import namer
from lejepa_platform.study import stored_config
from sweeps.estimate import estimate
from sweeps.extension import Axes, StoredStudy, grown, grown_from
from sweeps.planning import DataSettings, Plan, absolute, name_of, resolve
from sweeps.recipes import RECIPES, Recipe
from sweeps.running import RunArguments, check_models, check_run, execute, execution_of, settled, tracker_away
from sweeps.streams import held_streams
from sweeps.targets import with_targets
from sweeps.varying import varied

LOG = logging.getLogger("lejepa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments(RunArguments):
    """The command line; what is left out comes from the preset."""

    preset: Literal["quick", "pilot", "paper"] = "quick"
    """Recipe to start from: minutes or hours on two cores, or GPUs."""
    architectures: tuple[str, ...] | None = None
    """Names, see `lejepa archs`; patterns such as 'vit*'; cheapest:64. Any timm model as timm:NAME."""
    datasets: tuple[str, ...] | None = None
    """Names, see `lejepa datasets`; folder:PATH for your own images; hf:ID for a set of the Hugging Face Hub, with
    pip install '.[hf]'. galaxy10 wants '.[galaxy]'."""
    evaluate_on: tuple[str, ...] = ()
    """Other data sets: the frozen encoders are probed on these too, with few labels and with all. Trains nothing."""
    protocols: tuple[str, ...] = ()
    """What else the encoders are measured by, now or later, without training them again; criteria always is."""
    lambdas: tuple[float, ...] | None = None
    """Values of λ, strictly between 0 and 1; for a search the ends of the range."""
    learning_rates: tuple[float, ...] | None = None
    """Peak learning rates; by default one per group of families, see `lejepa archs`."""
    weight_decays: tuple[float, ...] | None = None
    """Weight decays; likewise."""
    seeds: int | None = None
    """How many seeds."""
    seed: int = 0
    """The first seed."""
    epochs: int | None = None
    """Passes over the training images."""
    batch_size: int | None = None
    """Images per step, over all workers."""
    image_size: int | None = None
    """Side of a global view, in pixels."""
    views_global: int | None = None
    """Large crops per image."""
    views_local: int | None = None
    """Small crops per image."""
    regularizer: Regularizer | None = None
    """Test of normality that λ weighs; epps-pulley is SIGReg."""
    slices: int | None = None
    """Random directions per step."""
    sampler: Sampler | None = None
    """How directions are drawn."""
    objective: Objective | None = None
    """Loss, LeJEPA's by default; of vicreg λ = 0.5 is the published one, of simclr λ is the temperature."""
    register_tokens: int | None = None
    """Register tokens of vision transformers, by default as many as each has."""
    predictor_depth: int | None = None
    """Linear layers of a predictor between each view and the centre, by default none."""
    weight_average: float | None = None
    """Decay per step of averaged weights, which make the centre and are evaluated, such as 0.996; by default none."""
    precision: Precision | None = None
    """Floating point type of training, float32 by default; bfloat16 is autocast, and what is measured is float32."""
    pretrained: bool = False
    """Begin from timm's weights of the hub: continued pretraining."""
    limit_train: int | None = None
    """Pretrain and probe on this many training images only."""
    vary: tuple[str, ...] = ()
    """Settings that the study compares, every combination of their values over all its cells, seeds and values of λ:
    --vary views_global=2,4,8 slices=256,1024."""
    unlabelled: bool = False
    """The images have no classes: nothing is probed, the rest works."""
    search: Search | None = None
    """grid: every λ; tpe: look for the best λ in each cell; qmc: values spread evenly over the range, the same for all.
    In a search, trials that collapsed for good are stopped."""
    trials: int | None = None
    """Values of λ that a search tries per cell."""
    scheduler: Scheduler = "none"
    """asha: after a ninth and a third of the epochs, a trial goes on only if it is in the best third of its cell: a
    grid then has holes. With none, trials that were stopped go on."""
    scheduler_metric: SchedulerMetric = "label_free"
    """What asha compares: label_free, view retrieval on held-out images; online_probe, accuracy along the way."""
    study: str | None = None
    """Name of the study; by default the preset's, with a hash if anything was changed."""
    extend: bool = False
    """Add to the axes of a study that exists."""
    dry_run: bool = False
    """Show the trials and what they would cost, and do nothing."""


def main(argv: list[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    return guarded(lambda: _run(arguments))


def _run(arguments: Arguments) -> int:
    check_models(arguments.keep_models)
    if arguments.study is not None:
        StudyLedger.at(arguments.storage, arguments.study)
    stored = _stored(arguments)
    arguments = _with_names(arguments, stored)
    recipe = _overridden(grown_from(stored, _axes(arguments)) if stored else RECIPES[arguments.preset](), arguments)
    with ExitStack() as stack:
        cache = cache_of(arguments.storage)
        if arguments.dry_run:
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        labelled = stored.config.labelled if stored else not arguments.unlabelled
        data = DataSettings(
            cache=cache,
            root=arguments.data_root,
            labelled=labelled,
            stream=arguments.stream,
            workers=arguments.data_workers,
        )
        execution = replace(
            execution_of(arguments), scheduler=arguments.scheduler, scheduler_metric=arguments.scheduler_metric
        )
        check_run(recipe, execution, data, evaluate_on=arguments.evaluate_on, protocols=arguments.protocols)
        epochs = min(int(settings["epochs"]) for _, settings, _ in recipe.resolved)
        check_scheduler(execution, epochs=epochs, labelled=labelled)
        plan = _plan(arguments, recipe, replace(data, held=_held(arguments, recipe, stored, labelled)), stored)
        if arguments.dry_run:
            return _show(plan, execution)
    return execute(plan, execution, arguments.keep_models)


def _stored(arguments: Arguments) -> StoredStudy | None:
    """The study that --extend adds to."""
    if not arguments.extend:
        return None
    if arguments.study is None:
        raise StudyError("--extend came without --study; say which study should grow: --study NAME")
    ledger = StudyLedger.find(arguments.study, arguments.storage)
    document = ledger.read()
    return StoredStudy(
        config=stored_config(ledger),
        sources=document["sources"],
        notes=document["notes"],
        streams=document.get("streams", {}),
    )


def _held(arguments: Arguments, recipe: Recipe, stored: StoredStudy | None, labelled: bool) -> Mapping[str, Stream]:
    if stored is not None:
        return stored.streams
    pristine = RECIPES[arguments.preset]()
    return held_streams(arguments.storage, arguments.study, recipe, pristine, labelled=labelled)


def _with_names(arguments: Arguments, stored: StoredStudy | None) -> Arguments:
    """With the names that patterns stand for."""
    if arguments.architectures is None:
        return arguments
    shared = stored.config.shared if stored else RECIPES[arguments.preset]().shared
    size = arguments.image_size or int(shared["image_size"])
    pretrained = arguments.pretrained or bool(shared.get("pretrained"))
    names = select_architectures(arguments.architectures, size, pretrained=pretrained)
    for note in size_notes(arguments.architectures, size, pretrained=pretrained):
        LOG.warning("%s", note)
    return replace(arguments, architectures=names)


def _axes(arguments: Arguments) -> Axes:
    seeds = range(arguments.seed, arguments.seed + arguments.seeds) if arguments.seeds is not None else ()
    return Axes(
        architectures=arguments.architectures or (),
        datasets=arguments.datasets or (),
        lambdas=arguments.lambdas or (),
        seeds=tuple(seeds),
        variants=varied(arguments.vary),
    )


def _overridden(recipe: Recipe, arguments: Arguments) -> Recipe:
    shared_names = ("epochs", "batch_size", "image_size", "views_global", "views_local", "regularizer",
                    "slices", "sampler", "objective", "register_tokens", "predictor_depth", "weight_average",
                    "precision", "limit_train")  # fmt: skip
    shared: dict[str, int | None] = {n: v for n in shared_names if (v := getattr(arguments, n)) is not None}
    if arguments.pretrained:
        shared["pretrained"] = True
    if arguments.datasets and not arguments.extend and arguments.limit_train is None:
        # A preset's limit is for its own data sets; nobody wants most of their images ignored.
        shared["limit_train"] = None
    names = ["learning_rates", "weight_decays", "search", "trials"]
    if not arguments.extend:
        names += ["architectures", "datasets", "lambdas"]
    own = {n: v for n in names if (v := getattr(arguments, n)) is not None}
    if arguments.seeds is not None and arguments.seeds < 1:
        raise SettingError(f"--seeds {arguments.seeds} came, at least 1 was wanted")
    if not arguments.extend:
        count = arguments.seeds if arguments.seeds is not None else len(recipe.seeds)
        own["seeds"] = tuple(range(arguments.seed, arguments.seed + count))
        own["variants"] = varied(arguments.vary) or recipe.variants
    return replace(recipe, **own, shared={**recipe.shared, **shared})


def _plan(arguments: Arguments, recipe: Recipe, data: DataSettings, stored: StoredStudy | None) -> Plan:
    away = None if arguments.dry_run else tracker_away(arguments)
    plan = resolve(recipe, data, study=arguments.study, fetch_weights=not arguments.dry_run)
    if arguments.study is None:
        name = name_of(recipe, RECIPES[arguments.preset](), plan.config)
        plan = replace(plan, config=replace(plan.config, name=name))
    if stored is not None:
        plan = grown(plan, stored, optimisers_named=bool(arguments.learning_rates or arguments.weight_decays))
    plan = replace(plan, config=replace(plan.config, protocols=arguments.protocols))
    plan = with_targets(plan, {name: absolute(name) for name in arguments.evaluate_on}, data)
    return settled(plan, data, arguments.storage, away, extend=arguments.extend)


def _show(plan: Plan, execution: Execution) -> int:
    config = plan.config
    if config.search == "grid":
        variant_of = namer(config.flat())
        for trial in config.grid():
            print(
                f"{trial.key}  {trial.architecture} / {trial.dataset}  λ={trial.lambda_:g} seed={trial.seed} "
                f"lr={trial.learning_rate:g} wd={trial.weight_decay:g}  {variant_of(trial.flat())}".rstrip()
            )
    else:
        low, high = min(config.lambdas), max(config.lambdas)
        for architecture, dataset in config.cells():
            print(f"{architecture} / {dataset}  {config.trials} values of λ in [{low:g}, {high:g}], each at "
                  f"{len(config.seeds)} seeds")  # fmt: skip
    print(f"study {config.name}: {estimate(plan, execution)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
