"""How a cluster is entered: its default address, and Ray's token, where it is looked for and who may read it."""

import os
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


def protect_token() -> None:
    """Keep others from Ray's token, which it writes with the default rights: nobody else may enter its folder."""
    folder = _default_path().parent
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if _default_path().exists():
        _default_path().chmod(0o600)


def _default_path() -> Path:
    return Path.home() / ".ray" / "auth_token"
