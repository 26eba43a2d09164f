"""Any dataset of images on the Hugging Face Hub: `hf:ID[@REVISION][:CONFIG]`, with the datasets library (extra "hf").

`lejepa datasets get hf:ID` fetches it to ROOT/hf, as Arrow files; nothing else here uses the network, so that a set
stays what it was when a study began. The library reads data files only: it has refused loading scripts since 4.0.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from lejepa_core.datasets.decoding import Undecodable, decode, quiet
from lejepa_core.datasets.folder import SHARE
from lejepa_core.datasets.hub_files import Columns, columns_of, fetch, library, open_fetched, place, shown_name
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.errors import DataError

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev"), "val")


def hub_source(name: str, root: Path, *, image_size: int, labelled: bool) -> Source:
    """Describe a set that was fetched.

    Args:
        name: "hf:ID", "hf:ID@REVISION", "hf:ID:CONFIG" or "hf:ID@REVISION:CONFIG".
        root: The data root.
        image_size: Largest size that views will have; images are kept at up to twice that on the short side,
            8 times on the long one, and never enlarged.
        labelled: Whether to use labels.

    Returns:
        The source. Splits called validation, valid, val or dev are val; what is missing of val and test is carved
        out of train.

    Raises:
        DataError: As `check_hub`.
    """
    parts, columns, left_out = _opened(name, root, labelled=labelled)
    prints = sorted((split, part._fingerprint, len(part)) for split, part in parts.items())
    state = hashlib.sha256(repr((1, PIL.__version__, columns, prints, left_out)).encode())
    return Source(
        name=shown_name(name),
        key=f"{2 * image_size}px-{state.hexdigest()[:16]}",
        flip=True,
        items=partial(_items, parts, columns, left_out, image_size),
        shares={split: SHARE for split in SPLITS[1:] if split not in parts},
        labelled=labelled,
    )


def check_hub(name: str, root: Path, *, labelled: bool) -> None:
    """Refuse a set that is not there, or without the columns and splits that are needed.

    Args:
        name: As in `hub_source`.
        root: The data root.
        labelled: As in `hub_source`.

    Raises:
        DataError: The name is malformed, the library is not installed, the set was not fetched or is damaged, it
            has no column of images, no labels, no split called train.
    """
    _opened(name, root, labelled=labelled)


def download_hub(name: str, root: Path) -> Path:
    """Fetch a set, unless it is there already.

    Args:
        name: As in `hub_source`; ID may also be a folder laid out as on the Hub.
        root: The data root.

    Returns:
        The folder that it is in.

    Raises:
        DataError: The name is malformed, the library is not installed, the set is unknown, gated, out of reach or
            without images, or there is no room.
    """
    folder = place(name, root)
    if not folder.exists():
        fetch(name, folder)
    open_fetched(name, root)
    return folder


def _opened(name: str, root: Path, *, labelled: bool) -> tuple[dict[str, Any], Columns, tuple[str, ...]]:
    found = open_fetched(name, root)
    features = next(iter(found.values())).features
    columns = columns_of(name, features)
    if not labelled:
        columns = replace(columns, label=None, classes=())
    elif columns.label is None:
        raise DataError(
            f"{name} has no column of class labels, only {', '.join(features)}; wanted one. "
            "Without labels: --unlabelled"
        )
    parts: dict[str, Any] = {}
    left_out = []
    for split, part in found.items():
        if _SPLITS.get(split, "") in ("", *parts):
            left_out.append(f"{split}: not taken for train, val or test")
        elif columns.label and not _has_labels(part, columns.label):
            left_out.append(f"{split}: its labels were not published")
        else:
            parts[_SPLITS[split]] = part
    if "train" not in parts:
        raise DataError(f"{name} has the splits {', '.join(found)}; wanted one called train, with labels")
    return parts, columns, tuple(left_out)


def _has_labels(part: Any, column: str) -> bool:
    # The Hub's way to say of a test image that its label is a secret is -1.
    return bool(np.any(part.data.column(column).to_numpy() >= 0))


def _items(
    parts: Mapping[str, Any], columns: Columns, left_out: tuple[str, ...], image_size: int
) -> Iterator[Item | str]:
    yield from left_out
    image = library().Image(decode=False)
    for split, part in parts.items():
        encoded = part.cast_column(columns.image, image)
        for row, values in enumerate(encoded):
            yield _item(values, columns, split, f"{split} {row}", image_size)


def _item(values: Mapping[str, Any], columns: Columns, split: str, place: str, image_size: int) -> Item | str:
    label = -1 if columns.label is None else values[columns.label]
    if columns.label is not None and (label is None or label < 0):
        return f"{place}: no label"
    data = (values[columns.image] or {}).get("bytes") or b""
    try:
        with quiet():
            pixels = decode(data, short_side=2 * image_size, long_side=8 * image_size)
    except Undecodable as error:
        return f"{place}: {error}"
    name = columns.classes[label] if columns.label else ""
    return Item(pixels=pixels, label=name, split=split, digest=hashlib.sha256(data).hexdigest())
