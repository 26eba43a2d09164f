"""From a plan to a report: how commands that run studies say where and how, and what they do with the answer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dashboards.report import write_report
from dashboards.summary import Json
from lejepa_core.errors import SettingError
from lejepa_core.settings import Stream
from lejepa_platform.cluster import reach
from lejepa_platform.config import union
from lejepa_platform.entry import default_address
from lejepa_platform.errors import TrackingError
from lejepa_platform.execution import Execution
from lejepa_platform.executors import Executor
from lejepa_platform.ledger import FAILURES, StudyLedger
from lejepa_platform.placement import concurrent_trials, resources_here
from lejepa_platform.protocols import check_protocols, wanted_of
from lejepa_platform.storage import Storage, require_writable
from lejepa_platform.stored_variants import report_files
from lejepa_platform.study import open_study, run_study
from lejepa_platform.tracking import Tracker, artifacts_of, check_tracking, default_uri, masked, tracking_uri
from lejepa_platform.tracking.models import keep_models
from sweeps.planning import DataSettings, Plan, check_recipe
from sweeps.recipes import Recipe
from sweeps.targets import check_targets, with_targets

LOG = logging.getLogger("lejepa")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunArguments:
    """Where and how a study runs; none of it changes a result."""

    stream: Stream = "auto"
    """Whether to decode photographs each time they are wanted: auto does where all pixels would take over 32 GiB, and
    keeps to what a study that exists did."""
    data_workers: int = 2
    """Processes that decode ahead for each process of a trial, where images are streamed. Each takes a CPU, and fewer
    trials run at once, as long as one fits."""
    executor: Executor = "auto"
    """inline: reused processes; ray_train: a worker group per trial."""
    workers_per_trial: int = 1
    """Processes that share each batch."""
    gpus_per_worker: float | None = None
    """GPUs per process; a fraction puts several trials on one. By default 1 if there are any, otherwise none."""
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


def execution_of(arguments: RunArguments) -> Execution:
    """How a study runs, before its images are known."""
    execution = Execution(
        storage=arguments.storage,
        sources={},
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
        checkpoint_seconds=arguments.checkpoint_seconds,
        retry_failed=arguments.retry_failed,
    )
    return execution if arguments.address is not None else execution.on([resources_here()])


def check_run(
    recipe: Recipe, execution: Execution, data: DataSettings, *, evaluate_on: Sequence[str], protocols: Sequence[str]
) -> None:
    """Everything that can be wrong with a study and can be found before an image is decoded.

    Args:
        recipe: What is wanted.
        execution: How it would run.
        data: Where images come from.
        evaluate_on: Other data sets.
        protocols: What encoders are measured by besides.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    if execution.address is None:
        concurrent_trials(execution.placement(Path()), [resources_here()], execution.max_concurrent)
    else:
        reach(execution.address)
    check_recipe(recipe, data, workers=execution.workers, micro_batch=execution.micro_batch)
    check_targets(evaluate_on, recipe.datasets, data)
    check_protocols(protocols, labelled=data.labelled)
    require_writable(execution.storage)


def check_models(keep: int) -> None:
    """Refuse a number of models that is none.

    Raises:
        SettingError: If it is negative.
    """
    if keep < 0:
        raise SettingError(f"--keep-models {keep} came, 0 or more was wanted")


def tracker_away(arguments: RunArguments) -> TrackingError | None:
    """Why the tracker cannot be reached, if it cannot."""
    try:
        check_tracking(tracking_uri(arguments.tracking_uri, arguments.storage))
    except TrackingError as error:
        return error
    return None


def settled(
    plan: Plan, data: DataSettings, storage: Storage, away: TrackingError | None, *, extend: bool | None
) -> Plan:
    """A plan joined with what the study's folder holds already.

    Args:
        plan: The study that is wanted.
        data: Where images come from.
        storage: Of all studies.
        away: Why the tracker cannot be reached.
        extend: Whether a study that exists may grow; None = no command line can ask for it.

    Raises:
        StudyError: If the name stands for another study.
        TrackingError: If the study is new, and its tracker away.
    """
    ledger, config = open_study(plan.config, storage, extend=extend)
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


def execute(plan: Plan, execution: Execution, models: int) -> int:
    """Run what is not finished of a study, and write its report.

    Args:
        plan: From `settled`.
        execution: How and where.
        models: Best encoders of each cell that MLflow keeps.

    Returns:
        The exit code: 1 if all trials failed.
    """
    execution = replace(execution, sources=plan.sources, streams=plan.streams)
    _announce(plan, StudyLedger.at(execution.storage, plan.config.name))
    ledger = run_study(plan.config, execution, notes=plan.notes)
    summary = write_report(ledger.path, execution.tracking_uri)
    _attach(ledger, execution)
    keep_models(ledger, execution.tracking_uri, models, artifacts=artifacts_of(execution.storage))
    _say(ledger, execution, summary)
    return 1 if _all_failed(ledger) else 0


def _say(ledger: StudyLedger, execution: Execution, summary: Json) -> None:
    print(f"\n{summary['verdict']}\n")
    print(f"report   {ledger.path / 'report.html'}")
    print(f"summary  {ledger.path / 'summary.json'}")
    print(f"MLflow   {_where(execution)}, experiment {ledger.name}")


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
