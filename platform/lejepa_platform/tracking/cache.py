"""Trials read from a tracker, kept in a Parquet file so that the next reader asks for what is new only."""

import hashlib
import io
import json
from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True)
class MirroredTrial:
    """A trial as a tracker holds it."""

    run_id: str
    mirrored_at: str
    """When the run was last written to, in a form that sorts as text; empty if nobody noted it."""
    document: Flat
    """The fields of `result.json`; without a result `outcome` is None and `metrics` is empty. Beside them `epochs`,
    how many of them are done, and `transfer`, as `transfer.json` but without its metrics, which are in `metrics`."""


def cache_path(folder: Path, uri: str, experiment_id: str) -> Path:
    """The file of one study of one tracker; the name tells nothing of an address that may hold a password."""
    identity = hashlib.sha256(f"{_FORMAT} {uri} {experiment_id}".encode()).hexdigest()[:16]
    return folder / f"{identity}.parquet"


def load_trials(path: Path) -> dict[str, MirroredTrial]:
    """Run id -> trial; empty if the file is missing or damaged, since all of it can be read again."""
    try:
        table = parquet.read_table(path)
        columns = [table[name].to_pylist() for name in _COLUMNS]
        return {
            run_id: MirroredTrial(run_id, at, json.loads(document))
            for run_id, at, document in zip(*columns, strict=True)
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def save_trials(path: Path, trials: Iterable[MirroredTrial]) -> None:
    """Replace the file.

    Raises:
        StorageError: If the disk refuses.
    """
    rows = [(trial.run_id, trial.mirrored_at, json.dumps(trial.document)) for trial in trials]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    arrays = [pa.array(column, pa.string()) for column in columns]
    buffer = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=list(_COLUMNS)), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())
