"""Reads a study back from MLflow: what `record` made of the ledger's documents, turned round.

Numbers come back to the last bit: MLflow stores metrics as doubles, and parameters are texts that Python reads back as
the same number. What is None or empty is not recorded, so it is absent here.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.errors import PlatformError, StudyError, TrackingError
from lejepa_platform.tracking.address import check_tracking, masked, reason
from lejepa_platform.tracking.cache import MirroredTrial, cache_path, load_trials, save_trials
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.mirror import MIRRORED_AT, PAGE
from lejepa_platform.tracking.record import NOT_FINAL, Stamp

T = TypeVar("T")
FIRST_PAGE: Final = 100
"""Runs asked for first where most are known already."""
_TRIALS: Final = "tags.role = 'trial'"
_NEWEST_FIRST: Final = [f"tags.{MIRRORED_AT} DESC"]
_OWN: Final = ("hp/", "cost/")
"""Metrics that no result holds."""
_HINTS: Final[Mapping[str, Any]] = {
    "lambda" if name == "lambda_" else name: hint for name, hint in get_type_hints(TrialConfig).items()
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MirroredStudy:
    """A study as a tracker holds it."""

    document: Flat | None
    """`study.json`; None if the tracker has no such file."""
    experiment_id: str
    trials: tuple[MirroredTrial, ...]
    """One per trial key."""

    def links(self) -> dict[str, str]:
        """Trial key -> "#/experiments/E/runs/R", to be put behind the address of MLflow's pages."""
        page = f"#/experiments/{self.experiment_id}/runs"
        return {trial.document["key"]: f"{page}/{trial.run_id}" for trial in self.trials}


def mirrored_studies(uri: str) -> list[str]:
    """Names of a tracker's studies.

    Raises:
        TrackingError: If the tracker cannot be used.
    """
    check_tracking(uri)
    return _answered(uri, lambda: sorted(_study_names(connect(uri))))


def read_mirrored(name: str, uri: str, cache: Path | None = None) -> MirroredStudy:
    """Read a study from a tracker.

    Args:
        name: The study's name.
        uri: The tracker.
        cache: Folder to keep what was read in; the next time only runs that were written to since are asked for.
            Nothing is kept if None.

    Raises:
        TrackingError: If the tracker cannot be used, or fails on the way.
        StudyError: If it does not know the study.
        StorageError: If the cache cannot be written.
    """
    check_tracking(uri)
    return _answered(uri, lambda: _read(connect(uri), name, uri, cache))


def _answered(uri: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except PlatformError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the tracker {masked(uri)} failed: {reason(error, uri)}; look at its log, and try again"
        ) from error


def _read(client: Any, name: str, uri: str, cache: Path | None) -> MirroredStudy:
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        known = " ".join(sorted(_study_names(client))[:20]) or "none"
        raise StudyError(f"the tracker {masked(uri)} holds no study {name!r}; it holds: {known}")
    identity = str(experiment.experiment_id)
    path = cache_path(cache, uri, identity) if cache else None
    trials = _trials(client, identity, path)
    return MirroredStudy(document=_document(client, identity), experiment_id=identity, trials=trials)


def _trials(client: Any, experiment_id: str, path: Path | None) -> tuple[MirroredTrial, ...]:
    held = load_trials(path) if path else {}
    new = {trial.run_id: trial for trial in _changed(client, experiment_id, held)}
    if path and new:
        save_trials(path, (held | new).values())
    gone = _deleted(client, experiment_id) if held else set()
    present = [trial for run_id, trial in (held | new).items() if run_id not in gone]
    # Of two runs for one trial, as two writers at a time would make, the later counts.
    return tuple({trial.document["key"]: trial for trial in sorted(present, key=lambda t: t.mirrored_at)}.values())


def _changed(client: Any, experiment_id: str, held: Mapping[str, MirroredTrial]) -> Iterator[MirroredTrial]:
    """Trials written to since those of `held` were: newest first, up to the first that is known."""
    token, size = None, FIRST_PAGE if held else PAGE
    while True:
        page = client.search_runs(
            [experiment_id], _TRIALS, max_results=size, order_by=_NEWEST_FIRST, page_token=token
        )
        for run in page:
            at = run.data.tags.get(MIRRORED_AT, "")
            known = held.get(run.info.run_id)
            if at and known and known.mirrored_at == at:
                return
            yield MirroredTrial(run.info.run_id, at, trial_document(run.data.params, run.data.metrics, run.data.tags))
        token, size = page.token, PAGE
        if not token:
            return


def _deleted(client: Any, experiment_id: str) -> set[str]:
    from mlflow.entities import ViewType

    found, token = set(), None
    while True:
        page = client.search_runs(
            [experiment_id], _TRIALS, ViewType.DELETED_ONLY, max_results=PAGE, page_token=token
        )
        found |= {run.info.run_id for run in page}
        token = page.token
        if not token:
            return found


def trial_document(params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]) -> Flat:
    """What `MirroredTrial.document` holds, from a run's parameters, last metrics and tags."""
    outcome, stamp = tags.get("outcome"), Stamp.parse(tags.get("mirrored", ""))
    passing = set(tags.get(NOT_FINAL, "").split(","))
    final = {k: v for k, v in metrics.items() if not k.startswith(_OWN) and k not in passing}
    held = [json.loads(text) for name, text in tags.items() if name.startswith("transfer/")]
    return {
        "key": tags.get("trial_key", ""),
        "outcome": outcome,
        "reason": tags.get("failure_reason", ""),
        "config": {name: _value(name, text) for name, text in params.items()},
        "metrics": final if outcome else {},
        "seconds": metrics.get("cost/seconds") if outcome else None,
        "epochs": stamp.epochs if stamp else 0,
        "transfer": {entry.pop("dataset"): entry for entry in held},
    }


def _value(name: str, text: str) -> Any:
    """A parameter as the configuration has it; the inverse of how `record` writes it."""
    hint = _HINTS.get(name, str)
    kind = next((part for part in get_args(hint) if part is not NoneType), hint) if NoneType in get_args(hint) else hint
    if kind is bool:
        return text == "True"
    if kind in (int, float):
        return int(text) if text.removeprefix("-").isdigit() else float(text)
    return json.loads(text) if get_origin(kind) is tuple else text


def _document(client: Any, experiment_id: str) -> Flat | None:
    """The study's `study.json`, None if there is none or it lies where this process cannot read."""
    for run in client.search_runs([experiment_id], "tags.role = 'study'", max_results=1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = client.download_artifacts(run.info.run_id, "study.json", folder)
                document: Flat = json.loads(Path(path).read_bytes())
            except Exception:
                # Each kind of artifact store has its own errors; the trials are here all the same.
                return None
            return document
    return None


def _study_names(client: Any) -> Iterator[str]:
    token = None
    while True:
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from (experiment.name for experiment in page if experiment.name != "Default")
        token = page.token
        if not token:
            return
