"""Trial functions that go wrong in real ways; the seed of the trial says how. Run by an executor's processes."""

import os
import resource
import signal
import time
from pathlib import Path

from lejepa_core.distributed import rank
from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import ProtocolResult, TrialResult
from lejepa_platform.task import TrialTask

OK, KILLED, EXITED, HUNG, RAISED, ALLOCATED, SEGFAULT, KILLED_ONCE = range(8)


def by_seed(task: TrialTask) -> None:
    """Succeed at seed 0, otherwise fail as the constants above say."""
    config = TrialConfig.from_flat(task.config)
    if config.seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when memory runs out
    if config.seed == KILLED_ONCE and not (task.ledger.path / "killed").exists():
        (task.ledger.path / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed == EXITED:
        os._exit(3)
    if config.seed == HUNG:
        time.sleep(3600)
    if config.seed == RAISED:
        raise ValueError("a bug\nwith a second line")
    if config.seed == ALLOCATED:
        limit_then_allocate()
    if config.seed == SEGFAULT:
        os.kill(os.getpid(), signal.SIGSEGV)
    finish(task, config)


def after_training(task: TrialTask) -> None:
    """End a trial well, then fail as the constants say while its encoder is evaluated on other data sets."""
    config = TrialConfig.from_flat(task.config)
    if not task.ledger.finished():
        finish(task, config)
    by_seed(task)


def in_first_protocol(task: TrialTask) -> None:
    """End a trial well, then fail as the constants say in the first of its protocols, and do the others."""
    config = TrialConfig.from_flat(task.config)
    if not task.ledger.finished():
        finish(task, config)
    lacking = task.ledger.lacks(task.wanted).protocols
    if "first" in lacking:
        by_seed(task)
    for name, version in lacking.items():
        task.ledger.write_measured(name, ProtocolResult(version=version))


def together(task: TrialTask) -> None:
    """Wait until as many trials run as the study's file `together` says, and tell how many were seen at once."""
    if rank() != 0:
        return
    study = Path(task.study)
    wanted, running = int((study / "together").read_text()), study / "running"
    running.mkdir(exist_ok=True)
    mine = running / task.ledger.key
    mine.touch()
    seen, deadline = 0, time.monotonic() + 240
    while seen < wanted and time.monotonic() < deadline:
        seen = max(seen, len(os.listdir(running)))
        time.sleep(0.05)
    # The others look too; and one too many would show.
    time.sleep(2)
    seen = max(seen, len(os.listdir(running)))
    mine.unlink()
    finish(task, TrialConfig.from_flat(task.config), together=seen)


def finish(task: TrialTask, config: TrialConfig, **metrics: float) -> None:
    """Write a result that is ok."""
    result = TrialResult(
        key=config.key,
        outcome="ok",
        config=config.flat(),
        seconds=0.1,
        metrics={"val/linear_top1": 0.5, "pid": os.getpid(), **metrics},
    )
    task.ledger.write_result(result)


def limit_then_allocate() -> None:
    """Ask for more memory than this process may have."""
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, resource.RLIM_INFINITY))
    try:
        bytearray(1_000_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
