"""Folders that are built once, whole or not at all, whoever asks at the same time and whoever dies meanwhile.

A folder is built beside its place and moved there whole, under a lock, so what has the right name is complete.
"""

import hashlib
import os
import shutil
import socket
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from lejepa_core.errors import DataError

T = TypeVar("T")

_STALE_AFTER = 24 * 3600.0  # seconds; older half-built folders were left by a process that died


class Damaged(Exception):
    """A folder does not hold what it should."""


def built(folder: Path, read: Callable[[Path], T], write: Callable[[Path], None]) -> T:
    """Open a folder; build it first if there is none, or a damaged one.

    Processes that ask at once wait for the one that builds. Where that one is killed, the next builds anew and takes
    away what was left.

    Args:
        folder: The folder; the one that it is in is created if absent.
        read: Opens it. A missing file, contents that make no sense, and `Damaged` mean that it has to be built.
        write: Fills an empty folder.

    Returns:
        What `read` returns.

    Raises:
        DataError: The folder cannot be written, or `write` says so.
    """
    with suppress(Damaged):
        return opened(folder, read)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{folder.name}.lock"):
            return _open_or_build(folder, read, write)
    except OSError as error:
        raise DataError(
            f"cannot write the image cache {folder} ({error.strerror or error}); "
            "make room, or choose another cache folder"
        ) from error


def opened(folder: Path, read: Callable[[Path], T]) -> T:
    """Open a folder that should be there.

    Args:
        folder: The folder.
        read: As in `built`.

    Returns:
        What `read` returns.

    Raises:
        Damaged: It is not there, or damaged.
    """
    try:
        return read(folder)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise Damaged(str(error)) from error


def _open_or_build(folder: Path, read: Callable[[Path], T], write: Callable[[Path], None]) -> T:
    with suppress(Damaged):
        return opened(folder, read)
    with _workspace(folder) as work:
        write(work)
        _replace(folder, work, read)
    try:
        return opened(folder, read)
    except Damaged as error:
        raise DataError(f"the image cache {folder} cannot be read ({error}); load the dataset again") from error


@contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    # Locks fail on some shared file systems, but between processes of one machine they hold: what this machine left
    # under this name has no builder any more.
    here = f"{folder.name}.building-{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]}-"
    for old in folder.parent.glob(f"{folder.name}.building-*"):
        with suppress(FileNotFoundError):
            if old.name.startswith(here) or time.time() - old.stat().st_mtime > _STALE_AFTER:
                shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=here, dir=folder.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _replace(folder: Path, work: Path, read: Callable[[Path], object]) -> None:
    # `os.rename` moves onto nothing or an empty folder only: a finished one of another process stays.
    if folder.exists():
        try:
            opened(folder, read)
        except Damaged:
            os.rename(folder, work / "damaged")
    try:
        os.rename(work, folder)
    except OSError:
        if not folder.exists():
            raise
