"""Who drives a study: a file that the system lets go of with its holder, or in a store an object that is kept up."""

import json
import logging
import os
import signal
import socket
import threading
import time
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Self

import psutil
from filelock import FileLock, Timeout
from upath import UPath

from lejepa_platform import objects
from lejepa_platform.errors import StorageError, StudyError
from lejepa_platform.storage import Location, parse_json

LOG = logging.getLogger("lejepa")
BEAT_SECONDS: Final = 10.0
"""How often the holder of a lock says that it lives."""
LEASE_SECONDS: Final = 60.0
"""After so long without a word from its holder, a lock is free."""


def driver_lock(path: Location, study: str) -> AbstractContextManager[object]:
    """Take the lock of a study.

    Args:
        path: Of the lock.
        study: The study's name.

    Raises:
        StudyError: If another process holds it.
        StorageError: If a store cannot be used.
    """
    if not isinstance(path, Path):
        return StoreLock(path, study)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StudyError(f"another process is running study {study!r}; wait for it or stop it") from error
    return lock


class StoreLock:
    """An object that says who drives a study, written on conditions, so that of two writers one is refused.

    A process that loses its lock all the same, as one that slept for longer than the lease, is interrupted.
    """

    def __init__(self, path: UPath, study: str) -> None:
        """Take the lock.

        Raises:
            StudyError: If another process holds it.
            StorageError: If the store cannot be used.
        """
        self._path, self._study = path, study
        self._owner = uuid.uuid4().hex
        self._tag = self._take()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="lejepa-driver-lock")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go, so that the next process need not wait."""
        self._released.set()
        self._thread.join()
        try:
            if self._held():
                objects.delete(self._path)
        except StorageError as error:
            LOG.warning("the study's lock is free in %g s: %s", LEASE_SECONDS, error)

    def _take(self) -> str:
        found = objects.look(self._path)
        if found is not None:
            self._require_dead(age=found[1])
        try:
            return self._write(found[0] if found else None)
        except objects.ChangedError:
            # Ours, if an answer was lost.
            if (tag := self._held()) is not None:
                return tag
            raise self._refusal(age=0.0) from None

    def _require_dead(self, age: float) -> None:
        holder = self._holder()
        here = holder.get("host") == socket.gethostname()
        if age < LEASE_SECONDS and not (here and not psutil.pid_exists(int(holder.get("pid", 0)))):
            raise self._refusal(age)

    def _refusal(self, age: float) -> StudyError:
        holder = self._holder()
        return StudyError(
            f"another process is running study {self._study!r} (process {holder.get('pid')} of {holder.get('host')}, "
            f"last heard of {age:.0f} s ago); wait for it or stop it: {LEASE_SECONDS:.0f} s after its last word the "
            "study is free"
        )

    def _holder(self) -> dict[str, str]:
        holder = parse_json(objects.get(self._path))
        return holder if isinstance(holder, dict) else {}

    def _held(self) -> str | None:
        """The lock's tag, None if another process has it."""
        found = objects.look(self._path)
        return found[0] if found and self._holder().get("owner") == self._owner else None

    def _write(self, tag: str | None) -> str:
        word = {"owner": self._owner, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        return objects.put_if(self._path, json.dumps(word).encode(), tag)

    def _keep(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            try:
                self._tag = self._write(self._tag)
            except StorageError as error:
                LOG.warning("%s", error)
            except objects.ChangedError:
                if not self._still_ours():
                    LOG.error("another process has taken over study %r", self._study)
                    # As Ctrl-C would: a tidy stop.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    return

    def _still_ours(self) -> bool:
        """Whether the lock is ours all the same, as when an answer was lost; a store that is away does not say no."""
        try:
            tag = self._held()
        except StorageError:
            return True
        self._tag = tag or self._tag
        return tag is not None
