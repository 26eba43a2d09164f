"""How and where a study runs: everything that changes no result."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from lejepa_core.errors import SettingError
from lejepa_core.settings import Stream
from lejepa_platform.budget import Budget, seconds_taken
from lejepa_platform.executors import TRIAL_FUNCTION, Executor, Placement
from lejepa_platform.ledger import TrialLedger
from lejepa_platform.rungs import Scheduler, SchedulerMetric, rung_epochs
from lejepa_platform.storage import Location, cache_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """How and where a study runs; nothing here changes a result."""

    storage: Location
    """Of all studies; if that is a folder, of the data cache and the default tracking store too."""
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
    gpus: float | None = None
    """GPUs per process; None = one if there are any where trials run, see `on`."""
    micro_batch: int | None = None
    """Images that the backbone of a process sees at a time; None = its whole share of the batch. See `pretrain`."""
    max_concurrent: int | None = None
    """Trials at once; None = as many as the cluster holds."""
    address: str | None = None
    """Ray cluster: auto or HOST:PORT of its head; None = this machine."""
    time_limit: float | None = None
    """Seconds that an inline trial may take."""
    max_seconds: float | None = None
    """Seconds that the study may take; trials that would end later are left for another run."""
    max_gpu_seconds: float | None = None
    """GPU-seconds that the study may take, those that its finished trials took included."""
    scheduler: Scheduler = "none"
    """Stops trials that fall behind others of their cell and variant, or none. Without one, those that it stopped go
    on."""
    scheduler_metric: SchedulerMetric = "label_free"
    """What it compares them by: view retrieval on held-out images, or the probe that learns along."""
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
        names = ("workers", "threads", "micro_batch", "max_concurrent", "time_limit", "max_seconds", "max_gpu_seconds")
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name.replace('_', ' ')} = {value:g} came, more than 0 was wanted")
        if self.address is not None and self.address.startswith("ray://"):
            raise SettingError(
                f"--address {self.address} came: through Ray's client Tune would run away from the study's folder; say "
                "`lejepa submit --address http://HOST:8265 -- python sweeps/lambda_stability.py ...`, or, on a machine "
                "of the cluster, --address auto"
            )
        if self.gpus is not None and not 0 <= self.gpus < math.inf:
            raise SettingError(f"gpus per worker = {self.gpus:g} came, 0 or more was wanted")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise SettingError(f"gpus per worker = {self.gpus:g} came, a share of one or whole ones were wanted")
        if self.executor == "inline" and self.workers > 1:
            raise SettingError(f"--executor inline runs one process per trial, not {self.workers}; use ray_train")
        if self.time_limit is not None and "ray_train" in (self.executor, self._automatic):
            raise SettingError("a time limit came with ray_train, which has none; leave out --trial-timeout")
        if self.max_gpu_seconds is not None and self.gpus is None and self.address is not None:
            raise SettingError(
                "--max-gpu-hours came for a cluster; say --gpus-per-worker too, what a trial takes of it"
            )
        if self.max_gpu_seconds is not None and self.gpus == 0:
            raise SettingError("--max-gpu-hours came, and trials use no GPU; use --max-hours, or --gpus-per-worker")

    @property
    def _automatic(self) -> Literal["inline", "ray_train"]:
        return "inline" if self.workers == 1 else "ray_train"

    @property
    def cache(self) -> Path:
        """Folder of decoded data sets, beside the studies so that every node that sees them sees it, or on the node."""
        return cache_of(self.storage)

    def on(self, machines: Sequence[Mapping[str, float]]) -> Self:
        """The same where the number of GPUs is known: one for each process if any machine has one.

        Args:
            machines: What each has: "GPU", and what else there is.
        """
        if self.gpus is not None:
            return self
        return replace(self, gpus=float(any(machine.get("GPU") for machine in machines)))

    def budget(self, trials: Sequence[TrialLedger]) -> Budget:
        """What the study may take from now on.

        Args:
            trials: Those of earlier runs. They count as if they had had as many GPUs as trials have now.
        """
        gpus = self.workers * (self.gpus or 0.0)
        used = 0.0 if self.max_gpu_seconds is None else gpus * sum(map(seconds_taken, trials))
        return Budget(
            self.max_seconds,
            finished=[result for trial in trials if (result := trial.result()) is not None],
            expected=self.expected_seconds,
            gpu_seconds=self.max_gpu_seconds,
            gpu_seconds_used=used,
            gpus=gpus,
        )

    def placement(self, scratch: Path) -> Placement:
        """What one trial takes of the cluster."""
        return Placement(
            executor=self._automatic if self.executor == "auto" else self.executor,
            workers=self.workers,
            threads=self.threads,
            decoders=self.data_workers if "always" in self.streams.values() else 0,
            gpus=self.gpus or 0.0,
            time_limit=self.time_limit,
            scratch=str(scratch),
            trial_function=self.trial_function,
        )


def check_scheduler(execution: Execution, *, epochs: int, labelled: bool) -> None:
    """Refuse a scheduler that could compare nothing.

    Args:
        execution: That names it.
        epochs: Of each trial.
        labelled: Whether the images have classes.

    Raises:
        SettingError: If trials have no epoch to be stopped after, or no probe learns along.
    """
    if execution.scheduler == "none":
        return
    if not rung_epochs(epochs):
        raise SettingError(f"--scheduler {execution.scheduler} came with {epochs} epoch, at least 2 were wanted")
    if execution.scheduler_metric == "online_probe" and not labelled:
        raise SettingError("--scheduler-metric online_probe needs classes, and --unlabelled has none; use label_free")
