"""Whether a dataset is streamed, and the index that a streamed one has in place of decoded pixels.

The folder of an index holds `index.npz` (int64 place, label, split of each image) and `meta.json`.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Int64
from rich.console import Console
from rich.progress import track

from lejepa_core.datasets.building import Damaged, built
from lejepa_core.datasets.cache import cached, folder_name
from lejepa_core.datasets.decoding import Undecodable, quiet
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.meta import Scale, arrange, fields_of, moments, scale_of, told, write_meta
from lejepa_core.datasets.source import Glance, LazyItems, Source
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.datasets.streamed import StreamedDataset, read_image
from lejepa_core.datasets.writer import refuse_empty
from lejepa_core.settings import Stream

T = TypeVar("T")

LIMIT: Final = 32 * 2**30
"""Bytes of pixels that are still decoded beforehand."""
SCALE_SAMPLE: Final = 4096
"""Train images whose mean and standard deviation stand for all, where there are more."""

_ESTIMATE_SAMPLE = 64
_BATCH = 4096  # files that wait for a thread, at most


def open_source(source: Source, cache_dir: Path, *, stream: Stream, workers: int) -> ImageDataset:
    """Open a source in the form that suits its size.

    Args:
        source: The dataset.
        cache_dir: Folder of all caches; created if absent.
        stream: Whether to decode on demand; auto does if the pixels would take more than `LIMIT`. Sets whose images
            come all at once are always decoded beforehand.
        workers: Processes that decode a streamed set.

    Returns:
        The dataset. Both forms have the same splits and the same pixels; their fingerprints differ, since that of a
        streamed set is of names, sizes and beginnings of files. Its mean and standard deviation are of a sample if
        there are more than `SCALE_SAMPLE` train images and the source does not know them; and files that are damaged
        behind their header are no part of a decoded set, while a streamed one fails when it meets them.

    Raises:
        DataError: The source is unusable, or the cache cannot be written.
    """
    items = source.lazy() if source.lazy is not None and stream != "never" else None
    if items is None or (stream == "auto" and decoded_size(items) <= LIMIT):
        return cached(source, cache_dir)
    folder = cache_dir / f"{folder_name(source)}-streamed"
    read = partial(_open, items=items, workers=workers)
    return built(folder, read, partial(_write, source=source, items=items))


def decoded_size(items: LazyItems) -> float:
    """Estimate the size of all pixels from evenly spaced images.

    Args:
        items: The images.

    Returns:
        Bytes.
    """
    places = np.linspace(0, len(items.names) - 1, min(len(items.names), _ESTIMATE_SAMPLE)).astype(int)
    found = [_glance(items, place) for place in places.tolist()]
    sizes = [glance.decoded for glance in found if isinstance(glance, Glance)]
    return len(items.names) * float(np.mean(sizes)) if sizes else 0.0


def _open(folder: Path, *, items: LazyItems, workers: int) -> StreamedDataset:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    # Opened here: `np.load` leaves a damaged file open.
    with (folder / "index.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        index = {name: arrays[name] for name in ("place", "label", "split")}
    if meta["files"] != len(items.names) or len({len(array) for array in index.values()}) != 1:
        raise Damaged(f"an index of {meta['files']} files, wanted {len(items.names)}")
    return StreamedDataset(**fields_of(meta, index, folder), items=items, places=index["place"], workers=workers)


def _write(folder: Path, *, source: Source, items: LazyItems) -> None:
    skipped, kept = list(items.left_out), dict[int, Glance]()
    glances = _shown(_glances(items), f"looking at the files of {source.name}", len(items.names))
    for place, found in enumerate(glances):
        if isinstance(found, str):
            skipped.append(found)
        else:
            kept[place] = found
    refuse_empty(source, len(kept), skipped)
    labels = [items.labels[place] for place in kept]
    classes = sorted(set(labels)) if source.labelled else []
    digests = [glance.digest for glance in kept.values()]
    label, split = arrange(source, labels, [items.splits[place] for place in kept], digests, classes)
    places = np.array(list(kept), dtype=np.int64)
    np.savez(folder / "index.npz", allow_pickle=False, place=places, label=label, split=split)
    train = places[split == SPLITS.index("train")]
    scale = (source.mean, source.std) if source.mean and source.std else _scale(source, items, train)
    state = hashlib.sha256(repr(told(source, scale)).encode())
    for place, glance in kept.items():
        line = f"\n{items.names[place]}\0{glance.stored} {glance.digest}"
        state.update(line.encode(errors="surrogateescape"))
    for array in (label, split):
        state.update(array.astype("<i8").tobytes())
    fingerprint = state.hexdigest()[:16]
    write_meta(folder, source, scale, fingerprint=fingerprint, classes=classes, skipped=skipped, files=len(items.names))


def _glances(items: LazyItems) -> Iterator[Glance | str]:
    # Threads wait for disks together; hence more of them than cores.
    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool, quiet():
        for start in range(0, len(items.names), _BATCH):
            places = range(start, min(start + _BATCH, len(items.names)))
            yield from list(pool.map(partial(_glance, items), places))


def _glance(items: LazyItems, place: int) -> Glance | str:
    try:
        return items.glance(place)
    except Undecodable as error:
        return f"{items.names[place]}: {error}"
    except OSError as error:
        return f"{items.names[place]}: {error.strerror}"


def _scale(source: Source, items: LazyItems, train: Int64[np.ndarray, " n"]) -> Scale:
    if len(train) > SCALE_SAMPLE:
        train = np.sort(np.random.default_rng(0).choice(train, SCALE_SAMPLE, replace=False))
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool, quiet():
        found = pool.map(lambda place: moments(read_image(source.name, items, place)), train.tolist())
        return scale_of(list(_shown(found, f"mean and deviation of {source.name}", len(train))))


def _shown(found: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The same, with a bar where a person may be waiting at a terminal."""
    console = Console(stderr=True)
    return track(found, what, total, console=console, transient=True, disable=not console.is_terminal)
