"""A Ray session: on this machine or on a cluster."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray

from lejepa_platform.errors import ClusterError
from lejepa_platform.lost import ended_with_cluster
from lejepa_platform.stopping import descendants, kill, take_signals

START_ATTEMPTS = 3
"""Ray gives its own processes half a minute to come up on this machine, which a busy one exceeds."""


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
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
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    options: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    _start(address, options)
    take_signals()
    try:
        with ended_with_cluster(address) if address is not None else nullcontext():
            yield
    finally:
        ray.shutdown()


def _start(address: str | None, options: dict[str, Any]) -> None:
    held = descendants()
    for attempt in range(START_ATTEMPTS):
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
            return
        except Exception as error:
            ray.shutdown()
            # A start that failed leaves what it had started.
            kill([process for process in descendants() if process not in held])
            if address is not None or attempt + 1 == START_ATTEMPTS:
                where = address or "on this machine"
                raise ClusterError(f"cannot start or reach Ray ({where}): {error}") from error
