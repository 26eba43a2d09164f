"""Drives a study: ledger, Ray, tracker and live table, from the first trial to the last."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ray import tune

from lejepa_platform.budget import Budget
from lejepa_platform.cluster import machines, ray_session, require_shared
from lejepa_platform.config import METHOD_VERSION, STREAM_HINT, StudyConfig, TrialConfig, union
from lejepa_platform.errors import StudyError
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.placement import Room, with_decoders
from lejepa_platform.planners import LackingPlanner, Planner
from lejepa_platform.progress import Progress
from lejepa_platform.protocols import wanted_of
from lejepa_platform.search import StudySearcher, make_planner
from lejepa_platform.storage import Location
from lejepa_platform.stored_variants import namer
from lejepa_platform.tracking import Tracker, artifacts_of
from lejepa_platform.tuning import FirstCome, Forget
from lejepa_platform.watch import TRIAL_RESTARTS, Watch

LOG = logging.getLogger("lejepa")
LEAST_CLOSING, MOST_CLOSING = 5.0, 60.0
"""Seconds that the tracker may take to write what it lacks, behind the deadline or a signal to stop, and before it."""


def open_study(
    config: StudyConfig, storage: Location, *, extend: bool | None = None
) -> tuple[StudyLedger, StudyConfig]:
    """The ledger of a study, and the study as it will be stored; nothing is written.

    Args:
        config: The study that is wanted.
        storage: Folder of all studies.
        extend: Whether an existing study may grow by more values on its axes; None = no command line can ask for it.

    Raises:
        StudyError: If the name is none, or stands for another study.
    """
    ledger = StudyLedger.at(storage, config.name)
    if not ledger.exists():
        return ledger, config
    if extend:
        return ledger, stored_config(ledger).extended(config)
    stored = stored_config(ledger)
    different = [name for name in ledger.differences(config) if name not in ("fingerprints", "weights")]
    images = stored.other_images(config)
    different += [f"images of {name}" for name in images]
    different += [f"weights of {name}" for name in stored.other_weights(config)]
    if different:
        raise StudyError(
            f"study {config.name!r} exists with other {', '.join(different)}; "
            f"{'' if extend is None else 'add to it with --extend, or '}name another with --study"
            f"{STREAM_HINT if images else ''}"
        )
    return ledger, replace(config.evaluated_on(stored.evaluate_on), protocols=union(stored.protocols, config.protocols))


def stored_config(ledger: StudyLedger) -> StudyConfig:
    """What a study is.

    Raises:
        StudyError: If it was made by a version of the method that gives other results.
    """
    document = ledger.read()
    if document.get("method_version") != METHOD_VERSION:
        raise StudyError(
            f"study {ledger.name!r} was made with version {document.get('method_version')} of the method, this is "
            f"version {METHOD_VERSION}; start another study"
        )
    return StudyConfig.from_flat(document["config"])


def run_study(
    config: StudyConfig, execution: Execution, *, notes: list[str] | None = None, train: bool = True
) -> StudyLedger:
    """Run what is not finished of a study; running it again continues it.

    Args:
        config: From `open_study`.
        execution: How and where.
        notes: Lines that the report should show.
        train: Whether trials are trained; without, the encoders that there are are measured by what they lack.

    Returns:
        The ledger, in which every trial has a result, but for those that the budget left no time for, unless none
        were to be trained.

    Raises:
        StudyError: If another process drives the study, or trials are left without a result.
        ClusterError: If the cluster cannot be reached, or cannot hold a single trial.
    """
    ledger = StudyLedger.at(execution.storage, config.name)
    with ledger.driver_lock():
        planned = config.grid() if config.search == "grid" else []
        ledger.save(config, sources=execution.sources, planned=planned, notes=notes or [], streams=execution.streams)
        if execution.retry_failed:
            for trial in ledger.trials():
                trial.forget_failures()
        if train and execution.scheduler == "none":
            for trial in ledger.trials():
                trial.forget_stopped()
        budget = execution.budget(list(ledger.trials()))
        planner = make_planner(config, ledger) if train else LackingPlanner(config, ledger)
        tracker = Tracker(ledger, execution.tracking_uri, artifacts=artifacts_of(execution.storage))
        tracker.open()
        patience = MOST_CLOSING
        try:
            for trial in ledger.trials():
                tracker.touch(trial.key)
            finished = [result for trial in _complete(config, ledger) if (result := trial.result()) is not None]
            if not planner.exhausted or planner.total > len(finished):
                variant_of = namer(config.flat()) if config.variants else None
                with Progress(ledger.name, total=planner.total, finished=finished, variant_of=variant_of) as progress:
                    _drive(config, ledger, execution, planner, tracker, progress, budget)
                _require_complete(config, ledger, planner, planned if train else [], budget)
        except KeyboardInterrupt:
            patience = LEAST_CLOSING
            raise
        finally:
            missing = tracker.close(seconds=min(patience, max(LEAST_CLOSING, budget.left)))
        if missing:
            LOG.warning("%s", missing)
    return ledger


def _complete(config: StudyConfig, ledger: StudyLedger) -> Iterator[TrialLedger]:
    """The trials that nothing is left to do for."""
    wanted = wanted_of(config)
    return (trial for trial in ledger.trials() if trial.complete(wanted))


def _require_complete(
    config: StudyConfig, ledger: StudyLedger, planner: Planner, planned: list[TrialConfig], budget: Budget
) -> None:
    complete = {trial.key for trial in _complete(config, ledger)}
    if planned:
        complete &= {trial.key for trial in planned}
    left = f"{planner.total - len(complete)} of {planner.total} trials unfinished; run the same command again to go on"
    if len(complete) < planner.total:
        if not budget.exhausted:
            raise StudyError(f"Ray ended with {left}")
        LOG.warning("the budget is spent with %s", left)


def _drive(
    config: StudyConfig,
    ledger: StudyLedger,
    execution: Execution,
    planner: Planner,
    tracker: Tracker,
    progress: Progress,
    budget: Budget,
) -> None:
    scratch = _scratch(ledger)
    with ray_session(execution.address):
        execution = execution.on(machines())
        placement = with_decoders(execution.placement(scratch / "train"), machines())
        if isinstance(ledger.path, Path):
            require_shared(ledger.path)
        room = Room(placement, machines, execution.max_concurrent, trusted=execution.address is not None)
        watch = Watch(config, ledger, execution, tracker, progress)
        searcher = StudySearcher(planner, watch.begin, watch.ended, budget, room)
        tuner = tune.Tuner(
            placement.trainable(),
            tune_config=tune.TuneConfig(search_alg=searcher, scheduler=FirstCome(), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch.resolve()),
                failure_config=tune.FailureConfig(max_failures=TRIAL_RESTARTS),
                callbacks=[Forget()],
                verbose=0,
            ),
        )
        tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)


def _scratch(ledger: StudyLedger) -> Path:
    """An empty folder for Ray's own bookkeeping."""
    if not isinstance(ledger.path, Path):
        return Path(tempfile.mkdtemp(prefix="lejepa-ray-"))
    shutil.rmtree(ledger.path / ".ray", ignore_errors=True)
    return ledger.path / ".ray"
