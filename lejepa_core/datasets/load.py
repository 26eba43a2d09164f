"""Datasets by name: the functions that the rest of the project calls."""

import os
from dataclasses import replace
from pathlib import Path

from lejepa_core.datasets.folder import check_folder, folder_name, folder_source
from lejepa_core.datasets.hub import check_hub, download_hub, hub_source
from lejepa_core.datasets.hub_files import PREFIX as _HUB
from lejepa_core.datasets.hub_files import shown_name
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.registry import DATASETS, READERS
from lejepa_core.datasets.streaming import open_source
from lejepa_core.errors import DataError, SettingError, UnknownNameError
from lejepa_core.settings import Stream

_FOLDER = "folder:"
_LIST = "lejepa datasets"


def load_dataset(
    name: str,
    *,
    image_size: int,
    cache_dir: Path,
    data_root: Path | None = None,
    labelled: bool = True,
    stream: Stream = "auto",
    workers: int = 2,
) -> ImageDataset:
    """Open a dataset, after decoding it into the cache if that has not been done; a very large one is streamed.

    Args:
        name: A key of `DATASETS`, "folder:" and the path of a person's own images, or "hf:" and the ID of a set on
            the Hugging Face Hub.
        image_size: Height and width of the largest views, in pixels. Photographs of many sizes are stored
            according to it: the short side at most twice as long; sets of one small size keep that.
        cache_dir: Folder of decoded datasets, shared by all processes of a node.
        data_root: Where downloaded sets are; None for `default_data_root()`.
        labelled: Whether to use labels; a folder without classes has none.
        stream: Whether to decode images each time they are wanted; see `open_source`.
        workers: Processes that decode a streamed set.

    Returns:
        The dataset.

    Raises:
        UnknownNameError: `name` is not a dataset.
        SettingError: `image_size` is below 1, or `workers` below 0.
        DataError: Files are missing, unreadable or too few, or the cache cannot be written.
    """
    if image_size < 1:
        raise SettingError(f"image_size is {image_size}; wanted 1 or more pixels")
    if workers < 0:
        raise SettingError(f"data-workers = {workers} came, 0 or more was wanted")
    _check_name(name)
    root = data_root or default_data_root()
    if name.startswith(_FOLDER):
        source = folder_source(_folder(name), image_size=image_size, labelled=labelled)
    elif name.startswith(_HUB):
        source = hub_source(name, root, image_size=image_size, labelled=labelled)
    else:
        source = replace(READERS[name].source(root, image_size), labelled=labelled)
    return open_source(source, cache_dir, stream=stream, workers=workers)


def shown_dataset(name: str) -> str:
    """Name a dataset for people, without opening it.

    Args:
        name: As in `load_dataset`.

    Returns:
        `ImageDataset.name` of what `load_dataset` returns.

    Raises:
        DataError: The name of a set on the Hub is malformed.
    """
    if name.startswith(_FOLDER):
        return folder_name(_folder(name))
    return shown_name(name) if name.startswith(_HUB) else name


def streamable(name: str) -> bool:
    """Say whether a dataset can be streamed.

    Args:
        name: As in `load_dataset`, of a dataset that there is.

    Returns:
        Whether each of its images can be decoded when it is wanted; if not, it is always decoded beforehand.
    """
    return name.startswith((_FOLDER, _HUB)) or READERS[name].streams


def check_dataset(name: str, *, data_root: Path | None = None, labelled: bool = True) -> None:
    """Refuse what `load_dataset` would refuse, without decoding an image.

    Photographs are listed, not opened: unreadable or identical ones count as good here. Files whose md5 was
    published are compared with it.

    Args:
        name: As in `load_dataset`.
        data_root: As in `load_dataset`.
        labelled: As in `load_dataset`.

    Raises:
        UnknownNameError: `name` is not a dataset.
        DataError: Files are missing, damaged or too few.
    """
    _check_name(name)
    if name.startswith(_FOLDER):
        check_folder(_folder(name), labelled=labelled)
    elif name.startswith(_HUB):
        check_hub(name, data_root or default_data_root(), labelled=labelled)
    else:
        READERS[name].check(data_root or default_data_root())


def download_dataset(name: str, root: Path | None = None) -> Path | None:
    """Download a dataset; nothing happens if it is there already or comes with the installation.

    Args:
        name: A key of `DATASETS`, or "hf:" and the ID of a set on the Hugging Face Hub.
        root: Folder to put it in; None for `default_data_root()`.

    Returns:
        The folder it is in, None if it comes with the installation.

    Raises:
        UnknownNameError: `name` is not a named dataset.
        DataError: The download failed or does not match its md5; or the set cannot be downloaded and is absent:
            which files to put where.
    """
    if name.startswith(_HUB):
        return download_hub(name, root or default_data_root())
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS, _LIST)
    if DATASETS[name].bundled:
        return None
    root = root or default_data_root()
    reader = READERS[name]
    (reader.download or reader.check)(root)
    return reader.place(root) if reader.place else root


def default_data_root() -> Path:
    """Say where downloaded sets are looked for.

    Returns:
        The folder that the environment variable LEJEPA_DATA_ROOT names, else ~/.cache/lejepa/data; absolute.
    """
    return Path(os.environ.get("LEJEPA_DATA_ROOT") or Path("~/.cache/lejepa/data")).expanduser().absolute()


def _check_name(name: str) -> None:
    if name in DATASETS or name.startswith(_HUB) or (name.startswith(_FOLDER) and name != _FOLDER):
        return
    if name and Path(name).expanduser().is_dir():
        raise DataError(f"dataset {name!r} is a folder; wanted a name, or {_FOLDER}{name}")
    raise UnknownNameError("dataset", name, [*DATASETS, f"{_FOLDER}PATH", f"{_HUB}ID"], _LIST)


def _folder(name: str) -> Path:
    return Path(name.removeprefix(_FOLDER))
