"""Any dataset of images on the Hugging Face Hub: `hf:ID[@REVISION][:CONFIG]`, with the datasets library (extra "hf").

`lejepa datasets get hf:ID` fetches it to ROOT/hf, as Arrow files; nothing else here uses the network, so that a set
stays what it was when a study began. The library reads data files only: it has refused loading scripts since 4.0.
"""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from lejepa_core.datasets.folder import SHARE
from lejepa_core.datasets.hub_files import Columns, columns_of, fetch, open_fetched, place, shown_name
from lejepa_core.datasets.hub_rows import Rows, items, lazy_items
from lejepa_core.datasets.source import Source
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
    rows = Rows(parts=parts, columns=columns, image_size=image_size)
    shares = {split: SHARE for split in SPLITS[1:] if split not in parts}
    prints = sorted((split, part._fingerprint, len(part)) for split, part in parts.items())
    state = hashlib.sha256(repr((1, PIL.__version__, columns, prints, left_out)).encode())
    return Source(
        name=shown_name(name),
        key=f"{2 * image_size}px-{state.hexdigest()[:16]}",
        flip=True,
        items=partial(items, rows, left_out),
        shares=shares,
        labelled=labelled,
        # As for files: where nothing is carved, names are enough.
        lazy=partial(lazy_items, rows, left_out, by_name=not shares),
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
