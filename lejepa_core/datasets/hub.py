"""Any dataset of images on the Hugging Face Hub: `hf:ID[@REVISION][:CONFIG]`, with the datasets library (extra "hf").

`lejepa datasets get hf:ID` fetches it to ROOT/hf, as Arrow files; nothing else here uses the network, so that a set
stays what it was when a study began. The library reads data files only: it has refused loading scripts since 4.0.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import PIL

from lejepa_core.datasets.decoding import Undecodable, decode, quiet
from lejepa_core.datasets.folder import SHARE
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.splits import SPLITS
from lejepa_core.errors import DataError

PREFIX: Final = "hf:"
"""What such a name begins with."""

_NAME = re.compile(r"hf:(?P<path>[^@:]+)(@(?P<revision>[^@:]+))?(:(?P<config>[^@:]+))?")
_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev"), "val")


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Which columns of a set count.

    Attributes:
        image: Name of the column of images.
        label: Name of the column of labels, None if it has none.
        classes: Name of each label, () if there are no labels.
    """

    image: str
    label: str | None
    classes: tuple[str, ...]


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
        name=_shown(name),
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
    folder = _folder(name, root)
    if not folder.exists():
        _fetch(name, folder)
    _open(name, root)
    return folder


def _parts(name: str) -> Mapping[str, str | None]:
    matched = _NAME.fullmatch(name)
    if not matched:
        raise DataError(f"dataset {name!r} names nothing on the Hub; wanted hf:ID, hf:ID@REVISION or hf:ID:CONFIG")
    return matched.groupdict()


def _shown(name: str) -> str:
    # A folder's name without the way there: two machines need not agree on that.
    path = str(_parts(name)["path"])
    return name.replace(path, Path(path).resolve().name, 1) if Path(path).is_dir() else name


def _folder(name: str, root: Path) -> Path:
    parts = _parts(name)
    path = str(parts["path"])
    if Path(path).is_dir():
        name = name.replace(path, str(Path(path).resolve()), 1)
    return root / "hf" / re.sub(r"[^\w.@-]+", "--", name.removeprefix(PREFIX)).strip("-")


def _library() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "hf: reads with the datasets library; wanted it installed: pip install 'lejepa-sweeps[hf]'"
        ) from error
    return datasets


def _fetch(name: str, folder: Path) -> None:
    library, parts = _library(), _parts(name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as work:
            builder = library.load_dataset_builder(
                parts["path"], parts["config"], revision=parts["revision"], cache_dir=work
            )
            if builder.info.features:
                _columns(name, library, builder.info.features)
            builder.download_and_prepare()
            builder.as_dataset().save_to_disk(Path(work) / "done")
            (Path(work) / "done").rename(folder)
    except DataError:
        raise
    except Exception as error:  # of the library, of the Hub's client, of its transport, of Arrow
        raise DataError(
            f"{name} was not fetched to {folder} ({_reason(error)}); check its name on huggingface.co/datasets, the "
            "network, and for a gated set that you were let in (hf auth login). Or fetch it elsewhere, and copy that "
            "folder here"
        ) from error


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]}..."


def _open(name: str, root: Path) -> Any:
    library, folder = _library(), _folder(name, root)
    get = f"lejepa datasets get {name} --root {root}"
    if not folder.is_dir():
        raise DataError(f"{name} is not in {root} (no {folder.relative_to(root)}); get it: {get}")
    try:
        return library.DatasetDict.load_from_disk(folder)
    except Exception as error:  # of the library, of JSON, of Arrow
        raise DataError(f"{folder} is damaged ({_reason(error)}); remove it, then: {get}") from error


def _opened(name: str, root: Path, *, labelled: bool) -> tuple[dict[str, Any], Columns, tuple[str, ...]]:
    found = _open(name, root)
    features = next(iter(found.values())).features
    columns = _columns(name, _library(), features)
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


def _columns(name: str, library: ModuleType, features: Mapping[str, Any]) -> Columns:
    images = [column for column, kind in features.items() if isinstance(kind, library.Image)]
    labels = {column: kind for column, kind in features.items() if isinstance(kind, library.ClassLabel)}
    if not images:
        raise DataError(f"{name} has no column of images, only {', '.join(features)}; wanted one")
    image = "image" if "image" in images else images[0]
    if not labels:
        return Columns(image=image, label=None, classes=())
    # Of fine and coarse labels the fine ones.
    label = "label" if "label" in labels else max(labels, key=lambda column: len(labels[column].names))
    return Columns(image=image, label=label, classes=tuple(labels[label].names))


def _has_labels(part: Any, column: str) -> bool:
    # The Hub's way to say of a test image that its label is a secret is -1.
    return bool(np.any(part.data.column(column).to_numpy() >= 0))


def _items(
    parts: Mapping[str, Any], columns: Columns, left_out: tuple[str, ...], image_size: int
) -> Iterator[Item | str]:
    yield from left_out
    library = _library()
    for split, part in parts.items():
        encoded = part.cast_column(columns.image, library.Image(decode=False))
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
