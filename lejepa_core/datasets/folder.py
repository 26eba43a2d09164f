"""A person's own images: `folder:PATH`.

PATH/train/<class>/*, with or without val/ and test/ beside it; or PATH/<class>/*; or, unlabelled, anything.
What is missing of val and test is carved out of train. Deeper folders count for the class they are in.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import PIL

from lejepa_core.datasets.decoding import Undecodable, quiet
from lejepa_core.datasets.lazy import HEAD, content_digest, decode_file, lazy_files
from lejepa_core.datasets.source import Item, Source
from lejepa_core.datasets.splits import SPLITS, carve, check_splits
from lejepa_core.errors import DataError

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
"""Which files are images; upper case counts as well."""
SHARE: Final = 0.15
"""Share of each class's train images that becomes a missing val or test."""

_SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_SPLIT_FOLDERS |= {"test": "test", "testing": "test"}
_BATCH = 64  # decoded images that wait in memory, at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a folder holds, before any file is opened.

    Attributes:
        root: The folder.
        files: Path relative to `root` ("/" between parts), class and split of each image, sorted by path.
        ignored: One line for each image that no class or split claims.
    """

    root: Path
    files: tuple[tuple[str, str, str], ...]
    ignored: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Splits that no file declares, with the share of train to carve out."""
        declared = {split for _, _, split in self.files}
        return {split: SHARE for split in SPLITS[1:] if split not in declared}


def folder_name(path: Path) -> str:
    """Name a folder for people.

    Args:
        path: The folder, however it was written.

    Returns:
        "folder:" and the last part of the path.
    """
    return f"folder:{Path(os.path.abspath(path.expanduser())).name or 'root'}"


def list_folder(path: Path, *, labelled: bool) -> Listing:
    """Find the images of a folder and read class and split from the names of its folders.

    Args:
        path: The folder.
        labelled: Whether folder names are classes; if not, only train, val and test mean anything.

    Returns:
        The images found.

    Raises:
        DataError: No such folder, no images in it, no class folders.
    """
    root = path.expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}; wanted a folder of images. Check the path after folder:")
    found = sorted(_walk(root))
    if not found:
        raise DataError(f"no images in {root}; wanted {', '.join(SUFFIXES)}, in one folder per class")
    in_splits = _has_split_folders(found)
    placed = [(relative, *_place(relative, in_splits, labelled)) for relative in found]
    files = tuple((relative, label, split) for relative, label, split in placed if split)
    if not files:
        raise DataError(
            f"{root} has {len(found)} images but no class folders, as in {found[0]}; "
            "wanted <class>/* or train/<class>/*. Without classes: --unlabelled"
        )
    reason = "not in a class folder of train, val or test" if in_splits else "not in a class folder"
    ignored = tuple(f"{relative}: {reason}" for relative, _, split in placed if not split)
    return Listing(root=root, files=files, ignored=ignored)


def check_folder(path: Path, *, labelled: bool) -> None:
    """Refuse a folder that cannot become a dataset, without opening its images.

    Args:
        path: The folder.
        labelled: As in `list_folder`.

    Raises:
        DataError: As `list_folder`, or fewer than two classes, or a split that would be empty.
    """
    listing = list_folder(path, labelled=labelled)
    relative, names, splits = zip(*listing.files, strict=True)
    classes, labels = np.unique(names, return_inverse=True)
    codes = carve(labels, np.array([SPLITS.index(s) for s in splits]), relative, listing.shares)
    check_splits(folder_name(path), labels, codes, classes.tolist() if labelled else ())


def folder_source(path: Path, *, image_size: int, labelled: bool) -> Source:
    """Describe a folder; its key changes with any file's name, size or time of change.

    Args:
        path: The folder.
        image_size: Largest size that views will have; images are kept at up to twice that on the short side,
            8 times on the long one, and never enlarged.
        labelled: As in `list_folder`.

    Returns:
        The source.

    Raises:
        DataError: As `list_folder`.
    """
    listing = list_folder(path, labelled=labelled)
    source = listing_source(listing, name=folder_name(path), image_size=image_size, shares=listing.shares)
    return replace(source, labelled=labelled)


def listing_source(listing: Listing, *, name: str, image_size: int, shares: Mapping[str, float]) -> Source:
    """Describe listed images; the key changes with any file's name, size, time of change, class or split.

    Args:
        listing: The images.
        name: Name of the dataset as a person sees it.
        image_size: As in `folder_source`.
        shares: Splits that are missing, and the share of train to carve out for each.

    Returns:
        The source: labelled, with mean and standard deviation to be computed.
    """
    # Another decoder may give other pixels, and another builder another split.
    state = hashlib.sha256(f"2 {PIL.__version__} {image_size}".encode())
    for relative, label, split in listing.files:
        line = f"\n{relative}\0{label}\0{split}\0{_stamp(listing.root / relative)}"
        state.update(line.encode(errors="surrogateescape"))
    return Source(
        name=name,
        key=f"{2 * image_size}px-{state.hexdigest()[:16]}",
        flip=True,
        items=partial(_items, listing, image_size),
        shares=shares,
        # Where nothing is carved, names are enough, and no file of a large set has to be read.
        lazy=partial(
            lazy_files,
            listing.root,
            listing.files,
            image_size=image_size,
            by_name=not shares,
            left_out=listing.ignored,
        ),
    )


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:  # a dangling link: reading it will give the reason
        return "unreadable"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _walk(root: Path) -> Iterator[str]:
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        # A link to a folder above would go round for ever.
        folders[:] = [name for name in folders if not name.startswith(".")]
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name).relative_to(root).as_posix()


def _has_split_folders(found: list[str]) -> bool:
    # "train" may also be a class beside "bus": then it holds images itself, and others are no splits.
    parts = [relative.split("/") for relative in found]
    tops = {names[0].lower() for names in parts if len(names) > 1}
    nested = any(len(names) > 2 and _SPLIT_FOLDERS.get(names[0].lower()) == "train" for names in parts)
    return bool(tops) and (tops <= _SPLIT_FOLDERS.keys() or nested)


def _place(relative: str, in_splits: bool, labelled: bool) -> tuple[str, str]:
    # Class and split of a file; no split if it has no place.
    *folders, _ = relative.split("/")
    split = _SPLIT_FOLDERS.get(folders[0].lower(), "") if in_splits and folders else ""
    if not labelled:
        return "", split or "train"
    if in_splits:
        return (folders[1], split) if split and len(folders) > 1 else ("", "")
    return (folders[0], "train") if folders else ("", "")


def _items(listing: Listing, image_size: int) -> Iterator[Item | str]:
    yield from listing.ignored
    read = partial(_read, listing.root, image_size)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, len(listing.files), _BATCH):
            with quiet():
                batch = list(pool.map(read, listing.files[start : start + _BATCH]))
            yield from batch


def _read(root: Path, image_size: int, file: tuple[str, str, str]) -> Item | str:
    relative, label, split = file
    try:
        data = (root / relative).read_bytes()
        pixels = decode_file(data, image_size)
    except Undecodable as error:
        return f"{relative}: {error}"
    except OSError as error:
        return f"{relative}: {error.strerror}"
    return Item(pixels=pixels, label=label, split=split, digest=content_digest(data[:HEAD], len(data)))
