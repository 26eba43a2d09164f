"""The decoded form of a dataset on disk, built once and opened by every trial of a node.

A cache folder holds `pixels.bin` (uint8 rows, columns, RGB of every image, one after another), `index.npz`
(int64 offset, height, width, label, split of each image) and `meta.json`.
"""

import hashlib
import json
import re
from functools import partial
from pathlib import Path

import numpy as np

from lejepa_core.datasets.building import Damaged, built, opened
from lejepa_core.datasets.image_dataset import DecodedDataset
from lejepa_core.datasets.meta import fields_of
from lejepa_core.datasets.source import Source
from lejepa_core.datasets.writer import write_cache
from lejepa_core.errors import DataError

_CHECKSUM_UP_TO = 64 * 2**20  # bytes; a larger file would delay every trial, its size is checked alone
_FORMAT = 1  # of the three files


def cached(source: Source, cache_dir: Path) -> DecodedDataset:
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
    return built(cache_dir / folder_name(source), _open, partial(write_cache, source))


def open_cache(folder: Path) -> DecodedDataset:
    """Open a cache that is known to exist.

    Args:
        folder: As in `ImageDataset.folder`.

    Returns:
        The dataset, memory-mapped.

    Raises:
        DataError: It is gone, or damaged.
    """
    try:
        return opened(folder, _open)
    except Damaged as error:
        raise DataError(f"the image cache {folder} cannot be read ({error}); load the dataset again") from error


def folder_name(source: Source) -> str:
    """Name the cache folder of a source.

    Args:
        source: The dataset.

    Returns:
        A name that changes with all that is stored.
    """
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


def _open(folder: Path) -> DecodedDataset:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    # Opened here: `np.load` leaves a damaged file open.
    with (folder / "index.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        index = {name: arrays[name] for name in ("offset", "height", "width", "label", "split")}
    pixels = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
    if len(pixels) != meta["pixels_bytes"] or len({len(array) for array in index.values()}) != 1:
        raise Damaged(f"{len(pixels)} bytes of pixels, wanted {meta['pixels_bytes']}")
    if len(pixels) <= _CHECKSUM_UP_TO and hashlib.sha256(pixels.data).hexdigest() != meta["pixels_sha256"]:
        raise Damaged("its pixels do not match their checksum")
    return DecodedDataset(
        **fields_of(meta, index, folder),
        heights=index["height"],
        widths=index["width"],
        offsets=index["offset"],
        # A plain view: indexing a memmap object costs more, and would make more of them.
        pixels=np.asarray(pixels),
    )
