"""The decoded form of a dataset on disk, built once and opened by every trial of a node.

A cache folder holds `pixels.bin` (uint8 rows, columns, RGB of every image, one after another), `index.npz`
(int64 offset, height, width, label, split of each image) and `meta.json`. It is built beside its place and
moved there whole, under a lock, so what has the right name is complete.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock

from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.source import Source
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.datasets.writer import write_cache
from lejepa_core.errors import DataError

_STALE_AFTER = 24 * 3600.0  # seconds; older half-built folders were left by a process that died
_CHECKSUM_UP_TO = 64 * 2**20  # bytes; a larger file would delay every trial, its size is checked alone


_FORMAT = 1  # of the three files


class _Damaged(Exception):
    """A cache folder does not hold what it should."""


def cached(source: Source, cache_dir: Path) -> ImageDataset:
    """Open a source's cache; decode the source first if there is none, or a damaged one.

    Processes that ask at once wait for the one that decodes.

    Args:
        source: The dataset.
        cache_dir: Folder of all caches; created if absent.

    Returns:
        The dataset, memory-mapped.

    Raises:
        DataError: The source is unusable, or the cache cannot be written.
    """
    folder = cache_dir / _folder_name(source)
    with suppress(_Damaged):
        return _open(folder)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{folder.name}.lock"):
            return _open_or_build(source, folder)
    except OSError as error:
        raise DataError(
            f"cannot write the image cache {folder} ({error.strerror or error}); "
            "make room, or choose another cache folder"
        ) from error


def open_cache(folder: Path) -> ImageDataset:
    """Open a cache that is known to exist.

    Args:
        folder: As in `ImageDataset.folder`.

    Returns:
        The dataset, memory-mapped.

    Raises:
        DataError: It is gone, or damaged.
    """
    try:
        return _open(folder)
    except _Damaged as error:
        raise DataError(f"the image cache {folder} cannot be read ({error}); load the dataset again") from error


def _folder_name(source: Source) -> str:
    # What meta.json copies from the source counts as well: a corrected mean must not meet an old cache.
    told = (
        _FORMAT,
        source.mean,
        source.std,
        source.flip,
        source.photographic,
        source.probe_per_class,
        sorted(source.shares.items()),
        source.labelled,
    )
    name = re.sub(r"[^\w.-]+", "-", source.name)
    return f"{name}-{source.key}-{hashlib.sha256(repr(told).encode()).hexdigest()[:8]}"


def _open(folder: Path) -> ImageDataset:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        # Opened here: `np.load` leaves a damaged file open.
        with (folder / "index.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            index = {name: arrays[name] for name in ("offset", "height", "width", "label", "split")}
        pixels = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
        if len(pixels) != meta["pixels_bytes"] or len({len(array) for array in index.values()}) != 1:
            raise _Damaged(f"{len(pixels)} bytes of pixels, wanted {meta['pixels_bytes']}")
        if len(pixels) <= _CHECKSUM_UP_TO and hashlib.sha256(pixels.data).hexdigest() != meta["pixels_sha256"]:
            raise _Damaged("its pixels do not match their checksum")
        return ImageDataset(
            name=meta["name"],
            fingerprint=meta["fingerprint"],
            classes=tuple(meta["classes"]),
            mean=tuple(meta["mean"]),
            std=tuple(meta["std"]),
            flip=meta["flip"],
            photographic=meta["photographic"],
            probe_per_class=meta["probe_per_class"],
            skipped=tuple(meta["skipped"]),
            splits={split: np.flatnonzero(index["split"] == code) for code, split in enumerate(SPLITS)},
            labels=index["label"] if meta["classes"] else None,
            heights=index["height"],
            widths=index["width"],
            offsets=index["offset"],
            # A plain view: indexing a memmap object costs more, and would make more of them.
            pixels=np.asarray(pixels),
            folder=folder,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _Damaged(str(error)) from error


def _open_or_build(source: Source, folder: Path) -> ImageDataset:
    with suppress(_Damaged):
        return _open(folder)
    with _workspace(folder) as work:
        write_cache(source, work)
        _replace(folder, work)
    return open_cache(folder)


@contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    # Under the lock; yet locks fail on some shared file systems, so young folders are left alone.
    for old in folder.parent.glob(f"{folder.name}.building-*"):
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > _STALE_AFTER:
                shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.building-", dir=folder.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _replace(folder: Path, work: Path) -> None:
    # `os.rename` moves onto nothing or an empty folder only: a finished cache of another process stays.
    if folder.exists():
        try:
            _open(folder)
        except _Damaged:
            os.rename(folder, work / "damaged")
    try:
        os.rename(work, folder)
    except OSError:
        if not folder.exists():
            raise
