"""How this process talks to MLflow: quietly, with bounded patience, and importing it on first use only."""

import logging
import os
from typing import Any

_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # We retry ourselves, after looking what arrived: a retry below us could make a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_NOISY = ("mlflow", "alembic", "urllib3.connectionpool")


def load() -> Any:
    """Import MLflow, about two seconds the first time, and keep it from writing over a live table."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def connect(uri: str) -> Any:
    """An `MlflowClient` for a tracker."""
    return load().MlflowClient(tracking_uri=uri)
