"""MLflow's own pages over a storage folder, for this machine only unless told otherwise."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lejepa_platform.errors import TrackingError
from lejepa_platform.tracking.address import default_uri

_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Job endpoints run code for whoever reaches the port.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def ui(storage: Path, port: int = 5000, host: str = "127.0.0.1") -> int:
    """Serve MLflow's pages until interrupted.

    Args:
        storage: Folder whose `mlflow.db` to show.
        port: Port to listen on.
        host: Address to listen on; another than the loopback address lets others read and write.

    Returns:
        The server's exit code; 0 if it was interrupted.

    Raises:
        TrackingError: If there is nothing to show, or the port is taken.
    """
    if not (storage / "mlflow.db").is_file():
        raise TrackingError(f"{storage} holds no mlflow.db; run a study in it, or `lejepa sync STUDY`")
    _require_free(host, port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", default_uri(storage)]
    command += ["--artifacts-destination", (storage.absolute() / "mlartifacts").as_uri()]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    print(f"MLflow: http://{host}:{port} in a few seconds; Ctrl-C ends it", flush=True)
    with subprocess.Popen(command, env={**os.environ, **_ENVIRONMENT}) as server, _stopped_by(signal.SIGTERM):
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


@contextmanager
def _stopped_by(number: signal.Signals) -> Iterator[None]:
    """Have a signal end this process as Ctrl-C does, so that it takes the server along."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server does, so that a port just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TrackingError(
                f"cannot listen on port {port} of {host}: {error.strerror}; choose another with --port"
            ) from error
