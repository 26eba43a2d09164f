"""The study folder: the one truth about trials. Trackers, tables and reports are views of it.

STUDY/study.json                  what the study is
STUDY/trials/KEY/config.json      what the trial is
                 environment.json versions, device, threads: what a rerun bit for bit needs
                 attempt.json     how often it was started; a write by an older attempt is refused
                 metrics.jsonl    one line per epoch
                 checkpoint/      where it can continue
                 predictions.npz  test predictions per image
                 encoder.safetensors  the pretrained backbone
                 projector.safetensors  what stood on it in training: label-free criteria look at projections too
                 result.json      written last: the trial is finished
                 transfer.json    what that backbone is worth on other data sets; may grow later
STUDY/floors/NAME.json            probes of untrained backbones
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

from filelock import FileLock, Timeout

from lejepa_core.settings import Stream
from lejepa_platform.config import METHOD_VERSION, Flat, StudyConfig, TrialConfig, differences
from lejepa_platform.errors import StudyError, SupersededError
from lejepa_platform.storage import finite, read_json, write_bytes, write_json

Outcome = Literal["ok", "diverged", "collapsed", "stopped", "oom", "timeout", "error"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
MEASURED: tuple[Outcome, ...] = ("ok", "collapsed")
"""Outcomes that leave an encoder behind."""
FAILURES: tuple[Outcome, ...] = ("oom", "timeout", "error")
"""Outcomes that say nothing about λ, only about the machine or the code."""

_UNUSUAL = re.compile(r"[^\w.\- :]")
"""What a tracker refuses in the name of a metric, which must not be longer than 250 either."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """How a trial ended."""

    key: str
    outcome: Outcome
    config: Flat
    metrics: dict[str, float | None]
    reason: str = ""
    seconds: float = 0.0

    def as_json(self) -> Flat:
        """The contents of `result.json`."""
        return {
            "key": self.key,
            "outcome": self.outcome,
            "reason": self.reason,
            "config": self.config,
            "metrics": self.metrics,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferResult:
    """How the evaluation of a trial's encoder on another data set ended."""

    fingerprint: str
    """Of the images."""
    outcome: Outcome = "ok"
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    """As `lejepa_core.evaluation.transfer` names them, and the floors as `floor/...`."""
    draws: dict[str, list[float]] = field(default_factory=dict)
    """Test accuracy of each few-shot draw."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialLedger:
    """One trial's folder.

    An attempt of 0 reads only; writing takes the number that `begin` gave.
    """

    path: Path
    attempt: int = 0

    @property
    def key(self) -> str:
        """The trial's key."""
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        """The file that a later attempt continues from."""
        return self.path / "checkpoint" / "state.pt"

    def begin(self, config: TrialConfig) -> "TrialLedger":
        """Start the next attempt: the ones before it can write no more."""
        attempt = self._current() + 1
        if read_json(self.path / "config.json") is None:
            created = int(time.time() * 1000)
            write_json(self.path / "config.json", {"key": self.key, "created": created, "config": config.flat()})
        write_json(self.path / "attempt.json", {"attempt": attempt, "started": time.time()})
        return TrialLedger(self.path, attempt)

    def require_current(self) -> None:
        """Make sure that this attempt may write.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        current = self._current()
        if current != self.attempt:
            raise SupersededError(f"attempt {self.attempt} at trial {self.key} was replaced by attempt {current}")

    def write_metrics(self, history: Sequence[Flat]) -> None:
        """Replace the per-epoch metrics."""
        self.write("metrics.jsonl", "".join(json.dumps(finite(row)) + "\n" for row in history).encode())

    def write(self, name: str, data: bytes) -> None:
        """Replace a file of the trial.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        self.require_current()
        write_bytes(self.path / name, data)

    def write_result(self, result: TrialResult) -> None:
        """Finish the trial, once; its checkpoint goes, unless the trial may be tried again."""
        self.require_current()
        if not self.finished():
            write_json(self.path / "result.json", result.as_json())
        if result.outcome not in FAILURES:
            shutil.rmtree(self.path / "checkpoint", ignore_errors=True)

    def finished(self) -> bool:
        """Whether the trial has a result."""
        return self.result() is not None

    def result(self) -> Flat | None:
        """The contents of `result.json`, None while the trial is unfinished."""
        result = read_json(self.path / "result.json")
        return result if isinstance(result, dict) and result.get("outcome") in OUTCOMES else None

    def transfer(self) -> dict[str, Flat]:
        """The contents of `transfer.json`: data set name -> fields of `TransferResult`."""
        transfer = read_json(self.path / "transfer.json")
        return transfer if isinstance(transfer, dict) else {}

    def write_transfer(self, name: str, result: TransferResult) -> None:
        """Keep what the trial's encoder is worth on a data set.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        self.require_current()
        write_json(self.path / "transfer.json", self.transfer() | {name: asdict(result)})

    def lacks(self, evaluate_on: Mapping[str, str]) -> list[str]:
        """Data sets on which the trial's encoder has still to be evaluated.

        Args:
            evaluate_on: Data set name -> fingerprint; the set that the trial was pretrained on does not count, in
                whatever form: without labels, or streamed, it has another fingerprint.
        """
        result = self.result()
        if result is None or result["outcome"] not in MEASURED:
            return []
        config, held = result["config"], self.transfer()
        return [
            name
            for name, fingerprint in evaluate_on.items()
            if config["dataset"] != name
            and config["data_fingerprint"] != fingerprint
            and held.get(name, {}).get("fingerprint") != fingerprint
        ]

    def config(self) -> Flat | None:
        """The contents of `config.json`."""
        config: Flat | None = read_json(self.path / "config.json")
        return config

    def history(self) -> list[Flat]:
        """The per-epoch metrics so far."""
        try:
            lines = (self.path / "metrics.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def forget(self) -> None:
        """Drop the result, so that the trial goes on from its checkpoint."""
        (self.path / "result.json").unlink(missing_ok=True)
        self.forget_transfer()

    def forget_transfer(self) -> None:
        """Drop what was measured of an encoder that another one replaces."""
        (self.path / "transfer.json").unlink(missing_ok=True)

    def forget_failures(self) -> None:
        """Drop failures, of the trial or of an evaluation on another data set, so that they are tried again."""
        result, transfer = self.result(), self.transfer()
        if result is not None and result["outcome"] in FAILURES:
            self.forget()
            return
        kept = {name: entry for name, entry in transfer.items() if entry["outcome"] not in FAILURES}
        if kept != transfer:
            write_json(self.path / "transfer.json", kept)

    def _current(self) -> int:
        attempt = read_json(self.path / "attempt.json") or {}
        return int(attempt.get("attempt", 0))


def transfer_prefix(name: str) -> str:
    """What the public names of all metrics on another data set begin with."""
    return f"transfer/{_UNUSUAL.sub('_', name)[:150]}/"


def transfer_metrics(transfer: Mapping[str, Flat]) -> dict[str, float]:
    """The metrics of a `transfer.json` under their public names, such as `transfer/digits/linear_top1_at_1`."""
    return {
        f"{transfer_prefix(name)}{metric}": value
        for name, entry in transfer.items()
        for metric, value in entry["metrics"].items()
    }


@dataclass(frozen=True, slots=True)
class StudyLedger:
    """One study's folder."""

    path: Path

    @classmethod
    def at(cls, storage: Path, name: str) -> Self:
        """The folder of a study.

        Raises:
            StudyError: If the name is not one, or would leave the storage.
        """
        if not _NAME.fullmatch(name):
            raise StudyError(
                f"study name {name!r} came, letters, digits, '.', '_' and '-' were wanted (not a path); "
                "choose where studies are kept with --storage"
            )
        return cls(storage / name)

    @classmethod
    def find(cls, study: str, storage: Path) -> Self:
        """A study that exists, by its name under the storage or by its path.

        Raises:
            StudyError: If there is none.
        """
        for path in (Path(study), storage / study):
            if (path / "study.json").is_file():
                return cls(path.resolve())
        known = sorted(p.parent.name for p in storage.glob("*/study.json"))
        hint = f"studies in {storage}: {' '.join(known)}" if known else f"{storage} holds no study"
        raise StudyError(f"no study {study!r}, neither as a path nor as a name; {hint}")

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    def exists(self) -> bool:
        """Whether the study was made."""
        return (self.path / "study.json").is_file()

    def read(self) -> Flat:
        """The contents of `study.json`."""
        study = read_json(self.path / "study.json")
        if not isinstance(study, dict):
            raise StudyError(f"{self.path / 'study.json'} is damaged; restore it, or choose another study name")
        return study

    def save(
        self,
        config: StudyConfig,
        *,
        sources: Mapping[str, str],
        planned: Sequence[TrialConfig],
        notes: Sequence[str] = (),
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        """Write `study.json`; what it said before must have been checked by `differences`."""
        document = {
            "name": self.name,
            "method_version": METHOD_VERSION,
            "config": config.flat(),
            "sources": dict(sources),
            "streams": dict(streams or {}),
            "planned": [trial.key for trial in planned],
            "notes": list(notes),
        }
        if not self.exists() or self.read() != document:
            write_json(self.path / "study.json", document)

    def differences(self, config: StudyConfig) -> list[str]:
        """Settings in which the stored study is another one than `config`; what it is evaluated on is none."""
        stored, wanted = (
            {name: value for name, value in flat.items() if name != "evaluate_on"}
            for flat in (self.read()["config"], config.flat())
        )
        return differences(stored, wanted)

    def trial(self, key: str) -> TrialLedger:
        """One trial's folder."""
        return TrialLedger(self.path / "trials" / key)

    def trials(self) -> Iterator[TrialLedger]:
        """Every trial that was ever started."""
        folder = self.path / "trials"
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        return (TrialLedger(folder / name) for name in names)

    def driver_lock(self) -> FileLock:
        """Held by the one process that drives the study; let go by the system when it dies.

        Raises:
            StudyError: If another process holds it.
        """
        lock = FileLock(self.path / ".driver.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise StudyError(f"another process is running study {self.name!r}; wait for it or stop it") from error
        return lock
