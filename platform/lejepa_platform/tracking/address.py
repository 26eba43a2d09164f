"""Where a tracker is, and whether it can be reached: quickly, and without leaving anything behind."""

import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from lejepa_platform.errors import StorageError, TrackingError
from lejepa_platform.storage import Location, require_writable
from lejepa_platform.tracking.client import connect, load

_SERVERS = {"http": 80, "https": 443}
_DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_LEAST_SECONDS = 6.0
"""What a tracker that accepts connections gets to answer, however long that and the imports took."""


def default_uri(storage: Location) -> str | None:
    """The tracker that a storage folder brings along, an SQLite file of its own; None for a store of objects."""
    if not isinstance(storage, Path):
        return None
    path = (storage.absolute() / "mlflow.db").as_posix()
    # SQLAlchemy takes percent escapes back, and ends the path at a question mark.
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def known_tracker(given: str | None, storage: Location) -> str | None:
    """The tracker that was named, else MLFLOW_TRACKING_URI, else the storage's own; None if there is none of these."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(storage)


def tracking_uri(given: str | None, storage: Location) -> str:
    """The tracker of a study, as `known_tracker` finds it.

    Raises:
        TrackingError: If there is none.
    """
    uri = known_tracker(given, storage)
    if uri is None:
        raise TrackingError(
            f"the storage {storage} came without a tracker, and no database can be kept there; name one with "
            "--tracking-uri, http://HOST:PORT or sqlite:///PATH, or in MLFLOW_TRACKING_URI"
        )
    return uri


def artifacts_of(storage: Location) -> Path | None:
    """Root of the artifacts of a tracker that is a database: in the storage folder; None leaves it to the tracker."""
    return storage / "mlartifacts" if isinstance(storage, Path) else None


def sqlite_path(uri: str) -> Path | None:
    """The file behind an SQLite address; None for any other tracker."""
    if not uri.startswith("sqlite:"):
        return None
    return Path(unquote(uri.partition("///")[2].partition("?")[0]))


def masked(uri: str) -> str:
    """An address without the credentials in it, fit to be shown."""
    return re.sub(r"\?.*", "?***", re.sub(r"//.*@", "//***@", uri))


def reason(error: BaseException, uri: str) -> str:
    """The gist of an error in one line, without the credentials of an address."""
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return "unknown host"
        case ModuleNotFoundError():
            return f"the Python package {error.name} is not installed"
        case OSError(strerror=str(text)):
            return text
    # SQLAlchemy may say first how it came to write, and then what is wrong.
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("(raised as a result of")]
    line = (lines or [""])[0].replace(uri, masked(uri))
    password = uri.partition("//")[2].rpartition("@")[0].partition(":")[2]
    for secret in {password, unquote(password)} - {""}:
        line = line.replace(secret, "***")
    return line[:200] or type(error).__name__


def check_tracking(uri: str, *, seconds: float = 10.0) -> None:
    """Make sure that a tracker can be used; an SQLite file that does not exist is not made.

    Args:
        uri: sqlite:///PATH, http(s)://HOST:PORT, or a database that MLflow knows.
        seconds: How long the tracker may take to answer.

    Raises:
        TrackingError: If it cannot be used; the line holds no credentials.
    """
    try:
        _probe(uri, time.monotonic() + seconds)
    except Exception as error:
        # Whatever a driver raises means one thing here: this tracker cannot be used.
        raise TrackingError(
            f"cannot use the tracker {masked(uri)}: {reason(error, uri)}; "
            "start or correct it, or name another with --tracking-uri"
        ) from None


def _probe(uri: str, deadline: float) -> None:
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        if _probe_sqlite(uri):
            load()
            _within(deadline - time.monotonic(), lambda: connect(uri).search_experiments(max_results=1))
    elif scheme in _SERVERS:
        if not _proxied(uri):
            _within(deadline - time.monotonic(), lambda: _open_port(uri, _SERVERS[scheme], deadline))
        load()
        _within(deadline - time.monotonic(), lambda: connect(uri).search_experiments(max_results=1))
    elif scheme in _DATABASES:
        _within(deadline - time.monotonic(), lambda: _open_port(uri, _DATABASES[scheme], deadline))
        _within(deadline - time.monotonic(), lambda: _open_database(uri))
    else:
        raise ValueError("sqlite:///PATH, http://HOST:PORT, postgresql://, mysql:// or mssql:// was wanted")


def _within(seconds: float, work: Callable[[], object]) -> None:
    """Do work in a thread that is left behind when it takes too long, so that no retries can hold us up."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="lejepa-check-tracking", daemon=True)
    thread.start()
    seconds = max(_LEAST_SECONDS, seconds)
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    if failures:
        raise failures[0]


def _open_port(uri: str, port: int, deadline: float) -> None:
    parts = urlsplit(uri)
    if not parts.hostname:
        # A database on a socket of this machine; its driver knows where.
        if parts.scheme in _SERVERS:
            raise ValueError("it names no host")
        return
    timeout = max(0.1, deadline - time.monotonic())
    socket.create_connection((parts.hostname, parts.port or port), timeout=timeout).close()


def _proxied(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


def _open_database(uri: str) -> None:
    """Connect without MLflow, which would retry for minutes and make its tables."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _probe_sqlite(uri: str) -> bool:
    """Whether an SQLite file holds a tracking store already; raises if it could not hold one."""
    path = sqlite_path(uri)
    if path is None or str(path) in (".", ":memory:"):
        raise ValueError("sqlite:///PATH was wanted, with the path of a file")
    if not path.exists() or path.stat().st_size == 0:
        try:
            require_writable(path.parent)
        except StorageError as error:
            raise error.__cause__ or error from None
        return False
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as database:
        database.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        database.execute("ROLLBACK")
    if tables and "experiments" not in tables:
        raise ValueError("it is a database of something else")
    return bool(tables)
