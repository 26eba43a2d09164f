"""Measured trials from the ledger of a study, for the cost model to be calibrated on."""

import io
import json

import numpy as np

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.storage import read_bytes
from sweeps.costs import Measured
from sweeps.workload import Images, workload_of


def measured_trials(study: StudyLedger) -> list[Measured]:
    """The trials of a study that were trained to their end by one process on a core.

    Args:
        study: Finished or not.
    """
    return [found for trial in study.trials() if (found := _measured(trial)) is not None]


def _measured(trial: TrialLedger) -> Measured | None:
    result = trial.result()
    if result is None or result["outcome"] not in ("ok", "collapsed") or not _on_one_core(trial):
        return None
    config = TrialConfig.from_flat(result["config"])
    return Measured(work=workload_of(config, _images(trial, config)), seconds=result["seconds"])


def _on_one_core(trial: TrialLedger) -> bool:
    held = json.loads(read_bytes(trial.path / "environment.json") or b"{}")
    return (held.get("device"), held.get("threads"), held.get("world_size")) == ("cpu", 1, 1)


def _images(trial: TrialLedger, config: TrialConfig) -> Images:
    """Of its data set: from the steps that it made, and the predictions that it kept."""
    steps = trial.history()[-1]["step"] / config.epochs
    labels = _labels(trial)
    return Images(
        train=round(steps * config.batch_size), test=len(labels), classes=int(labels.max()) + 1 if len(labels) else 1
    )


def _labels(trial: TrialLedger) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    kept = read_bytes(trial.path / "predictions.npz")
    if kept is None:
        return np.zeros(0, dtype=np.int64)
    with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
        return np.asarray(arrays["label"], dtype=np.int64)
