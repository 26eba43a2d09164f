"""The files of ImageNet and its subsets, as image-net.org, Kaggle and fast.ai lay them out.

ROOT/imagenet/train/WNID/*.JPEG, and val/WNID/*.JPEG or val/*.JPEG with a list of labels beside val. Our val is taken
from train, so many images of each class, by the hash of the file's name and not of its content: it is known without
reading 140 GB, and the same images in every size that they come in.
"""

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.datasets.folder import Listing
from lejepa_core.datasets.listed import photograph_source
from lejepa_core.datasets.published import Unusable, parsing, read, read_lines, refusing
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Source
from lejepa_core.datasets.spec import DatasetSpec

KAGGLE_LIST: Final = "LOC_val_solution.csv"
"""Labels of a flat val, by name of the image: comes with Kaggle's copy."""
SYNSET_LIST: Final = "imagenet_2012_validation_synset_labels.txt"
"""The same as a line for each image, in their order: comes with TensorFlow's models."""

_SUFFIXES = (".jpeg", ".jpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Where a subset is, and what it consists of.

    Attributes:
        folders: Names below the data root; the first that is there counts.
        wnids: Gives the WordNet IDs of the classes.
        train: Number of images that train has to have, None if that was never published.
        val_per_class: Train images of each class that become val.
        archives: What to download; () if that is impossible.
    """

    folders: tuple[str, ...]
    wnids: Callable[[], Sequence[str]]
    train: int | None
    val_per_class: int
    archives: tuple[Archive, ...] = ()


def all_wnids() -> tuple[str, ...]:
    """List the classes of ImageNet-1k, from timm.

    Returns:
        1,000 WordNet IDs, sorted: the usual order of its labels.
    """
    return tuple(sorted(_names()))


def tree_reader(spec: DatasetSpec, tree: Tree) -> Reader:
    """Make the reader of a subset.

    Args:
        spec: The dataset; test must have as many images as it says.
        tree: Its files.

    Returns:
        The reader.
    """

    def source(root: Path, image_size: int) -> Source:
        return photograph_source(spec, _listing(spec, tree, root), image_size)

    def check(root: Path) -> None:
        _listing(spec, tree, root)

    def get(root: Path) -> None:
        if not any((root / name).exists() for name in tree.folders):
            folder = Path(tree.archives[0].file).stem
            download(spec, tree.archives, root=root, folder=folder, check=check)
        check(root)

    return Reader(source=source, check=check, download=get if tree.archives else None, streams=True)


@cache
def _names() -> dict[str, str]:
    from timm.data import ImageNetInfo  # imports torch, and listing the datasets should not

    return dict(ImageNetInfo().label_descriptions(as_dict=True))


def _class_name(wnid: str) -> str:
    # Two classes are called crane and two maillot; with the WordNet ID first, sorting gives the usual order.
    return f"{wnid} {_names()[wnid].split(',')[0]}"


def _listing(spec: DatasetSpec, tree: Tree, root: Path) -> Listing:
    name = next((name for name in tree.folders if (root / name).is_dir()), tree.folders[0])
    wnids = sorted(tree.wnids())
    with refusing(spec, root, name):
        train = list(_train(root / name, wnids, tree.val_per_class))
        test = list(_test(root / name, wnids))
        _compare(root / name / "train", len(train), tree.train)
        _compare(root / name / "val", len(test), spec.images["test"])
    labels = {wnid: _class_name(wnid) for wnid in wnids}  # one string per class, not per image
    files = tuple((relative, labels[wnid], split) for relative, wnid, split in (*train, *test))
    return Listing(root=root / name, files=files, ignored=())


def _train(folder: Path, wnids: Sequence[str], val_per_class: int) -> Iterator[tuple[str, str, str]]:
    for wnid in wnids:
        names = _images(folder / "train" / wnid)
        val = set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:val_per_class])
        for name in names:
            yield f"train/{wnid}/{name}", wnid, "val" if name in val else "train"


def _test(folder: Path, wnids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    if (folder / "val" / wnids[0]).is_dir():
        for wnid in wnids:
            yield from ((f"val/{wnid}/{name}", wnid, "test") for name in _images(folder / "val" / wnid))
        return
    names = _images(folder / "val")
    labels = _labels(folder, names)
    wanted = frozenset(wnids)
    # In the order of class folders, so that both layouts are the same dataset.
    for wnid, name in sorted((labels[name], name) for name in names if labels[name] in wanted):
        yield f"val/{name}", wnid, "test"


def _images(folder: Path) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.lower().endswith(_SUFFIXES))
    except (FileNotFoundError, NotADirectoryError):
        raise Unusable(folder) from None
    except OSError as error:
        raise Unusable(folder, f"cannot be read ({error.strerror or error})") from error
    if not names:
        raise Unusable(folder, "holds no *.JPEG")
    return names


def _labels(folder: Path, names: Sequence[str]) -> dict[str, str]:
    if (folder / KAGGLE_LIST).exists():
        data = read(folder / KAGGLE_LIST)
        with parsing(folder / KAGGLE_LIST):
            rows = csv.DictReader(data.decode().splitlines())
            labels = {f"{row['ImageId']}.JPEG": row["PredictionString"].split()[0] for row in rows}
        return _all_labelled(folder / KAGGLE_LIST, labels, names)
    if (folder / SYNSET_LIST).exists():
        return _all_labelled(folder / SYNSET_LIST, _by_number(read_lines(folder / SYNSET_LIST)), names)
    raise Unusable(
        folder / "val", f"has no class folders; without them, {KAGGLE_LIST} or {SYNSET_LIST} must be beside it"
    )


def _by_number(wnids: Sequence[str]) -> dict[str, str]:
    return {f"ILSVRC2012_val_{number:08}.JPEG": wnid for number, wnid in enumerate(wnids, start=1)}


def _all_labelled(file: Path, labels: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    lacking = [name for name in names if name not in labels]
    if lacking:
        raise Unusable(file, f"has no label for {lacking[0]} and {len(lacking) - 1} others")
    return labels


def _compare(folder: Path, found: int, wanted: int | None) -> None:
    if wanted is not None and found != wanted:
        raise Unusable(folder, f"holds {found} images of these classes, not {wanted}")
