"""Small whole objects, each replaced in one step: what a ledger needs of a disk."""

import json
import math
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from lejepa_platform.errors import StorageError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by new contents in one step: a reader sees the old or the new, never a part.

    Raises:
        StorageError: If the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove what `write_bytes` had of new contents, here or in a folder below, when its process was killed."""
    for path in folder.glob("**/.*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a JSON document; non-finite numbers become null, which JSON has no other word for."""
    write_bytes(path, (json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any | None:
    """A JSON document, or None where there is none or it cannot be parsed."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def finite(value: Any) -> Any:
    """The same value with every NaN and infinity replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def require_writable(root: Path) -> None:
    """Make sure that studies can be kept below a folder, leaving nothing behind if not.

    Raises:
        StorageError: If the folder cannot be made or written.
    """
    try:
        existing = root
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        probe = existing / f".writable-{uuid.uuid4().hex[:8]}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot write to the storage {root}: {error.strerror}; choose another with --storage"
        ) from error
