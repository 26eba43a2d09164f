"""How a cluster is entered: its default address, and Ray's token, where it is looked for and who may read it."""

import os
import secrets
import uuid
from contextlib import suppress
from pathlib import Path

PLACES = "RAY_AUTH_TOKEN, the file that RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token"
"""Where a token is looked for, as errors say it."""


def default_address() -> str | None:
    """The cluster of a command that names none: that of LEJEPA_ADDRESS, which submitted jobs are given."""
    return os.environ.get("LEJEPA_ADDRESS")


def ray_token() -> str | None:
    """The token of a cluster, as Ray would find it; None if there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named).expanduser() if named else _default_path()
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def protect_token(*, make: bool = False) -> None:
    """Keep others from Ray's token and its folder; Ray itself writes it with the default rights.

    Args:
        make: Whether to make a token where none is found, so that Ray has none to write.
    """
    folder = _default_path().parent
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if make and ray_token() is None:
        fresh = folder / f".{uuid.uuid4().hex}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(fresh, _default_path())
        fresh.unlink()
    if _default_path().exists():
        _default_path().chmod(0o600)


def _default_path() -> Path:
    return Path.home() / ".ray" / "auth_token"
