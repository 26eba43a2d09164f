"""`lejepa rerun`: a trial once more from its record, and whether the same comes out to the last bit."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import tyro

from lejepa_core.errors import LejepaError
from lejepa_core.settings import Stream
from lejepa_platform.config import METHOD_VERSION, Flat, TrialConfig
from lejepa_platform.errors import StudyError
from lejepa_platform.finding import find_trial, is_run_id
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Location, cache_of
from lejepa_platform.task import TrialTask

_SHOWN = 20
"""Most differences that are listed."""
_INCIDENTAL = ("attempt", "preprocessing", "streamed", "gpus")
"""What an environment holds besides that explains no difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is known of a trial that ended."""

    config: TrialConfig
    outcome: str
    metrics: Mapping[str, float | None]
    """Under their public names; what has no value may be absent."""
    complete: bool
    """Whether these are the metrics of the result and nothing else; if not, later measurements may be among them."""
    environment: Flat
    labelled: bool
    study: StudyLedger | None
    """Where its ledger is."""

    @classmethod
    def from_ledger(cls, study: StudyLedger, key: str) -> Self:
        """A trial as its folder has it.

        Raises:
            StudyError: If it has no result, or is of another version of the method.
        """
        result = study.trial(key).result()
        if result is None:
            raise StudyError(f"trial {key} of {study.name} is not finished; there is nothing to compare with")
        return cls(
            config=_config(result["config"], key),
            outcome=result["outcome"],
            metrics=result["metrics"],
            complete=True,
            environment=study.trial(key).environment(),
            labelled=bool(study.read()["config"]["labelled"]),
            study=study,
        )

    @classmethod
    def from_run(cls, document: Flat, environment: Flat) -> Self:
        """A trial as MLflow has it.

        Raises:
            StudyError: If it has no result, or is of another version of the method.
        """
        if not document["outcome"]:
            raise StudyError(f"trial {document['key']} is not finished; there is nothing to compare with")
        return cls(
            config=_config(document["config"], document["key"]),
            outcome=document["outcome"],
            metrics=document["metrics"],
            complete=False,
            environment=environment,
            labelled="floor/chance" in document["metrics"],
            study=None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """Repeat a finished trial from its record, and compare its metrics bit for bit."""

    trial: tyro.conf.Positional[str]
    """The trial's key, or the id of its run in MLflow."""
    study: str | None = None
    """Name under the storage, or path; by default any study there that holds the trial."""
    storage: Path = Path("studies")
    """Folder of all studies; without the trial in it, the run in MLflow suffices."""
    tracking_uri: str | None = None
    """MLflow tracking store that knows the run; by default MLFLOW_TRACKING_URI, or mlflow.db in the storage."""
    data: str | None = None
    """Where the images are, such as folder:PATH; by default where the study had them. Others are refused."""
    data_root: Path | None = None
    """Folder of downloaded data sets."""
    to: Annotated[Path | None, tyro.conf.arg(name="to")] = None
    """Folder to keep the rerun in; by default one in STORAGE/.reruns, which goes if all is identical."""

    def run(self) -> int:
        """Repeat, compare, and say what differs; 0 if nothing does."""
        record = self._record()
        folder = _fresh(self.to, self.storage, record.config.key)
        task = _begun(record, folder, self.storage, self.data, self.data_root)
        _run(task, int(record.environment.get("world_size", 1)))
        found = StudyLedger(folder).trial(record.config.key)
        result = found.result()
        if result is None:
            raise StudyError(f"the rerun ended without a result; see {found.path / 'log.txt'}")
        count, different = compare(record, result)
        if not different:
            print(f"identical: {count} metrics")
            if self.to is None:
                shutil.rmtree(folder, ignore_errors=True)
            return 0
        print(f"different: {len(different)} of {count} metrics; the rerun is in {folder}")
        for line in different[:_SHOWN]:
            print(f"  {line}")
        changed = changes(record.environment, found.environment())
        print("environment: " + ("; ".join(changed) or "the same, as far as it was noted"))
        return 1

    def _record(self) -> Record:
        key, study = self.trial, self.study
        run = None
        if is_run_id(self.trial):
            from lejepa_platform import tracking

            run = tracking.read_run(self.trial, tracking.tracking_uri(self.tracking_uri, self.storage))
            key = run.document["key"]
            study = study or (run.study if (self.storage / run.study / "study.json").is_file() else None)
        held = find_trial(key, self.storage, study)
        if held is not None:
            return Record.from_ledger(held, key)
        if run is None:
            raise StudyError(
                f"{self.storage} holds no trial {key}; name another folder with --storage, or the id of its run in "
                "MLflow with --tracking-uri"
            )
        return Record.from_run(run.document, run.environment)


def compare(record: Record, result: Flat) -> tuple[int, list[str]]:
    """What a rerun has otherwise than the record.

    Args:
        record: Of the trial.
        result: The contents of the rerun's `result.json`.

    Returns:
        How many metrics were compared, and a line for each that differs.
    """
    before, after = record.metrics, result["metrics"]
    names = sorted({*after, *(before if record.complete else ())})
    names = [name for name in names if before.get(name) is not None or after.get(name) is not None]
    lines = [
        f"{name}: {before.get(name)!r} there, {after.get(name)!r} here"
        for name in names
        if before.get(name) != after.get(name)
    ]
    if result["outcome"] != record.outcome:
        reason = f" ({result['reason']})" if result.get("reason") else ""
        lines.insert(0, f"outcome: {record.outcome} there, {result['outcome']}{reason} here")
    return len(names), lines


def changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two environments, one line each."""
    lines = []
    for name in [*after, *(name for name in before if name not in after)]:
        there, here = before.get(name), after.get(name)
        if there == here or there is None or (not prefix and name in _INCIDENTAL):
            continue
        if isinstance(there, dict) and isinstance(here, dict):
            lines += changes(there, here, f"{prefix}{name}.")
        else:
            lines.append(f"{prefix}{name} {there} there, {here} here")
    return lines


def task_of(
    study: StudyLedger,
    config: TrialConfig,
    folder: Location,
    *,
    source: str | None = None,
    data_root: Path | None = None,
) -> TrialTask:
    """A trial of a study, as a task that writes into another study folder and has not begun.

    Args:
        study: That the trial is of.
        config: Of the trial.
        folder: Where its ledger goes.
        source: Where its images are, if not where the study had them.
        data_root: Folder of downloaded data sets.
    """
    document = study.read()
    return TrialTask(
        config=config.flat(),
        study=str(folder.resolve()),
        attempt=0,
        source=source or document["sources"][config.dataset],
        cache=str(cache_of(study.path.parent).resolve()),
        data_root=str(data_root.resolve()) if data_root else None,
        labelled=bool(document["config"]["labelled"]),
        streams=document.get("streams", {}),
    )


def _config(flat: Flat, key: str) -> TrialConfig:
    try:
        config = TrialConfig.from_flat(flat)
    except TypeError as error:
        raise StudyError(f"trial {key} has settings that this version does not know: {error}; use its commit") from None
    if config.key != key:
        raise StudyError(
            f"trial {key} would be {config.key} in version {METHOD_VERSION} of the method, which gives other results; "
            "use the commit that it was run with"
        )
    return config


def _fresh(to: Path | None, storage: Path, key: str) -> Path:
    if to is not None:
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise StudyError(f"{to} exists and is not empty; name another folder with --to")
        to.mkdir(parents=True, exist_ok=True)
        return to
    reruns = storage / ".reruns"
    reruns.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{key}-", dir=reruns))


def _begun(record: Record, folder: Path, storage: Path, data: str | None, data_root: Path | None) -> TrialTask:
    """The trial as a task with its threads, micro-batches and device, its first attempt begun."""
    config, held = record.config, record.environment
    source = _absolute(data) if data else None
    if record.study is not None:
        task = task_of(record.study, config, folder, source=source, data_root=data_root)
    else:
        if source is None and config.dataset.startswith("folder:"):
            raise StudyError(
                f"the images of {config.dataset} are not known here; say where they are: --data folder:PATH"
            )
        stream: Stream = "always" if held.get("streamed") else "auto"
        task = TrialTask(
            config=config.flat(),
            study=str(folder.resolve()),
            attempt=0,
            source=source or config.dataset,
            cache=str(cache_of(storage).resolve()),
            data_root=str(data_root.resolve()) if data_root else None,
            labelled=record.labelled,
            streams={config.dataset: stream},
        )
    attempt = StudyLedger(folder).trial(config.key).begin(config).attempt
    cuda = str(held.get("device", "cpu")).startswith("cuda")
    gpus = float(held.get("gpus") or 1.0) if cuda else 0.0
    threads, micro_batch = int(held.get("threads", 1)), held.get("micro_batch")
    return replace(task, attempt=attempt, threads=threads, gpus=gpus, micro_batch=micro_batch)


def _absolute(source: str) -> str:
    kind, colon, path = source.partition(":")
    return f"folder:{Path(path).resolve()}" if colon and kind == "folder" else source


def _run(task: TrialTask, processes: int) -> None:
    """Run a task as its study did: in a child of its own, or as so many processes that share its batches."""
    if processes > 1:
        path = Path(task.study) / "task.json"
        path.write_text(task.to_json())
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command += ["-m", "lejepa_platform.ranked", str(path)]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise StudyError(f"the {processes} processes of the rerun failed: {reason}")
        return
    # Here, not at the top: importing Ray takes seconds.
    from lejepa_platform.executors import Child, Placement

    child = Child(Placement(executor="inline", threads=task.threads, gpus=task.gpus))
    try:
        child.run(task)
    finally:
        child.stop()
    result = task.ledger.result() or {}
    if result.get("outcome") == "error" and str(result.get("reason", "")).startswith("DataError: "):
        raise LejepaError(str(result["reason"]).removeprefix("DataError: "))
