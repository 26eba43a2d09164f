"""Two ways to run the one trial function on Ray: `inline` and `ray_train`.

`inline`: a reused Tune actor for trials of one process. The actor owns one child process, reused while outcomes
are ok or stopped, killed on time-out and replaced after any other outcome: an actor cannot be retired, and an
out-of-memory, a leak or a CUDA error would poison the trials behind it.

`ray_train`: a Ray Train worker group per trial, inside a Tune function; for trials of several workers.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from ray import tune
from ray.tune import Trainable

from lejepa_platform.child import describe_error, is_lost_peer, trial_function
from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import PlatformError, SupersededError
from lejepa_platform.ledger import Outcome, TrialResult
from lejepa_platform.storage import read_bytes
from lejepa_platform.task import TrialTask

Executor = Literal["auto", "inline", "ray_train"]
TRIAL_FUNCTION = "lejepa_platform.run:run_task"
TRIALS_PER_CHILD = 100
SECONDS_PER_CHILD = 300.0
"""A child is replaced once it has run so many trials for so long, leak or no leak: its start takes seconds."""
WORKER_RESTARTS = 3
"""How often a Ray Train worker group is started again before its trial counts as failed."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What one trial takes of the cluster."""

    executor: Literal["inline", "ray_train"]
    workers: int = 1
    """Processes per trial."""
    threads: int = 1
    """CPU threads per process."""
    decoders: int = 0
    """Processes beside each that decode its images, and count as a CPU each."""
    gpus: float = 0.0
    """GPUs per process; a fraction for several trials on one."""
    time_limit: float | None = None
    """Seconds that an inline trial may take."""
    scratch: str = ""
    """Folder for Ray Train's own bookkeeping."""
    trial_function: str = TRIAL_FUNCTION
    """module:function that runs a `TrialTask`."""

    @property
    def cpus(self) -> int:
        """CPUs of one process and of those that decode for it."""
        return self.threads + self.decoders

    def trainable(self) -> Any:
        """What to hand to `ray.tune.Tuner`; its config is {"task": JSON of a TrialTask}."""
        if self.executor == "inline":
            actor = tune.with_parameters(InlineTrainable, placement=self)
            return tune.with_resources(actor, {"CPU": self.cpus, "GPU": self.gpus})
        # The trial actor only waits for its workers, which have a placement group of their own: a share of a CPU here
        # would be missing there. Ray refuses an empty request, hence a byte.
        waiting = tune.PlacementGroupFactory([{"memory": 1}])
        return tune.with_resources(tune.with_parameters(_run_ray_train, placement=self), waiting)


class InlineTrainable(Trainable):  # type: ignore[misc,unused-ignore]
    """A Tune actor that runs whole trials, one per step, in a child process."""

    def setup(self, config: dict[str, Any], placement: Placement) -> None:
        """Start the child, so that its imports overlap with the driver's work."""
        self._placement = placement
        self._child = Child(placement)

    def step(self) -> dict[str, Any]:
        """Run the trial of the current config to its end."""
        task = TrialTask.from_json(self.config["task"])
        outcome = self._child.run(task)
        return {"done": True, "key": task.ledger.key, "outcome": outcome}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Accept the next trial."""
        self.config = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: checkpoints are the ledger's."""
        return {}

    def cleanup(self) -> None:
        """End the child with the actor."""
        self._child.stop()


class Child:
    """One process that runs trials; started again whenever it should not be trusted any more."""

    def __init__(self, placement: Placement) -> None:
        """Start the process; it imports while nobody waits."""
        self._placement = placement
        self._start()

    def run(self, task: TrialTask) -> Outcome:
        """Run a trial, and make sure that it has a result whatever becomes of the process.

        A trial whose process is killed goes on in the next, once. A process that dies of a measurement of the trial's
        encoder costs that one; the next does the rest.
        """
        ended, lacking = self._run_once(task), None
        while task.ledger.finished() and not task.done and lacking != (lacking := task.ledger.lacks(task.wanted)):
            self._run_once(task)
        return ended

    def _run_once(self, task: TrialTask) -> Outcome:
        worn = self._trials >= TRIALS_PER_CHILD and time.monotonic() - self._started >= SECONDS_PER_CHILD
        if worn or self._process.poll() is not None:
            self._replace()
        self._trials += 1
        start = time.monotonic()
        outcome, reason = self._ask(task)
        if self._process.poll() == -signal.SIGKILL:
            # By the kernel for want of memory, which others may have let go of since, or by a person.
            self._replace()
            outcome, reason = self._ask(task)
        _keep_log(task)
        result = task.ledger.result()
        if outcome == "done" and result is not None:
            ended: Outcome = result["outcome"]
        elif outcome == "done":
            ended = record_failure(task, "error", "the trial ended without a result", time.monotonic() - start)
        else:
            ended = record_failure(task, outcome, reason, time.monotonic() - start, all_of_it=False)
        if ended not in ("ok", "stopped") or outcome != "done":
            self._replace()
        return ended

    def _replace(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        """Kill the process; everything that matters is in the ledger."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        variables = dict.fromkeys(_THREAD_VARIABLES, str(self._placement.threads))
        # Where a cluster was sent the code, only Ray knows; and Tune has another working directory.
        paths = [*sys.path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(os.path.abspath(path) for path in paths if path))
        command = [
            sys.executable,
            "-m",
            "lejepa_platform.child",
            str(theirs.fileno()),
            self._placement.trial_function,
        ]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env={**os.environ, **variables})
        self._connection = Connection(ours.detach())
        self._trials, self._started = 0, time.monotonic()

    def _ask(self, task: TrialTask) -> tuple[Any, str]:
        limit = self._placement.time_limit
        try:
            self._connection.send_bytes(task.to_json().encode())
            if not self._connection.poll(limit):
                return "timeout", f"no result within the time limit of {limit:g} s"
            answer = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            return _describe_exit(self._process.wait())
        return answer["outcome"], answer["reason"]


def _keep_log(task: TrialTask) -> None:
    """Put what a trial printed beside its results, where these are in a store; that it cannot be done harms nothing."""
    path = task.ledger.path / "log.txt"
    if path == task.log:
        return
    with suppress(OSError, PlatformError):
        task.ledger.write("log.txt", (read_bytes(path) or b"") + task.log.read_bytes())
        task.log.unlink()


def _describe_exit(code: int) -> tuple[Outcome, str]:
    if code == -signal.SIGKILL:
        return "oom", "the trial's process was killed (SIGKILL) twice, as the kernel does when memory runs out"
    if code < 0:
        return (
            "error",
            f"the trial's process died of {signal.Signals(-code).name}; see log.txt in the trial's folder",
        )
    return "error", f"the trial's process exited with code {code}; see log.txt in the trial's folder"


def record_failure(
    task: TrialTask, outcome: Outcome, reason: str, seconds: float, *, all_of_it: bool = True
) -> Outcome:
    """Give a trial that ended without a result one that says why; returns the outcome that the ledger holds.

    A trial that ended with its result keeps it, and the measurements that it lacks get the outcome: all of them, or the
    one that was under way.
    """
    ledger = task.ledger
    config = TrialConfig.from_flat(task.config)
    failure = TrialResult(
        key=config.key, outcome=outcome, reason=reason, config=config.flat(), metrics={}, seconds=seconds
    )
    try:
        ledger.write_result(failure)
        ledger.give_up(task.wanted, outcome, reason, all_of_it=all_of_it)
    except SupersededError:
        return outcome
    result = ledger.result()
    assert result is not None
    held: Outcome = result["outcome"]
    return held


def _run_ray_train(config: dict[str, Any], placement: Placement) -> None:
    """Run one trial on its own worker group; the Tune side of `ray_train`."""
    # Here and below, not at the top: an inline actor would import torch for seconds only to start a child.
    from ray import train
    from ray.train.torch import TorchTrainer

    from lejepa_platform.process_group import ProcessGroup

    task = TrialTask.from_json(config["task"])
    start = time.monotonic()
    scratch = Path(placement.scratch) / f"{task.ledger.key}-{task.attempt}"
    resources = {"CPU": placement.cpus, **({"GPU": placement.gpus} if placement.gpus else {})}
    trainer = TorchTrainer(
        _ray_train_worker,
        train_loop_config={**config, "trial_function": placement.trial_function},
        torch_config=ProcessGroup(),
        scaling_config=train.ScalingConfig(
            num_workers=placement.workers, use_gpu=placement.gpus > 0, resources_per_worker=resources
        ),
        run_config=train.RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            failure_config=train.FailureConfig(max_failures=WORKER_RESTARTS),
        ),
    )
    reason = "the worker group ended without a result"
    try:
        trainer.fit()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    shutil.rmtree(scratch, ignore_errors=True)
    if not task.done:
        record_failure(task, "error", reason, time.monotonic() - start)
    result = task.ledger.result()
    tune.report({"key": task.ledger.key, "outcome": result["outcome"] if result else "error"})


def _ray_train_worker(config: dict[str, Any]) -> None:
    task = TrialTask.from_json(config["task"])
    if task.done:
        return
    start = time.monotonic()
    try:
        trial_function(config["trial_function"])(task)
    except Exception as error:
        # Recorded here, so that the group that Ray starts again finds the trial ended; only lost workers retry.
        if not is_lost_peer(error):
            outcome, reason = describe_error(error)
            record_failure(task, outcome, reason, time.monotonic() - start)
        raise
