"""Trials read from a tracker, kept in a Parquet file so that the next reader asks for what is new only."""

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
class MirroredTrial:
    """A trial as a tracker holds it."""

    run_id: str
    mirrored_at: int
    """When the run was last written to, in seconds since 1970; 0 if nobody noted it."""
    document: Flat
    """The fields of `result.json`; without a result `outcome` is None and `metrics` is empty. Beside them `epochs`,
    how many of them are done, `variant`, its name, and `transfer`, as `transfer.json` but without its metrics, which
    are in `metrics`."""


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

    trials: Mapping[str, MirroredTrial]
    """By run id."""
    since: int = 0
    """Whatever was written before this second is among them; 0 if nothing was read."""


def load_trials(path: Path) -> Held:
    """What the file holds; nothing if it is missing or damaged, since all of it can be read again."""
    try:
        table = parquet.read_table(path)
        columns = [table[name].to_pylist() for name in _COLUMNS]
        trials = {run: MirroredTrial(run, at, json.loads(text)) for run, at, text in zip(*columns, strict=True)}
        return Held(trials, int((table.schema.metadata or {})[_SINCE]))
    except (OSError, ValueError, KeyError, TypeError):
        return Held({})


def save_trials(path: Path, held: Held) -> None:
    """Replace the file.

    Raises:
        StorageError: If the disk refuses.
    """
    trials = held.trials.values()
    columns = {
        "run_id": pa.array([trial.run_id for trial in trials], pa.string()),
        "mirrored_at": pa.array([trial.mirrored_at for trial in trials], pa.int64()),
        "document": pa.array([json.dumps(trial.document) for trial in trials], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({_SINCE: str(held.since)})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())
