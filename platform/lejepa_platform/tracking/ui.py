"""MLflow's own pages over a storage folder, for this machine only unless told otherwise."""

import sys
from pathlib import Path

from lejepa_platform.errors import TrackingError
from lejepa_platform.serving import require_free, serve
from lejepa_platform.storage import Location
from lejepa_platform.tracking.address import default_uri

ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Job endpoints run code for whoever reaches the port.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def ui(storage: Location, port: int = 5000, host: str = "127.0.0.1") -> int:
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
    if not isinstance(storage, Path):
        raise TrackingError(
            f"{storage} came, a folder was wanted: no database is kept in a store; open the pages of the tracker that "
            "the study was given with --tracking-uri, or `lejepa report STUDY`"
        )
    if not (storage / "mlflow.db").is_file():
        raise TrackingError(f"{storage} holds no mlflow.db; run a study in it, or `lejepa sync STUDY`")
    require_free(host, port, TrackingError)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", str(default_uri(storage))]
    command += ["--artifacts-destination", (storage.absolute() / "mlartifacts").as_uri()]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    # MLflow opens on traces; the switch is kept by the browser, and no tag of an experiment turns it.
    print(f"MLflow: http://{host}:{port} in a few seconds; switch to Model training there; Ctrl-C ends it", flush=True)
    return serve(command, ENVIRONMENT)
