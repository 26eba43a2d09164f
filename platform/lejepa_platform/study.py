"""Drives a study: ledger, Ray, tracker and live table, from the first trial to the last."""

import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import ray
import torch
from ray import tune
from ray._private.utils import get_num_cpus

from lejepa_core.datasets import default_data_root
from lejepa_core.errors import SettingError
from lejepa_core.settings import Stream
from lejepa_platform.budget import Budget
from lejepa_platform.config import METHOD_VERSION, STREAM_HINT, Flat, StudyConfig, TrialConfig, union
from lejepa_platform.errors import ClusterError, StudyError
from lejepa_platform.executors import TRIAL_FUNCTION, Executor, Placement, record_failure
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.progress import Progress
from lejepa_platform.protocols import wanted_of
from lejepa_platform.search import LackingPlanner, Planner, StudySearcher, make_planner
from lejepa_platform.task import TrialTask
from lejepa_platform.tracking import Tracker

LOG = logging.getLogger("lejepa")
TRIAL_RESTARTS = 3
"""How often Ray starts a trial again whose actor was lost with its node."""
LEAST_CLOSING, MOST_CLOSING = 5.0, 60.0
"""Seconds that the tracker may take to write what it lacks, behind the deadline and before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """How and where a study runs; nothing here changes a result."""

    storage: Path
    """Folder of all studies, the data cache and the default tracking store."""
    sources: Mapping[str, str]
    """Data set name, of those to evaluate on as well -> where its images are, as `load_dataset` takes it."""
    tracking_uri: str
    """MLflow tracking store."""
    data_root: Path | None = None
    """Folder of downloaded data sets."""
    streams: Mapping[str, Stream] = field(default_factory=dict)
    """Data set name, of those to evaluate on as well -> "always" if its images are decoded each time they are wanted,
    "never" if they were decoded beforehand. A study keeps to it: the two have different fingerprints."""
    data_workers: int = 2
    """Processes that decode a streamed data set, for each process of a trial."""
    executor: Executor = "auto"
    """inline, ray_train, or auto: inline for one worker per trial."""
    workers: int = 1
    """Processes per trial."""
    threads: int = 1
    """CPU threads per process; the same number again makes a rerun bit for bit."""
    gpus: float = 0.0
    """GPUs per process."""
    max_concurrent: int | None = None
    """Trials at once; None = as many as the cluster holds."""
    address: str | None = None
    """Ray cluster; None = this machine."""
    time_limit: float | None = None
    """Seconds that an inline trial may take."""
    max_seconds: float | None = None
    """Seconds that the study may take; trials that would end later are left for another run."""
    expected_seconds: Mapping[str, float] = field(default_factory=dict)
    """Architecture -> seconds that a trial is thought to take, where that is known; for `max_seconds`."""
    checkpoint_seconds: float = 5.0
    """Least time between a trial's checkpoints."""
    retry_failed: bool = False
    """Run trials again that ended in oom, timeout or error."""
    trial_function: str = TRIAL_FUNCTION
    """module:function that runs a `TrialTask`."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing, and what an executor cannot do."""
        for name in ("workers", "threads", "max_concurrent", "time_limit", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name.replace('_', ' ')} = {value:g} came, more than 0 was wanted")
        if not 0 <= self.gpus < math.inf:
            raise SettingError(f"gpus per worker = {self.gpus:g} came, 0 or more was wanted")
        if self.executor == "inline" and self.workers > 1:
            raise SettingError(f"--executor inline runs one process per trial, not {self.workers}; use ray_train")
        if self.time_limit is not None and "ray_train" in (self.executor, self._automatic):
            raise SettingError("a time limit came with ray_train, which has none; leave out --trial-timeout")

    @property
    def _automatic(self) -> Literal["inline", "ray_train"]:
        return "inline" if self.workers == 1 else "ray_train"

    @property
    def cache(self) -> Path:
        """Folder of decoded data sets, beside the studies so that every node that sees them sees it."""
        return self.storage / ".cache"

    def placement(self, scratch: Path) -> Placement:
        """What one trial takes of the cluster."""
        return Placement(
            executor=self._automatic if self.executor == "auto" else self.executor,
            workers=self.workers,
            threads=self.threads,
            decoders=self.data_workers if "always" in self.streams.values() else 0,
            gpus=self.gpus,
            time_limit=self.time_limit,
            scratch=str(scratch),
            trial_function=self.trial_function,
        )


def open_study(config: StudyConfig, storage: Path, *, extend: bool = False) -> tuple[StudyLedger, StudyConfig]:
    """The ledger of a study, and the study as it will be stored; nothing is written.

    Args:
        config: The study that is wanted.
        storage: Folder of all studies.
        extend: Whether an existing study may grow by more values on its axes.

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
            f"study {config.name!r} exists with other {', '.join(different)}; add to it with --extend, "
            f"or name another with --study{STREAM_HINT if images else ''}"
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
    ledger.path.mkdir(parents=True, exist_ok=True)
    with ledger.driver_lock():
        planned = config.grid() if config.search == "grid" else []
        ledger.save(config, sources=execution.sources, planned=planned, notes=notes or [], streams=execution.streams)
        if execution.retry_failed:
            for trial in ledger.trials():
                trial.forget_failures()
        held = [result for trial in ledger.trials() if (result := trial.result()) is not None]
        budget = Budget(execution.max_seconds, finished=held, expected=execution.expected_seconds)
        planner = make_planner(config, ledger) if train else LackingPlanner(config, ledger)
        tracker = Tracker(ledger, execution.tracking_uri, artifacts=execution.storage / "mlartifacts")
        tracker.open()
        try:
            for trial in ledger.trials():
                tracker.touch(trial.key)
            finished = [result for trial in _complete(config, ledger) if (result := trial.result()) is not None]
            if not planner.exhausted or planner.total > len(finished):
                with Progress(ledger.name, total=planner.total, finished=finished) as progress:
                    _drive(config, ledger, execution, planner, tracker, progress, budget)
                _require_complete(config, ledger, planner, planned if train else [], budget)
        finally:
            missing = tracker.close(seconds=min(MOST_CLOSING, max(LEAST_CLOSING, budget.left)))
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
        LOG.warning("the time is up with %s", left)


def _drive(
    config: StudyConfig,
    ledger: StudyLedger,
    execution: Execution,
    planner: Planner,
    tracker: Tracker,
    progress: Progress,
    budget: Budget,
) -> None:
    scratch = ledger.path / ".ray"
    shutil.rmtree(scratch, ignore_errors=True)
    with _ray(execution.address):
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        placement = with_decoders(execution.placement(scratch / "train"), machines)
        concurrency = concurrent_trials(placement, ray.cluster_resources(), execution.max_concurrent)
        watch = _Watch(config, ledger, execution, tracker, progress)
        searcher = StudySearcher(planner, watch.begin, watch.ended, budget)
        tuner = tune.Tuner(
            placement.trainable(),
            tune_config=tune.TuneConfig(
                search_alg=searcher, num_samples=-1, max_concurrent_trials=concurrency, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch.resolve()),
                failure_config=tune.FailureConfig(max_failures=TRIAL_RESTARTS),
                verbose=0,
            ),
        )
        tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)


class _Watch:
    """What happens in the driver when a trial starts and when it ends."""

    def __init__(
        self, config: StudyConfig, ledger: StudyLedger, execution: Execution, tracker: Tracker, progress: Progress
    ) -> None:
        self._config, self._ledger, self._execution = config, ledger, execution
        self._tracker, self._progress = tracker, progress
        self._wanted = wanted_of(config)
        self._tasks: dict[str, TrialTask] = {}

    def begin(self, config: TrialConfig) -> str:
        """Start an attempt; returns its task."""
        execution = self._execution
        trial = self._ledger.trial(config.key).begin(config)
        task = TrialTask(
            config=config.flat(),
            study=str(self._ledger.path.resolve()),
            attempt=trial.attempt,
            source=execution.sources[config.dataset],
            cache=str(execution.cache.resolve()),
            # Said even where it is the default: a trial has another working directory.
            data_root=str((execution.data_root or default_data_root()).resolve()),
            labelled=self._config.labelled,
            streams=dict(execution.streams),
            data_workers=execution.data_workers,
            threads=execution.threads,
            gpus=execution.gpus,
            checkpoint_seconds=execution.checkpoint_seconds,
            protocols=dict(self._wanted.protocols),
            evaluate_on=dict(self._wanted.evaluate_on),
            target_sources={name: execution.sources[name] for name in self._config.evaluate_on},
        )
        self._tasks[config.key] = task
        self._progress.started(config.key, task.config)
        self._tracker.touch(config.key)
        return task.to_json()

    def ended(self, key: str, lost: bool) -> Flat:
        """Take note of an ending; a trial that Ray lost gets a result that says so."""
        task = self._tasks.pop(key)
        if not task.done:
            times = f"Ray lost the trial's actor {TRIAL_RESTARTS + 1} times"
            record_failure(task, "error", times if lost else "the trial ended without a result", 0.0)
        result = task.ledger.result()
        assert result is not None
        self._progress.ended(result)
        self._tracker.touch(key)
        return result


def concurrent_trials(placement: Placement, cluster: Mapping[str, float], wanted: int | None) -> int:
    """How many trials run at once: Tune does not reserve what Ray Train's workers take, so this is the arithmetic.

    Raises:
        ClusterError: If not even one fits.
    """
    needs = {"CPU": float(placement.workers * placement.cpus), "GPU": placement.workers * placement.gpus}
    for name, need in needs.items():
        have = cluster.get(name, 0.0)
        if need > have:
            raise ClusterError(
                f"a trial of {placement.workers} workers needs {need:g} {name}s, the cluster has {have:g}; "
                "lower --workers-per-trial or --gpus-per-worker"
            )
    if not placement.gpus and cluster.get("GPU"):
        LOG.warning("the cluster has GPUs and no trial uses them; say --gpus-per-worker 1, or a fraction")
    fitting = min(int(cluster.get(name, 0.0) / need + 1e-9) for name, need in needs.items() if need)
    return min(fitting, wanted) if wanted else fitting


def with_decoders(placement: Placement, machines: Sequence[Mapping[str, float]]) -> Placement:
    """Let decoding processes count as CPUs, as far as one trial still fits: a small machine is busy, not refused.

    Args:
        placement: What one trial would like.
        machines: Resources of each.

    Returns:
        What it gets; as many processes decode as before.
    """
    for decoders in range(placement.decoders, 0, -1):
        fewer = replace(placement, decoders=decoders)
        if sum(int(machine.get("CPU", 0.0) // fewer.cpus) for machine in machines) >= placement.workers:
            return fewer
    return replace(placement, decoders=0)


def resources_here() -> dict[str, float]:
    """What Ray would find on this machine: its CPUs, as far as this process may use them, and its GPUs."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf
    cpus = min(get_num_cpus(override_docker_cpu_warning=True), allowed)
    return {"CPU": float(max(1, cpus)), "GPU": float(torch.cuda.device_count())}


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    """A Ray session, on this machine or on a cluster, as quiet as it can be."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    # Tune's own snapshots are never read back.
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")
    # Ray's memory monitor would kill the actor, or its neighbour's, where the kernel kills the trial alone.
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
    # Ray writes its token with the default rights; nobody else may enter its folder.
    home = Path.home() / ".ray"
    home.mkdir(mode=0o700, exist_ok=True)
    home.chmod(0o700)
    options: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:
        raise ClusterError(f"cannot start or reach Ray ({address or 'on this machine'}): {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
