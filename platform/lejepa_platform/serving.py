"""Servers that a command starts and takes along when it ends: for this machine only, unless told otherwise."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from lejepa_platform.errors import PlatformError


def serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server until it ends or this process is interrupted or terminated.

    Args:
        command: What to start.
        environment: Variables beside those of this process.

    Returns:
        The server's exit code; 0 if it was interrupted.
    """
    with subprocess.Popen(command, env={**os.environ, **environment}) as server, _stopped_by(signal.SIGTERM):
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def require_free(host: str, port: int, error: type[PlatformError] = PlatformError) -> None:
    """Make sure that a server could listen on a port.

    Raises:
        PlatformError: If it is taken, or not for this user; of the given type.
    """
    with socket.socket() as probe:
        # As the server does, so that a port just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as failure:
            why = failure.strerror if isinstance(failure, OSError) else "no such port"
            raise error(f"cannot listen on port {port} of {host}: {why}; choose another with --port") from failure


@contextmanager
def _stopped_by(number: signal.Signals) -> Iterator[None]:
    """Have a signal end this process as Ctrl-C does, so that it takes the server along."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)
