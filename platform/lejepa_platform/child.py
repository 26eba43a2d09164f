"""The process that trials of the inline executor run in: `python -m lejepa_platform.child FD MODULE:FUNCTION`.

It reads one task at a time from a socket, runs the function on it in this process, and answers with how that went.
A trial that takes this process down takes nothing else with it.
"""

import faulthandler
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lejepa_platform.ledger import Outcome
from lejepa_platform.task import TrialTask


def main() -> None:
    """Serve tasks until the parent closes the socket or dies."""
    connection = Connection(int(sys.argv[1]))
    _die_with_parent()
    run = trial_function(sys.argv[2])
    while True:
        try:
            task = TrialTask.from_json(connection.recv_bytes())
        except EOFError:
            return
        _log_to(task.log)
        connection.send_bytes(json.dumps(_attempt(run, task)).encode())


def trial_function(name: str) -> Callable[[TrialTask], Any]:
    """What a name as MODULE:FUNCTION stands for."""
    module, _, function = name.partition(":")
    run: Callable[[TrialTask], Any] = getattr(importlib.import_module(module), function)
    return run


def _attempt(run: Callable[[TrialTask], Any], task: TrialTask) -> dict[str, str]:
    try:
        run(task)
    except BaseException as error:
        traceback.print_exc()
        outcome, reason = describe_error(error)
        return {"outcome": outcome, "reason": reason}
    return {"outcome": "done", "reason": ""}


def describe_error(error: BaseException) -> tuple[Outcome, str]:
    """The outcome that an exception stands for, and its first line."""
    line = str(error).strip().splitlines() or [""]
    return "oom" if is_out_of_memory(error) else "error", f"{type(error).__name__}: {line[0]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the host or on a GPU."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
        or "cannot allocate memory" in text
    )


def is_lost_peer(error: BaseException) -> bool:
    """Whether an exception says that another process of the trial is gone: nothing that this one has done.

    Gloo raises plain RuntimeErrors, which name the place in its source.
    """
    return any(kind.__name__ == "DistError" for kind in type(error).__mro__) or "gloo/transport" in str(error)


def _die_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def _log_to(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable()


if __name__ == "__main__":
    main()
