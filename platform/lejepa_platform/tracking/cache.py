"""Runs read from a tracker, kept in a Parquet file so that whoever asks next asks for what is new only."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from lejepa_platform.config import Flat
from lejepa_platform.storage import write_bytes

_FORMAT: Final = 1
"""Raised when a document means something else than before."""
_COLUMNS: Final = ("run_id", "mirrored_at", "document")
_SINCE: Final = b"since"


@dataclass(frozen=True, slots=True)
class CachedRun:
    """The run of a trial, as a tracker holds it."""

    run_id: str
    mirrored_at: int
    """When it was last written to, in seconds since 1970; 0 if nobody noted it."""
    document: Flat
    """What its reader made of it; `trial_document` of the module `reader` says what that is there."""


def cache_path(folder: Path, uri: str, experiment_id: str, created: int | None) -> Path:
    """The file of one study of one tracker; the name tells nothing of an address that may hold a password.

    Args:
        folder: Of all such files.
        uri: The tracker.
        experiment_id: Of the study.
        created: When the experiment was made, in milliseconds: a tracker made anew gives the same ids again.
    """
    identity = hashlib.sha256(f"{_FORMAT} {uri} {experiment_id} {created}".encode()).hexdigest()[:16]
    return folder / f"{identity}.parquet"


@dataclass(frozen=True, slots=True)
class Held:
    """What was read before."""

    runs: Mapping[str, CachedRun]
    """By id."""
    since: int = 0
    """Whatever was written before this second is among them; 0 if nothing was read."""


def load_runs(path: Path) -> Held:
    """What the file holds; nothing if it is missing or damaged, since all of it can be read again."""
    try:
        table = parquet.read_table(path)
        columns = [table[name].to_pylist() for name in _COLUMNS]
        runs = {run: CachedRun(run, at, json.loads(text)) for run, at, text in zip(*columns, strict=True)}
        return Held(runs, int((table.schema.metadata or {})[_SINCE]))
    except (OSError, ValueError, KeyError, TypeError):
        return Held({})


def save_runs(path: Path, held: Held) -> None:
    """Replace the file.

    Raises:
        StorageError: If the disk refuses.
    """
    runs = held.runs.values()
    columns = {
        "run_id": pa.array([run.run_id for run in runs], pa.string()),
        "mirrored_at": pa.array([run.mirrored_at for run in runs], pa.int64()),
        "document": pa.array([json.dumps(run.document) for run in runs], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({_SINCE: str(held.since)})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())
