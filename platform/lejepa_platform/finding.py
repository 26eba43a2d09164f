"""From what a person calls a trial, its key or its run in MLflow, to its folder."""

import re
from pathlib import Path

from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import StudyLedger

_KEY = re.compile(r"[0-9a-f]{16}")
_RUN = re.compile(r"[0-9a-f]{32}")


def is_run_id(name: str) -> bool:
    """Whether a name is one of MLflow's for a run rather than the key of a trial.

    Raises:
        StudyError: If it is neither.
    """
    if _RUN.fullmatch(name):
        return True
    if _KEY.fullmatch(name):
        return False
    raise StudyError(
        f"{name!r} came, the key of a trial (16 hexadecimal digits, a folder of STUDY/trials) or the id of its run in "
        "MLflow (32) was wanted"
    )


def find_trial(key: str, storage: Path, study: str | None = None) -> StudyLedger | None:
    """The study that holds a trial.

    Args:
        key: Of the trial.
        storage: Folder of all studies.
        study: Name under the storage, or path; None for any study there. Trials of one key are the same trial, so
            that any will do: of several the first that finished it.

    Returns:
        None if there is none.

    Raises:
        StudyError: If the study does not exist.
    """
    if study is not None:
        studies = [StudyLedger.find(study, storage)]
    else:
        studies = [StudyLedger(path.parent) for path in sorted(storage.glob("*/study.json"))]
    holding = [held for held in studies if held.trial(key).config() is not None]
    return next((held for held in holding if held.trial(key).finished()), holding[0] if holding else None)
