"""Sets of the Hugging Face Hub on disk: their names, fetching them once, and what is in them."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from filelock import FileLock

from lejepa_core.errors import DataError

PREFIX: Final = "hf:"
"""What the name of such a set begins with."""

_NAME = re.compile(r"hf:(?P<path>[^@:]+)(@(?P<revision>[^@:]+))?(:(?P<config>[^@:]+))?")
_LONGEST_REASON = 300  # characters of somebody else's message


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


def library() -> ModuleType:
    """Import the datasets library, which takes seconds and may be absent.

    Returns:
        The module.

    Raises:
        DataError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "hf: reads with the datasets library; wanted it installed: pip install 'lejepa-sweeps[hf]'"
        ) from error
    return datasets


def shown_name(name: str) -> str:
    """Name a set for people.

    Args:
        name: "hf:" and what follows.

    Returns:
        The same, but a folder without the way there, on which two machines need not agree.

    Raises:
        DataError: The name is malformed.
    """
    path = _parts(name)["path"] or ""
    return name.replace(path, Path(path).resolve().name, 1) if Path(path).is_dir() else name


def absolute_name(name: str) -> str:
    """Name a set so that it means the same in every working directory.

    Args:
        name: "hf:" and what follows.

    Returns:
        The same, with the whole path if it is of a folder.

    Raises:
        DataError: The name is malformed.
    """
    path = _parts(name)["path"] or ""
    return name.replace(path, str(Path(path).resolve()), 1) if Path(path).is_dir() else name


def place(name: str, root: Path) -> Path:
    """Say where a set is, once it was fetched.

    Args:
        name: "hf:" and what follows.
        root: The data root.

    Returns:
        A folder below ROOT/hf.

    Raises:
        DataError: The name is malformed.
    """
    folder = re.sub(r"[^\w.@-]+", "--", absolute_name(name).removeprefix(PREFIX)).strip("-.")
    if not folder:
        raise _malformed(name)
    return root / "hf" / folder


def fetch(name: str, folder: Path) -> None:
    """Fetch a set, through the library's own cache of downloads; what has the right name is complete.

    Args:
        name: "hf:" and what follows.
        folder: What it becomes; nothing happens if it is there.

    Raises:
        DataError: The set is unknown, gated, out of reach or without images, or there is no room.
    """
    work = folder.parent / f".{folder.name}.fetching"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if not folder.exists():
                _build(name, work)
                (work / "done").rename(folder)
                shutil.rmtree(work)
    except DataError:
        raise
    except Exception as error:  # of the library, of the Hub's client, of its transport, of Arrow
        raise DataError(
            f"{name} was not fetched to {folder} ({_reason(error)}); check its name on huggingface.co/datasets, the "
            "network, and for a gated set that you were let in (hf auth login). Or fetch it elsewhere, and copy that "
            "folder here"
        ) from error


def open_fetched(name: str, root: Path) -> Any:
    """Open a set that was fetched.

    Args:
        name: "hf:" and what follows.
        root: The data root.

    Returns:
        A `datasets.DatasetDict`: memory-mapped tables, by name of the split.

    Raises:
        DataError: The name is malformed, the library is not installed, the set was not fetched or is damaged.
    """
    datasets, folder = library(), place(name, root)
    get = f"lejepa datasets get {name} --root {root}"
    if not folder.is_dir():
        raise DataError(f"{name} is not in {root} (no {folder.relative_to(root)}); to get it: {get}")
    try:
        return datasets.DatasetDict.load_from_disk(folder)
    except Exception as error:  # of the library, of JSON, of Arrow
        raise DataError(
            f"{name}: {folder}: damaged ({_reason(error)}); to get it again: remove {folder}, then: {get}"
        ) from error


def columns_of(name: str, features: Mapping[str, Any]) -> Columns:
    """Find the images and the labels by their types.

    Args:
        name: Name of the set, for the message.
        features: Type of each column.

    Returns:
        The column called image, else the first of images; the one called label, else the one with the most classes,
        so that fine labels come before coarse ones.

    Raises:
        DataError: There are no images.
    """
    datasets = library()
    images = [column for column, kind in features.items() if isinstance(kind, datasets.Image)]
    labels = {column: kind.names for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    if not images:
        raise DataError(f"{name} has no column of images, only {', '.join(features)}; wanted one")
    image = "image" if "image" in images else images[0]
    if not labels:
        return Columns(image=image, label=None, classes=())
    label = "label" if "label" in labels else max(labels, key=lambda column: len(labels[column]))
    return Columns(image=image, label=label, classes=tuple(labels[label]))


def _build(name: str, work: Path) -> None:
    parts = _parts(name)
    shutil.rmtree(work, ignore_errors=True)  # of one that was killed, or failed
    builder = library().load_dataset_builder(
        parts["path"], parts["config"], revision=parts["revision"], cache_dir=str(work)
    )
    # Known beforehand for many sets: no need to download a corpus of texts.
    if builder.info.features:
        columns_of(name, builder.info.features)
    builder.download_and_prepare()
    found = builder.as_dataset()
    columns_of(name, next(iter(found.values())).features)
    found.save_to_disk(work / "done")


def _parts(name: str) -> Mapping[str, str | None]:
    matched = _NAME.fullmatch(name)
    if not matched:
        raise _malformed(name)
    return matched.groupdict()


def _malformed(name: str) -> DataError:
    return DataError(f"dataset {name!r} names nothing on the Hub; wanted hf:ID, hf:ID@REVISION or hf:ID:CONFIG")


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}..."
