"""A tracking server for a team: a database, an artifact root, passwords; what `lejepa server` and the images start."""

import ipaddress
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lejepa_platform.errors import TrackingError
from lejepa_platform.tracking.ui import ENVIRONMENT

LEAST_PASSWORD: Final = 12
LEAST_KEY: Final = 32
"""Characters."""
REMEMBERED: Final = 60
"""Seconds for which a password that was right is right: one that was changed may be taken for so long."""
_GUESSED: Final = ("password", "admin", "mlflow", "changeme", "secret", "lejepa", "123456", "qwerty")
"""What no password may be made of alone, with digits and punctuation around it."""


def server_command(
    *, artifacts: str, host: str, port: int, workers: int, allowed_hosts: Sequence[str], authenticated: bool
) -> list[str]:
    """How MLflow's server is started; the database comes in its environment, where `ps` does not show it.

    Args:
        artifacts: URI of the artifact root; clients reach it through the server alone.
        host: Address to listen on.
        port: Port.
        workers: Processes.
        allowed_hosts: What clients may call the server, with and without a port; by default this machine's names and
            private addresses.
        authenticated: Whether users and passwords are asked for.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--artifacts-destination", artifacts]
    command += ["--host", host, "--port", str(port), "--workers", str(workers)]
    if allowed_hosts:
        names = [name for host in allowed_hosts for name in ((host,) if ":" in host else (host, f"{host}:{port}"))]
        command += ["--allowed-hosts", ",".join(names)]
    if authenticated:
        command += ["--app-name", "basic-auth"]
    return command


@contextmanager
def server_environment(
    store: str,
    *,
    database_password: Path | None = None,
    admin: str = "admin",
    admin_password: Path | None = None,
    secret_key: Path | None = None,
) -> Iterator[dict[str, str]]:
    """The variables that go with `server_command`, while it runs.

    Args:
        store: URI of the database.
        database_password: File that holds its password, so that the URI need not.
        admin: Name of the first user, who may do everything.
        admin_password: File that holds their password. With it come users and passwords, kept in the same database.
        secret_key: File that holds what sessions are signed with: any long text, the same in all servers.

    Raises:
        TrackingError: If a secret is missing, or one that others can guess.
    """
    environment = {**ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": store}
    if database_password is not None:
        environment["PGPASSWORD"] = _secret(database_password, "--database-password-file", least=1)
    if admin_password is None:
        yield environment
        return
    if secret_key is None:
        raise TrackingError(
            "--admin-password-file came without --secret-key-file; give it a file of 32 characters or more, such as "
            "one made by: openssl rand -hex 32"
        )
    environment |= {
        "MLFLOW_AUTH_ADMIN_USERNAME": admin,
        "MLFLOW_AUTH_ADMIN_PASSWORD": _password(admin_password, admin),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": _secret(secret_key, "--secret-key-file", least=LEAST_KEY),
        # A route that MLflow forgot to guard is refused rather than open.
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    }
    with tempfile.TemporaryDirectory(prefix="lejepa-server-") as folder:
        path = Path(folder) / "auth.ini"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            # configparser takes a percent sign for a reference.
            file.write(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {store.replace('%', '%%')}\n")
            # Each call would hash the password anew, which takes longer than most calls.
            file.write(f"auth_cache_ttl_seconds = {REMEMBERED}\n")
        yield environment | {"MLFLOW_AUTH_CONFIG_PATH": str(path)}


def require_guarded(host: str, *, authenticated: bool) -> None:
    """Refuse to let other machines read and write without a password.

    Raises:
        TrackingError: If the address is not this machine's own and nobody is asked who they are.
    """
    if authenticated or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise TrackingError(
            f"--host {host} came without --admin-password-file: whoever reaches it could read and write; give it one, "
            "or listen on 127.0.0.1"
        )


def _secret(path: Path, option: str, *, least: int) -> str:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TrackingError(f"{option} {path} cannot be read: {why}; name a file that holds the secret alone") from None
    if len(text) < least:
        raise TrackingError(f"{option} {path} holds {len(text)} characters, {least} or more were wanted")
    return text


def _password(path: Path, admin: str) -> str:
    password = _secret(path, "--admin-password-file", least=LEAST_PASSWORD)
    letters = "".join(character for character in password.lower() if character.isalpha())
    if letters in (*_GUESSED, admin.lower(), "") or len(set(password)) < 6:
        raise TrackingError(
            f"--admin-password-file {path} holds a password that is easily guessed; make one, such as by: "
            "openssl rand -base64 24"
        )
    return password
