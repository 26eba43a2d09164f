"""What happens in the driver when a trial starts and when it ends."""

from pathlib import Path

from lejepa_core.datasets import default_data_root
from lejepa_platform.config import Flat, StudyConfig, TrialConfig
from lejepa_platform.execution import Execution
from lejepa_platform.executors import record_failure
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.progress import Progress
from lejepa_platform.protocols import wanted_of
from lejepa_platform.stored_variants import namer
from lejepa_platform.task import TrialTask
from lejepa_platform.tracking import Tracker

TRIAL_RESTARTS = 3
"""How often Ray starts a trial again whose actor was lost with its node."""


class Watch:
    """What happens in the driver when a trial starts and when it ends."""

    def __init__(
        self, config: StudyConfig, ledger: StudyLedger, execution: Execution, tracker: Tracker, progress: Progress
    ) -> None:
        self._config, self._ledger, self._execution = config, ledger, execution
        self._tracker, self._progress = tracker, progress
        self._wanted = wanted_of(config)
        self._variant_of = namer(config.flat())
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
            cache=str(execution.cache.resolve()) if isinstance(execution.storage, Path) else "",
            # Said even where it is the default: a trial has another working directory.
            data_root=str((execution.data_root or default_data_root()).resolve()),
            labelled=self._config.labelled,
            streams=dict(execution.streams),
            data_workers=execution.data_workers,
            threads=execution.threads,
            gpus=execution.gpus or 0.0,
            micro_batch=execution.micro_batch,
            checkpoint_seconds=execution.checkpoint_seconds,
            variant=self._variant_of(config.flat()),
            scheduler=execution.scheduler,
            scheduler_metric=execution.scheduler_metric,
            # In a grid the window of λ must not depend on a detector of collapse.
            stop_collapsed=self._config.search != "grid",
            protocols=dict(self._wanted.protocols),
            evaluate_on=dict(self._wanted.evaluate_on),
            target_sources={name: execution.sources[name] for name in self._config.evaluate_on},
        )
        self._tasks[config.key] = task
        self._progress.started(config.key, task.config)
        self._tracker.touch(config.key, started=True)
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
