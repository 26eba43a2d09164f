"""Small whole objects, each replaced in one step: what a ledger needs of a folder, or of an S3-compatible store."""

import errno
import json
import math
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from filelock import FileLock
from tyro.constructors import PrimitiveConstructorSpec
from upath import UPath

from lejepa_core.places import cache_folder
from lejepa_platform import objects
from lejepa_platform.errors import StorageError

Location: TypeAlias = Path | UPath
"""A folder or a file, or what stands for one in a store."""
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")


def location(text: str) -> Location:
    """The place that a path or an address s3://BUCKET/PREFIX names.

    Raises:
        StorageError: If it is another address.
    """
    return objects.objects_below(text) if "://" in text else Path(text)


def _argument(texts: list[str]) -> Location:
    try:
        return location(texts[0])
    except StorageError as error:
        raise ValueError(str(error)) from None


Storage: TypeAlias = Annotated[
    Location,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH|s3://BUCKET/PREFIX",
        instance_from_str=_argument,
        is_instance=lambda value: isinstance(value, Location),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A place for studies, on a command line."""


def node_cache() -> Path:
    """Where a node keeps what can be made again, where studies are in a store."""
    return cache_folder().absolute()


def cache_of(storage: Location) -> Path:
    """Where what can be made again is kept: beside studies in folders, else on the node."""
    return storage / ".cache" if isinstance(storage, Path) else node_cache()


def read_bytes(path: Location) -> bytes | None:
    """The contents of a file, None where there is none.

    Raises:
        StorageError: If a store cannot be used.
    """
    if isinstance(path, UPath):
        return objects.get(path)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_bytes(path: Location, data: bytes) -> None:
    """Replace a file by new contents in one step: a reader sees the old or the new, never a part.

    Raises:
        StorageError: If the disk refuses, or a store.
    """
    if isinstance(path, UPath):
        objects.put(path, data)
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folder: Location) -> None:
    """Remove what `write_bytes` had of new contents, here or in a folder below, when its process was killed."""
    if not isinstance(folder, Path):
        # A store takes an object whole or not at all.
        return
    for path in folder.glob("**/.*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_json(path: Location, value: Any) -> None:
    """Replace a file by a JSON document; non-finite numbers become null, which JSON has no other word for."""
    write_bytes(path, (json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Location) -> Any | None:
    """A JSON document, or None where there is none or it cannot be parsed."""
    return parse_json(read_bytes(path))


def parse_json(data: bytes | None) -> Any | None:
    """A JSON document, or None if it cannot be parsed."""
    try:
        return None if data is None else json.loads(data)
    except ValueError:
        return None


def is_file(path: Location) -> bool:
    """Whether there is such a file."""
    return path.is_file() if isinstance(path, Path) else objects.look(path) is not None


def remove(path: Location) -> None:
    """Remove a file, if there is one."""
    if isinstance(path, UPath):
        objects.delete(path)
    else:
        path.unlink(missing_ok=True)


def remove_folder(path: Location) -> None:
    """Remove a folder as far as that can be done."""
    if isinstance(path, Path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(StorageError):
        for name in objects.tags_below(path):
            objects.delete(path / name)


def study_names(storage: Location) -> list[str]:
    """Names of all studies of a storage, in order."""
    if isinstance(storage, Path):
        return sorted(path.parent.name for path in storage.glob("*/study.json"))
    files = {name: storage / name / "study.json" for name in objects.folders_below(storage)}
    found = objects.get_all(files.values())
    return [name for name, path in files.items() if path.path in found]


def folders_with(folder: Location, names: Collection[str]) -> Iterator[tuple[str, Mapping[str, bytes] | None]]:
    """The folders in a folder, and what these files in them hold; None where each can as well be read by itself."""
    if isinstance(folder, UPath):
        yield from objects.documents(folder, names).items()
    elif folder.is_dir():
        yield from ((name, None) for name in sorted(os.listdir(folder)))


def documents_in(folder: Location) -> dict[str, Any]:
    """The JSON documents of a folder, by their names without the ending; none that cannot be parsed."""
    if isinstance(folder, Path):
        found = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
    else:
        tags = {name: tag for name, tag in objects.tags_below(folder).items() if name.endswith(".json")}
        read = objects.contents(folder, tags)
        found = {name.removesuffix(".json"): parse_json(data) for name, data in read.items()}
    return {name: document for name, document in found.items() if document is not None}


@contextmanager
def only_one(path: Location) -> Iterator[None]:
    """Let one process at a time make a file that is the same whoever makes it; in a store several may, in vain."""
    if isinstance(path, UPath):
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        yield


@contextmanager
def at_hand(path: Location) -> Iterator[Path]:
    """A file as one of this machine.

    Raises:
        FileNotFoundError: If a store has no such file.
        StorageError: If a store cannot be used.
    """
    if isinstance(path, Path):
        yield path
        return
    data = objects.get(path)
    if data is None:
        raise FileNotFoundError(errno.ENOENT, "no such object")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(data)
        yield copy


@contextmanager
def folder_at_hand(folder: Location, wanted: Callable[[Collection[str]], Iterable[str]]) -> Iterator[Path]:
    """A folder as one of this machine, to read from: itself, or a copy that has what is wanted of a store's files.

    Args:
        folder: The folder.
        wanted: Takes the paths of its files relative to it, and returns those that are wanted.

    Raises:
        StorageError: If a store cannot be used.
    """
    if isinstance(folder, Path):
        yield folder
        return
    tags = objects.tags_below(folder)
    # A key may be any text, and this one would leave the copy.
    names = [name for name in wanted(tags) if ".." not in name.split("/")]
    found = objects.contents(folder, {name: tags[name] for name in names})
    with tempfile.TemporaryDirectory() as root:
        copy = Path(root) / folder.name
        copy.mkdir()
        for name, data in found.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(data)
        yield copy


def finite(value: Any) -> Any:
    """The same value with every NaN and infinity replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def require_writable(root: Location) -> None:
    """Make sure that studies can be kept below a place, leaving nothing behind if not.

    Raises:
        StorageError: If the folder cannot be made or written, or a store cannot be used.
    """
    name = f".writable-{uuid.uuid4().hex[:8]}"
    if isinstance(root, UPath):
        objects.put(root / name, b"")
        objects.delete(root / name)
        return
    try:
        existing = root
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        probe = existing / name
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot write to the storage {root}: {error.strerror}; choose another with --storage"
        ) from error
