"""Reads a study back from MLflow: what `record` made of the ledger's documents, turned round.

Numbers come back to the last bit: MLflow stores metrics as doubles, and parameters are texts that Python reads back as
the same number. What is None or empty is not recorded, so it is absent here.
"""

import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.errors import PlatformError, StudyError, TrackingError
from lejepa_platform.tracking.address import check_tracking, masked, reason
from lejepa_platform.tracking.asking import MIRRORED_AT, OVERLAP, PAGE, STAMP, TRIALS, deleted, pages, written_since
from lejepa_platform.tracking.cache import CachedRun, Held, cache_path, load_runs, save_runs
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.record import ENVIRONMENT, NOT_FINAL, VARIANT, Stamp

T = TypeVar("T")
_OWN: Final = ("hp/", "cost/", "system/")
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
    trials: tuple[CachedRun, ...]
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


@dataclass(frozen=True, kw_only=True, slots=True)
class MirroredRun:
    """A run of a trial, as a tracker holds it."""

    study: str
    document: Flat
    """From `trial_document`."""
    environment: Flat
    """The contents of the trial's `environment.json`; empty if the tracker was told none."""


def read_run(run_id: str, uri: str) -> MirroredRun:
    """Read one run of a trial from a tracker.

    Args:
        run_id: 32 hexadecimal digits.
        uri: The tracker.

    Raises:
        TrackingError: If the tracker cannot be used, or knows no such run.
        StudyError: If it is no run of a trial.
    """
    check_tracking(uri)
    data = _answered(uri, lambda: connect(uri).get_run(run_id).data)
    if data.tags.get("role") != "trial":
        raise StudyError(f"run {run_id} of {masked(uri)} is no run of a trial; name one that has a trial_key")
    return MirroredRun(
        study=data.tags.get("study", ""),
        document=trial_document(data.params, data.metrics, data.tags),
        environment=json.loads(data.tags.get(ENVIRONMENT, "{}")),
    )


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
    with without_gc():
        return _answered(uri, lambda: _read(connect(uri), name, uri, cache))


@contextmanager
def without_gc() -> Iterator[None]:
    """Make many small objects that all stay: the collector would look through them again and again, half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
    path = cache_path(cache, uri, identity, experiment.creation_time) if cache else None
    trials = _trials(client, identity, path)
    return MirroredStudy(document=_document(client, identity), experiment_id=identity, trials=trials)


def _trials(client: Any, experiment_id: str, path: Path | None) -> tuple[CachedRun, ...]:
    held, start = load_runs(path) if path else Held({}), int(time.time())
    new = {trial.run_id: trial for trial in _changed(client, experiment_id, held, start)}
    trials = {**held.runs, **new}
    if path and new:
        newest = max(trial.mirrored_at for trial in trials.values())
        save_runs(path, Held(trials, min(newest, start - OVERLAP)))
    gone = deleted(client, experiment_id) if held.runs else set()
    present = [trial for run_id, trial in trials.items() if run_id not in gone]
    # Of two runs for one trial, as two writers at a time would make, the later counts.
    return tuple({trial.document["key"]: trial for trial in sorted(present, key=lambda t: t.mirrored_at)}.values())


def _changed(client: Any, experiment_id: str, held: Held, now: int) -> Iterator[CachedRun]:
    """Trials written to since those of `held` were; all trials if nothing is held."""
    if held.since > 0:
        runs = written_since(client, experiment_id, held.since, now)
    else:
        runs = pages(client, experiment_id, TRIALS)
    for run in runs:
        if Stamp.parse(run.data.tags.get(STAMP, "")) is None:
            # Made a moment ago: parameters, metrics and the stamp come together, and later.
            continue
        at = int(run.data.tags.get(MIRRORED_AT, 0))
        known = held.runs.get(run.info.run_id)
        if known is not None and known.mirrored_at == at < held.since:
            continue
        document = trial_document(run.data.params, run.data.metrics, run.data.tags)
        trial = CachedRun(run.info.run_id, at, document)
        if trial != known:
            yield trial


def trial_document(params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]) -> Flat:
    """The fields of `result.json`, from a run's parameters, last metrics and tags.

    Without a result `outcome` is None and `metrics` is empty. Beside them `epochs`, how many of them are done,
    `variant`, its name, and `transfer`, as `transfer.json` but without its metrics, which are in `metrics`.
    """
    outcome, stamp = tags.get("outcome"), Stamp.parse(tags.get(STAMP, ""))
    passing = set(tags.get(NOT_FINAL, "").split(","))
    final = {k: v for k, v in metrics.items() if not k.startswith(_OWN) and k not in passing}
    held = [json.loads(text) for name, text in tags.items() if name.startswith("transfer/")]
    return {
        "key": tags.get("trial_key", ""),
        "outcome": outcome,
        "reason": tags.get("failure_reason", ""),
        "config": {name: _value(name, text) for name, text in params.items() if name != VARIANT},
        "variant": tags.get(VARIANT, ""),
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
