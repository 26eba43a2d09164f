"""A PostgreSQL of a test's own: Debian's binaries, a cluster in a fresh folder, a free port of 127.0.0.1."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trackers import free_port, wait_for

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database."""

    uri: str
    """Without the password."""
    password: str


@contextmanager
def database(password: str) -> Iterator[Database]:
    """A cluster that asks for a password; ended and removed afterwards. PostgreSQL refuses to run as root."""
    assert _BINARIES, "no PostgreSQL: apt-get install postgresql"
    folder = Path(tempfile.mkdtemp(prefix="lejepa-postgres-"))
    as_user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    if as_user:
        shutil.chown(folder, **as_user)
    port, data = free_port(), folder / "data"
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o644)
    make = [_BINARIES[-1] / "initdb", "-D", data, "-U", "mlflow", "-A", "scram-sha-256"]
    make += [f"--pwfile={folder / 'password'}", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
    command = [_BINARIES[-1] / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_user)  # type: ignore[call-overload]
    address = ["-h", "127.0.0.1", "-p", str(port), "-U", "mlflow"]

    def answers() -> bool:
        assert server.poll() is None, (folder / "log").read_text()
        return subprocess.run([_BINARIES[-1] / "pg_isready", "-q", *address]).returncode == 0

    try:
        wait_for(answers, 60)
        environment = {**os.environ, "PGPASSWORD": password}
        subprocess.run([_BINARIES[-1] / "createdb", *address, "mlflow"], check=True, env=environment)
        yield Database(f"postgresql://mlflow@127.0.0.1:{port}/mlflow", password)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder)
