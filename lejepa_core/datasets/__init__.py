"""Data sets by name: bundled, downloaded, or a person's own folder; decoded once, shared by all trials of a node."""

from collections.abc import Callable
from pathlib import Path

from lejepa_core.datasets import bundled, cifar, folder
from lejepa_core.datasets.spec import DATASETS, DatasetSpec
from lejepa_core.datasets.store import Decoded, ImageDataset, open_or_build
from lejepa_core.errors import DataError, SettingError, UnknownNameError

FOLDER_PREFIX = "folder:"

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "ImageDataset",
    "check_dataset",
    "download_dataset",
    "load_dataset",
]


def check_dataset(name: str, *, data_root: Path | None = None, labelled: bool = True) -> None:
    """Find out whether a data set is there, without decoding it.

    Args:
        name: A name of `DATASETS`, or folder:PATH.
        data_root: Folder of downloaded data sets.
        labelled: Whether classes are expected.

    Raises:
        UnknownNameError: If there is no such data set.
        DataError: If its images are missing.
        SettingError: If classes are to be ignored in a set that has them by nature.
    """
    if name.startswith(FOLDER_PREFIX):
        folder.check_folder(_path(name), labelled=labelled)
        return
    if name not in DATASETS:
        raise UnknownNameError("data set", name, [*DATASETS, "folder:PATH"], "lejepa datasets")
    if not labelled:
        raise SettingError(
            f"--unlabelled is for folders, and {name} has classes; leave it out, or use folder:PATH"
        )
    if name.startswith("cifar"):
        cifar.check_cifar(name, data_root)


def load_dataset(
    name: str, *, image_size: int, cache_dir: Path, data_root: Path | None = None, labelled: bool = True
) -> ImageDataset:
    """A data set from the cache, decoded first where it has to be.

    Args:
        name: A name of `DATASETS`, or folder:PATH.
        image_size: Side of the training images, in pixels; a folder is cached at up to twice that.
        cache_dir: Folder of decoded data sets.
        data_root: Folder of downloaded data sets.
        labelled: Whether a folder's images have classes.

    Raises:
        LejepaError: As `check_dataset`, or if nothing of a split can be read.
    """
    if not name.startswith(FOLDER_PREFIX) or not _path(name).is_dir():
        check_dataset(name, data_root=data_root, labelled=labelled)
    key, build = _source(name, image_size, data_root, labelled)
    return open_or_build(cache_dir / key, build)


def download_dataset(name: str, root: Path | None) -> Path | None:
    """Fetch a data set; returns where it went, None if it comes with the project.

    Raises:
        UnknownNameError: If there is no such data set.
        DataError: If it cannot be fetched.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS, "lejepa datasets")
    return cifar.download_cifar(name, root) if name.startswith("cifar") else None


def _source(
    name: str, image_size: int, data_root: Path | None, labelled: bool
) -> tuple[str, Callable[[], Decoded]]:
    """Name of the cache folder, and how to fill it."""
    if name.startswith(FOLDER_PREFIX):
        root = _path(name)
        key = folder.folder_key(root, labelled=labelled)
        return f"folder-{image_size}-{key}", lambda: folder.read_folder(
            root, image_size=image_size, labelled=labelled
        )
    if name == "digits":
        return f"digits-{bundled.versions()}", bundled.digits
    if name == "patches":
        return f"patches-{bundled.versions()}", bundled.patches
    return f"{name}-1", lambda: cifar.read_cifar(name, data_root)


def _path(name: str) -> Path:
    path = name.removeprefix(FOLDER_PREFIX)
    if not path:
        raise DataError("folder: came without a path; give the path of a folder of images as folder:PATH")
    return Path(path).expanduser()
