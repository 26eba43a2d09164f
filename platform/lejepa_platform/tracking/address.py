"""Where a tracker is, and whether it can be reached: quickly, and without leaving anything behind."""

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
from lejepa_platform.storage import require_writable
from lejepa_platform.tracking.client import connect

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_LEAST_SECONDS = 3.0
"""What is left for the second stage of a check, however long the first one and the imports took."""


def default_uri(storage: Path) -> str:
    """The tracker that a storage folder brings along: an SQLite file of its own."""
    path = (storage.absolute() / "mlflow.db").as_posix()
    # SQLAlchemy takes percent escapes back, and ends the path at a question mark.
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path | None:
    """The file behind an SQLite address; None for any other tracker."""
    if not uri.startswith("sqlite:"):
        return None
    return Path(unquote(uri.partition("///")[2].partition("?")[0]))


def masked(uri: str) -> str:
    """An address without the credentials in it, fit to be shown."""
    return re.sub(r"(\?).*", r"\1***", re.sub(r"//.*@", "//***@", uri))


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
            f"cannot use the tracker {masked(uri)}: {reason(error, uri)}; start it, or name another with --tracking"
        ) from None


def reason(error: BaseException, uri: str) -> str:
    """The gist of an error in one line, without the credentials of an address."""
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return "unknown host"
        case ModuleNotFoundError():
            return f"the Python package {error.name} is not installed"
    text = (str(error).strip().splitlines() or [""])[0].replace(uri, masked(uri))
    user, _, password = uri.partition("//")[2].rpartition("@")[0].partition(":")
    for secret in {password, unquote(password)} - {""}:
        text = text.replace(secret, "***")
    return f"{text[:200]}" if text else type(error).__name__


def _probe(uri: str, deadline: float) -> None:
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        _probe_sqlite(uri)
    elif scheme in _PORTS:
        if not _proxied(uri):
            within(deadline - time.monotonic(), lambda: _open_port(uri, scheme, deadline))
        ask = _ask_server if scheme in ("http", "https") else _ask_database
        client = connect if ask is _ask_server else None
        within(max(_LEAST_SECONDS, deadline - time.monotonic()), lambda: ask(uri))
    else:
        raise ValueError("sqlite:///PATH, http://HOST:PORT, or postgresql://, mysql:// or mssql:// was wanted")
