"""Sets of photographs whose files are listed by annotations, or by the folders that they are in."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.datasets.folder import Listing, listing_source
from lejepa_core.datasets.published import Unusable, refusing
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Source
from lejepa_core.datasets.spec import DatasetSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The images that one annotation lists.

    Attributes:
        annotation: The file, or the folder of class folders, that says so.
        split: "train", "val" or "test".
        files: Path below the dataset's folder ("/" between parts) and class of each image.
    """

    annotation: Path
    split: str
    files: Sequence[tuple[str, str]]


def listed_reader(
    spec: DatasetSpec,
    *,
    folder: str,
    parts: Callable[[Path], Iterable[Part]],
    archives: Sequence[Archive] = (),
) -> Reader:
    """Make the reader of a set of photographs.

    Args:
        spec: The dataset; a part that lists another number of images is refused.
        folder: Name of the dataset's folder below the data root.
        parts: From that folder to its parts; raises `Unusable` on an annotation that is absent or damaged.
        archives: What to download; () if that is impossible.

    Returns:
        The reader.
    """

    def files(root: Path) -> tuple[tuple[str, str, str], ...]:
        with refusing(spec, root, folder):
            return tuple(_present(root / folder, _counted(spec, parts(root / folder))))

    def source(root: Path, image_size: int) -> Source:
        listing = Listing(root=root / folder, files=files(root), ignored=())
        return photograph_source(spec, listing, image_size)

    def check(root: Path) -> None:
        files(root)

    def get(root: Path) -> None:
        download(spec, archives, root=root, folder=folder, check=check)

    return Reader(source=source, check=check, download=get if archives else None, streams=True)


def photograph_source(spec: DatasetSpec, listing: Listing, image_size: int) -> Source:
    """Describe the photographs of a published dataset.

    Args:
        spec: The dataset.
        listing: Its files.
        image_size: As in `folder_source`.

    Returns:
        The source.
    """
    return replace(
        listing_source(listing, name=spec.name, image_size=image_size, shares=spec.shares),
        flip=spec.flip,
        photographic=spec.photographic,
        probe_per_class=spec.probe_per_class,
        mean=spec.mean,
        std=spec.std,
    )


def class_folder_reader(
    spec: DatasetSpec, *, folder: str, below: str, archives: Sequence[Archive], left_out: Sequence[str] = ()
) -> Reader:
    """Make the reader of a set that came in class folders and without splits.

    Args:
        spec: The dataset; another number of images is refused.
        folder: Name of the dataset's folder below the data root.
        below: Name of the folder in it that holds the classes.
        archives: What to download.
        left_out: Folders that are no classes.

    Returns:
        The reader.
    """
    parts = partial(_class_folders, below, left_out)
    return listed_reader(spec, folder=folder, parts=parts, archives=archives)


def _class_folders(below: str, left_out: Sequence[str], folder: Path) -> Iterator[Part]:
    if not (folder / below).is_dir():
        raise Unusable(folder / below)
    found = [path for path in sorted((folder / below).glob("*/*.jpg")) if path.parent.name not in left_out]
    files = [(path.relative_to(folder).as_posix(), path.parent.name) for path in found]
    yield Part(annotation=folder / below, split="train", files=files)


def _counted(spec: DatasetSpec, parts: Iterable[Part]) -> Iterator[Part]:
    # An annotation that was cut short would make another dataset of the same name.
    carved = sum(spec.images[split] for split in spec.shares)
    for part in parts:
        wanted = spec.images[part.split] + (carved if part.split == "train" else 0)
        if len(part.files) != wanted:
            raise Unusable(part.annotation, f"lists {len(part.files)} images, not {wanted}")
        yield part


def _present(folder: Path, parts: Iterable[Part]) -> Iterator[tuple[str, str, str]]:
    # Folder by folder, since asking for every file takes long on a network's file system.
    names: dict[str, frozenset[str]] = {}
    lacking = []
    for part in parts:
        for relative, label in part.files:
            parent, _, name = relative.rpartition("/")
            if parent not in names:
                names[parent] = _names(folder / parent)
            if name not in names[parent]:
                lacking.append(relative)
            yield relative, label, part.split
    if lacking:
        raise Unusable(folder / lacking[0], f"absent, as are {len(lacking) - 1} others")


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()
