"""What the images start, started here: their entrypoints, as a user who is not root."""

import os
import pwd
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

from studies import ROOT

DOCKER = ROOT / "docker"
ENTRYPOINTS = DOCKER / "entrypoints"
PROGRAMS = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


def unprivileged(command: Sequence[str]) -> list[str]:
    """A command as a container runs it; for root through a user namespace, where its files are those of that user."""
    if os.geteuid() != 0:
        return list(command)
    user = pwd.getpwnam("postgres")
    return ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", *command]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """All that a container gives to its command."""
    return {"PATH": PROGRAMS, "HOME": str(home), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", **variables}


def secret(path: Path, value: str | None = None, mode: int = 0o600) -> Path:
    """A file with a secret: a good one unless told otherwise."""
    path.write_text(secrets.token_hex(32) if value is None else value)
    path.chmod(mode)
    return path


def entrypoint(name: str, *arguments: str, home: Path, **variables: str) -> CompletedProcess[str]:
    """Run an entrypoint that ends by itself."""
    command = unprivileged([str(ENTRYPOINTS / name), *arguments])
    return subprocess.run(command, env=environment(home, **variables), capture_output=True, text=True, timeout=120)


def healthy(url: str, home: Path) -> bool:
    """Whether the images' health check is content with a page."""
    return entrypoint("healthy.sh", url, home=home).returncode == 0


@contextmanager
def started(command: Sequence[str], log: Path, variables: dict[str, str], *, grace: float = 60) -> Iterator[int]:
    """A server in a session of its own, asked to end at the end; nothing of it is left."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            unprivileged(command), env=variables, stdout=out, stderr=out, start_new_session=True, cwd=log.parent
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(grace)
        finally:
            subprocess.run(["pkill", "-KILL", "--session", str(process.pid)], check=False)
