"""Mirrors studies to MLflow, and is the only place that knows it.

    address.py   where a tracker is, and whether it can be reached
    client.py    how this process talks to MLflow: quietly, and with bounded patience
    record.py    what MLflow should hold about a trial, from its ledger alone
    inputs.py    the data set of a trial, in MLflow's terms
    asking.py    questions for what is new in MLflow
    cache.py     what was read or written, for the next process
    runs.py      what is known of runs in MLflow, and of what changed since
    mirror.py    makes MLflow hold exactly that, whatever it held before
    tracker.py   the background thread, and the same work in the foreground
    reader.py    the way back: a study as MLflow holds it
    ui.py        MLflow's own pages over a storage folder
    server.py    MLflow for a team: a database, artifacts, users

The ledger is the truth: everything here can be lost and made again by `sync`.
"""

from lejepa_platform.tracking.address import (
    artifacts_of,
    check_tracking,
    default_uri,
    known_tracker,
    masked,
    tracking_uri,
)
from lejepa_platform.tracking.reader import (
    MirroredRun,
    MirroredStudy,
    mirrored_studies,
    read_mirrored,
    read_run,
    without_gc,
)
from lejepa_platform.tracking.tracker import Tracker, run_links, sync
from lejepa_platform.tracking.ui import ui

__all__ = [
    "MirroredRun",
    "MirroredStudy",
    "Tracker",
    "artifacts_of",
    "check_tracking",
    "default_uri",
    "known_tracker",
    "masked",
    "mirrored_studies",
    "read_mirrored",
    "read_run",
    "run_links",
    "sync",
    "tracking_uri",
    "ui",
    "without_gc",
]
