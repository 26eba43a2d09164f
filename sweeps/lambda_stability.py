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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import tyro

from dashboards.report import write_report
from lejepa_core.architectures import select_architectures, size_notes
from lejepa_core.errors import SettingError
from lejepa_core.settings import Precision, Regularizer, Sampler, Stream
from lejepa_platform.cli import guarded
from lejepa_platform.cluster import reach
from lejepa_platform.config import Search, union
from lejepa_platform.entry import default_address
from lejepa_platform.errors import StudyError, TrackingError
from lejepa_platform.execution import Execution, check_scheduler
from lejepa_platform.executors import Executor
from lejepa_platform.ledger import FAILURES, StudyLedger
from lejepa_platform.placement import concurrent_trials, resources_here
from lejepa_platform.protocols import check_protocols, wanted_of
from lejepa_platform.rungs import Scheduler, SchedulerMetric
from lejepa_platform.storage import Storage, cache_of, require_writable
from lejepa_platform.stored_variants import namer, report_files
from lejepa_platform.study import open_study, run_study, stored_config
from lejepa_platform.tracking import Tracker, artifacts_of, check_tracking, default_uri, masked, tracking_uri
from lejepa_platform.tracking.models import keep_models
from sweeps.estimate import estimate
from sweeps.extension import Axes, StoredStudy, grown, grown_from
from sweeps.planning import DataSettings, Plan, absolute, check_recipe, name_of, resolve
from sweeps.recipes import RECIPES, Recipe
from sweeps.streams import held_streams
from sweeps.targets import check_targets, with_targets
from sweeps.varying import varied

LOG = logging.getLogger("lejepa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
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
    stream: Stream = "auto"
    """Whether to decode photographs each time they are wanted: auto does where all pixels would take over 32 GiB, and
    keeps to what a study that exists did."""
    data_workers: int = 2
    """Processes that decode ahead for each process of a trial, where images are streamed. Each takes a CPU, and fewer
    trials run at once, as long as one fits."""
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
    executor: Executor = "auto"
    """inline: reused processes; ray_train: a worker group per trial."""
    workers_per_trial: int = 1
    """Processes that share each batch."""
    gpus_per_worker: float = 0.0
    """GPUs per process; a fraction puts several trials on one."""
    threads_per_worker: int = 1
    """CPU threads per process; results repeat bit for bit for the same number."""
    micro_batch: int | None = None
    """Images that the backbone of a process sees at a time, for batches that memory does not hold: the same results
    up to rounding, a third slower. Not for architectures with BatchNorm."""
    max_concurrent: int | None = None
    """Trials at once; by default as many as fit."""
    trial_timeout: float | None = None
    """Seconds that a trial may take."""
    max_hours: float | None = None
    """Hours that the study may take: what would end later is left for the next run of the same command. Trials under
    way are left to end."""
    max_gpu_hours: float | None = None
    """The same for GPU-hours of all trials, those of earlier runs included."""
    checkpoint_seconds: float = 5.0
    """Least time between a trial's checkpoints."""
    study: str | None = None
    """Name of the study; by default the preset's, with a hash if anything was changed."""
    extend: bool = False
    """Add to the axes of a study that exists."""
    keep_models: int = 1
    """Best encoders of each cell that MLflow keeps as models, in the end."""
    retry_failed: bool = False
    """Run trials again that ended in oom, timeout or error."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    data_root: Path | None = None
    """Folder of downloaded data sets."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default STORAGE/mlflow.db, for which a storage on s3:// has no place."""
    address: str | None = field(default_factory=default_address)
    """Ray cluster: auto, or HOST:PORT of its head; by default LEJEPA_ADDRESS, or this machine."""
    dry_run: bool = False
    """Show the trials and what they would cost, and do nothing."""


def main(argv: list[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    return guarded(lambda: _run(arguments))


def _run(arguments: Arguments) -> int:
    if arguments.keep_models < 0:
        raise SettingError(f"--keep-models {arguments.keep_models} came, 0 or more was wanted")
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
        execution = _execution(arguments, {})
        if execution.address is None:
            concurrent_trials(execution.placement(Path()), [resources_here()], execution.max_concurrent)
        else:
            reach(execution.address)
        check_recipe(recipe, data, workers=execution.workers, micro_batch=execution.micro_batch)
        check_targets(arguments.evaluate_on, recipe.datasets, data)
        check_protocols(arguments.protocols, labelled=labelled)
        epochs = min(int(settings["epochs"]) for _, settings, _ in recipe.resolved)
        check_scheduler(execution, epochs=epochs, labelled=labelled)
        require_writable(arguments.storage)
        plan = _plan(arguments, recipe, replace(data, held=_held(arguments, recipe, stored, labelled)), stored)
        if arguments.dry_run:
            return _show(plan, execution)
    return _execute(plan, replace(execution, sources=plan.sources, streams=plan.streams), arguments.keep_models)


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
                    "slices", "sampler", "precision", "limit_train")  # fmt: skip
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
    away = None if arguments.dry_run else _tracker_away(arguments)
    plan = resolve(recipe, data, study=arguments.study, fetch_weights=not arguments.dry_run)
    if arguments.study is None:
        name = name_of(recipe, RECIPES[arguments.preset](), plan.config)
        plan = replace(plan, config=replace(plan.config, name=name))
    if stored is not None:
        plan = grown(plan, stored, optimisers_named=bool(arguments.learning_rates or arguments.weight_decays))
    plan = replace(plan, config=replace(plan.config, protocols=arguments.protocols))
    plan = with_targets(plan, {name: absolute(name) for name in arguments.evaluate_on}, data)
    ledger, config = open_study(plan.config, arguments.storage, extend=arguments.extend)
    if away is not None:
        # A new study refuses a tracker that cannot be reached; one that goes on does without.
        if not ledger.exists():
            raise away
        LOG.warning("%s; the study goes on without, `lejepa sync %s` catches up", away, ledger.path)
    # What an earlier command asked for is still wanted.
    held = ledger.read()["sources"] if ledger.exists() else {}
    earlier = {name: held[name] for name in config.evaluate_on if name not in plan.targets}
    plan = with_targets(replace(plan, config=config), earlier, data)
    for note in plan.notes:
        LOG.warning("%s", note)
    return plan


def _tracker_away(arguments: Arguments) -> TrackingError | None:
    try:
        check_tracking(tracking_uri(arguments.tracking_uri, arguments.storage))
    except TrackingError as error:
        return error
    return None


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


def _execution(arguments: Arguments, sources: Mapping[str, str]) -> Execution:
    return Execution(
        storage=arguments.storage,
        sources=sources,
        tracking_uri=tracking_uri(arguments.tracking_uri, arguments.storage),
        data_root=arguments.data_root,
        data_workers=arguments.data_workers,
        executor=arguments.executor,
        workers=arguments.workers_per_trial,
        threads=arguments.threads_per_worker,
        gpus=arguments.gpus_per_worker,
        micro_batch=arguments.micro_batch,
        max_concurrent=arguments.max_concurrent,
        address=arguments.address,
        time_limit=arguments.trial_timeout,
        max_seconds=None if arguments.max_hours is None else 3600 * arguments.max_hours,
        max_gpu_seconds=None if arguments.max_gpu_hours is None else 3600 * arguments.max_gpu_hours,
        scheduler=arguments.scheduler,
        scheduler_metric=arguments.scheduler_metric,
        checkpoint_seconds=arguments.checkpoint_seconds,
        retry_failed=arguments.retry_failed,
    )


def _execute(plan: Plan, execution: Execution, models: int) -> int:
    _announce(plan, StudyLedger.at(execution.storage, plan.config.name))
    ledger = run_study(plan.config, execution, notes=plan.notes)
    summary = write_report(ledger.path, execution.tracking_uri)
    _attach(ledger, execution)
    keep_models(ledger, execution.tracking_uri, models, artifacts=artifacts_of(execution.storage))
    print(f"\n{summary['verdict']}\n")
    print(f"report   {ledger.path / 'report.html'}")
    print(f"summary  {ledger.path / 'summary.json'}")
    print(f"MLflow   {_where(execution)}, experiment {ledger.name}")
    return 1 if _all_failed(ledger) else 0


def _announce(plan: Plan, ledger: StudyLedger) -> None:
    """Say what is left to do for trials that were trained before: to the live table they are unfinished."""
    wanted = wanted_of(plan.config)
    lacking = [trial.lacks(wanted) for trial in ledger.trials()]
    for doing, names in (
        ("evaluate on", [list(lacks.evaluate_on) for lacks in lacking if lacks.evaluate_on]),
        ("measure by", [list(lacks.protocols) for lacks in lacking if lacks.protocols]),
    ):
        if names:
            print(f"encoders to {doing} {' '.join(union(*names))}, without training again: {len(names)}")


def _where(execution: Execution) -> str:
    own = execution.tracking_uri == default_uri(execution.storage)
    return f"lejepa ui --storage {execution.storage}" if own else masked(execution.tracking_uri)


def _attach(ledger: StudyLedger, execution: Execution) -> None:
    tracker = Tracker(ledger, execution.tracking_uri, artifacts=artifacts_of(execution.storage))
    tracker.open()
    for name in report_files(ledger.read()["config"]):
        tracker.attach(ledger.path / name)
    missing = tracker.close()
    if missing:
        LOG.warning("%s", missing)


def _all_failed(ledger: StudyLedger) -> bool:
    outcomes = [result["outcome"] for trial in ledger.trials() if (result := trial.result()) is not None]
    failed = [outcome for outcome in outcomes if outcome in FAILURES]
    if failed:
        LOG.warning("%d of %d trials failed; --retry-failed runs them again", len(failed), len(outcomes))
    later = [
        e["outcome"] for trial in ledger.trials() for e in (*trial.transfer().values(), *trial.measured().values())
    ]
    lost = [outcome for outcome in later if outcome in FAILURES]
    if lost:
        LOG.warning("%d of %d measurements of encoders failed; --retry-failed runs them again", len(lost), len(later))
    return bool(outcomes) and len(failed) == len(outcomes)


if __name__ == "__main__":
    sys.exit(main())
