"""Objects of an S3-compatible store: each is read and replaced whole; what fails on the way is tried again for a while.

Where the store is and who may use it, the environment says, as for every tool of AWS: AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID and so on. Nothing of that is ever written anywhere.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from itertools import islice
from typing import Any, Final, TypeVar

from upath import UPath

from lejepa_platform.errors import StorageError

T = TypeVar("T")
FIRST_PATIENCE: Final = 10.0
"""Seconds for which a store is tried that this process has had no answer of yet."""
PATIENCE: Final = 60.0
"""Seconds for which a store is tried that answered before."""
_LONGEST_PAUSE: Final = 5.0
_AT_ONCE: Final = 32
"""Requests under way, where many objects are read."""
_BATCH: Final = 256
"""Objects for which patience is counted together."""
_BUSY: Final = ("SlowDown", "RequestTimeout", "Throttling", "TooManyRequests")
_CHANGED: Final = ("PreconditionFailed", "ConditionalRequestConflict")
_OPTIONS: Final = {
    # Others write too.
    "use_listings_cache": False,
    # Large objects in one request; with more, each reading would begin with a question for the size.
    "max_concurrency": 1,
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 10,
        "max_pool_connections": _AT_ONCE,
        "retries": {"mode": "standard", "total_max_attempts": 1},
    },
}


class ChangedError(Exception):
    """An object is not as a conditional write wanted it."""


def objects_below(address: str) -> UPath:
    """A place in a store.

    Args:
        address: s3://BUCKET or s3://BUCKET/PREFIX.

    Raises:
        StorageError: If it is another address.
    """
    bucket = address.removeprefix("s3://").partition("/")[0]
    if not address.startswith("s3://") or not re.fullmatch(r"[A-Za-z0-9._:-]+", bucket) or "?" in address:
        # What may be a password is not repeated.
        shown = re.sub(r"//.*@", "//***@", address)
        raise StorageError(f"{shown!r} came, a folder or s3://BUCKET/PREFIX was wanted; credentials stand in AWS_*")
    return UPath(address.rstrip("/"))


def get(path: UPath) -> bytes | None:
    """The contents of an object, None where there is none.

    Raises:
        StorageError: If the store cannot be used.
    """
    try:
        return bytes(_patiently("read", path, lambda: _filesystem().cat_file(path.path)))
    except FileNotFoundError:
        return None


def get_all(paths: Iterable[UPath]) -> dict[str, bytes]:
    """The contents of many objects, read at once.

    Returns:
        `path.path` -> contents, of those that exist.

    Raises:
        StorageError: If the store cannot be used.
    """
    found: dict[str, bytes] = {}
    for batch in _batches(paths):
        missing = [path.path for path in batch]
        _patiently("read", batch[0], partial(_get_missing, missing, found))
    return found


def _batches(paths: Iterable[UPath]) -> Iterator[list[UPath]]:
    rest = iter(paths)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _get_missing(missing: list[str], found: dict[str, bytes]) -> None:
    """Read objects into what is found; those that are neither read nor absent stay missing, for the next time."""
    answers = _filesystem().cat(missing, on_error="return", batch_size=_AT_ONCE)
    found |= {key: answer for key, answer in answers.items() if isinstance(answer, bytes)}
    failed = {key: answer for key, answer in answers.items() if key not in found and not _absent(answer)}
    missing[:] = failed
    if failed:
        raise next(iter(failed.values()))


def put(path: UPath, data: bytes) -> None:
    """Replace an object.

    Raises:
        StorageError: If the store cannot be used.
    """
    _patiently("write", path, lambda: _filesystem().pipe_file(path.path, data))


def put_if(path: UPath, data: bytes, held: str | None) -> str:
    """Replace an object, only if it is as it was when one looked.

    Args:
        path: The object.
        data: Its new contents.
        held: Its tag then; None = there was none.

    Returns:
        Its new tag.

    Raises:
        ChangedError: If it is not.
        StorageError: If the store cannot be used.
    """
    condition = {"IfNoneMatch": "*"} if held is None else {"IfMatch": held}
    answer = _patiently("write", path, lambda: _call("put_object", path, Body=data, **condition))
    return str(answer["ETag"])


def look(path: UPath) -> tuple[str, float] | None:
    """The tag of an object and, by the store's clock, the seconds since it was written; None where there is none.

    Raises:
        StorageError: If the store cannot be used.
    """
    try:
        head = _patiently("read", path, lambda: _call("head_object", path))
    except FileNotFoundError:
        return None
    written: datetime = head["LastModified"]
    now = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
    return str(head["ETag"]), (now - written).total_seconds()


def delete(path: UPath) -> None:
    """Remove an object, if there is one.

    Raises:
        StorageError: If the store cannot be used.
    """
    _patiently("write", path, lambda: _call("delete_object", path))


def tags_below(folder: UPath) -> dict[str, str]:
    """All objects below a place, by one listing: path relative to it -> tag.

    Raises:
        StorageError: If the store cannot be used.
    """
    found = _patiently("read", folder, lambda: _filesystem().find(folder.path, detail=True))
    start = len(folder.path.rstrip("/")) + 1
    return {key[start:]: str(entry.get("ETag", "")) for key, entry in found.items() if key[start:]}


def folders_below(folder: UPath) -> list[str]:
    """Names of what would be folders in a place.

    Raises:
        StorageError: If the store cannot be used.
    """
    try:
        found = _patiently("read", folder, lambda: _filesystem().ls(folder.path, detail=True))
    except FileNotFoundError:
        return []
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory")


def documents(folder: UPath, names: Collection[str]) -> dict[str, dict[str, bytes]]:
    """Small files of every folder in a place: one listing, then readings at once.

    Args:
        folder: The place.
        names: Of the files.

    Returns:
        Name of each folder -> name of each of those files that it holds -> contents.

    Raises:
        StorageError: If the store cannot be used.
    """
    tags = tags_below(folder)
    found: dict[str, dict[str, bytes]] = {key.partition("/")[0]: {} for key in sorted(tags) if "/" in key}
    wanted = {key: tag for key, tag in tags.items() if key.count("/") == 1 and key.partition("/")[2] in names}
    for key, data in contents(folder, wanted).items():
        name, _, file = key.partition("/")
        found[name][file] = data
    return found


_read: dict[str, tuple[str, bytes]] = {}
"""JSON documents that were read before, with their tags."""


def contents(folder: UPath, tags: Mapping[str, str]) -> dict[str, bytes]:
    """Many objects, read at once; JSON documents only if they changed since this process read them.

    Args:
        folder: A place in a store.
        tags: Of objects below it, from `tags_below`.

    Returns:
        The same names -> contents, without those that went since they were listed.

    Raises:
        StorageError: If the store cannot be used.
    """
    paths = {name: f"{folder.path}/{name}" for name in tags}
    known = {name: _read[path][1] for name, path in paths.items() if _read.get(path, ("", b""))[0] == tags[name]}
    found = get_all(folder / name for name in tags if name not in known)
    fresh = {name: found[path] for name, path in paths.items() if path in found}
    _read.update({paths[name]: (tags[name], data) for name, data in fresh.items() if name.endswith(".json")})
    return known | fresh


@cache
def _filesystem() -> Any:
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise StorageError(f"storage on s3:// needs the Python package {error.name}; pip install '.[s3]'") from error
    store = S3FileSystem(**_OPTIONS, skip_instance_cache=True)
    # We try again ourselves.
    store.retries = 1
    return store


def _call(method: str, path: UPath, **arguments: Any) -> Mapping[str, Any]:
    bucket, _, key = path.path.partition("/")
    answer: Mapping[str, Any] = _filesystem().call_s3(method, Bucket=bucket, Key=key, **arguments)
    return answer


_answered = False


def _patiently(doing: str, path: UPath, work: Callable[[], T]) -> T:
    """Do work again while the store is away, for so long.

    Raises:
        FileNotFoundError: If there is no such object.
        ChangedError: If a condition does not hold.
        StorageError: Whatever else it is.
    """
    global _answered
    deadline, pause = time.monotonic() + (PATIENCE if _answered else FIRST_PATIENCE), 0.2
    while True:
        try:
            answer = work()
        except StorageError:
            raise
        except Exception as error:
            if _absent(error):
                _answered = True
                raise FileNotFoundError(str(path)) from None
            if _code(error) in _CHANGED:
                raise ChangedError from None
            if not _passing(error) or time.monotonic() + pause > deadline:
                raise StorageError(f"cannot {doing} {path}: {_reason(error)}; {_HINT}") from error
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)
        else:
            _answered = True
            return answer


_HINT: Final = "see to the bucket, AWS_ENDPOINT_URL and the credentials in AWS_*, then run the same command again"


def _response(error: BaseException) -> Mapping[str, Any]:
    """What the store answered; s3fs puts an error of Python's before botocore's."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return response if isinstance(response, dict) else {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _absent(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket"


def _passing(error: BaseException) -> bool:
    """Whether an error may be gone the next time."""
    from botocore import exceptions, parsers

    response = _response(error)
    if response:
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return (status >= 500 and status != 501) or _code(error) in _BUSY
    kinds = (exceptions.HTTPClientError, exceptions.ConnectionError, parsers.ResponseParserError, OSError)
    return isinstance(error, kinds) and not isinstance(error, PermissionError)


def _reason(error: BaseException) -> str:
    told = _response(error).get("Error", {})
    text = f"{told.get('Code', '')} {told.get('Message', '')}".strip() if told else str(error)
    line = " ".join(text.split()) or type(error).__name__
    return re.sub(r"//[^/\s]*@", "//***@", line)[:200].rstrip(".")
