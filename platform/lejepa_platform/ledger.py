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
                 measured.json    what protocols found of the encoder, and their versions; may grow later
                 NAME.npz         arrays of the protocol of this name
STUDY/floors/NAME.json            probes of untrained backbones, and what trials share of protocols
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from lejepa_core.settings import Stream
from lejepa_platform.config import METHOD_VERSION, Flat, StudyConfig, TrialConfig, differences
from lejepa_platform.errors import StudyError, SupersededError
from lejepa_platform.outcomes import (
    FAILURES,
    MEASURED,
    OUTCOMES,
    Outcome,
    ProtocolResult,
    TransferResult,
    TrialResult,
    Wanted,
    transfer_metrics,
    transfer_prefix,
)
from lejepa_platform.storage import finite, read_json, remove_leftovers, write_bytes, write_json

__all__ = [
    "FAILURES",
    "MEASURED",
    "OUTCOMES",
    "Outcome",
    "ProtocolResult",
    "StudyLedger",
    "TransferResult",
    "TrialLedger",
    "TrialResult",
    "Wanted",
    "transfer_metrics",
    "transfer_prefix",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
        remove_leftovers(self.path)
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
        return self._entries("transfer.json")

    def write_transfer(self, name: str, result: TransferResult) -> None:
        """Keep what the trial's encoder is worth on a data set.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        self.require_current()
        write_json(self.path / "transfer.json", self.transfer() | {name: asdict(result)})

    def measured(self) -> dict[str, Flat]:
        """The contents of `measured.json`: protocol name -> fields of `ProtocolResult`."""
        return self._entries("measured.json")

    def write_measured(self, name: str, result: ProtocolResult, arrays: bytes = b"") -> None:
        """Keep what a protocol found.

        Args:
            name: Of the protocol.
            result: What it found.
            arrays: An npz file, kept as `NAME.npz`; none if empty.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        # The arrays first: what measured.json tells of is there.
        if arrays:
            self.write(f"{name}.npz", arrays)
        self.require_current()
        write_json(self.path / "measured.json", self.measured() | {name: asdict(result)})

    def later_metrics(self) -> dict[str, float | None]:
        """Under their public names, what was measured of the encoder besides `result.json`."""
        found = {name: value for entry in self.measured().values() for name, value in entry["metrics"].items()}
        return transfer_metrics(self.transfer()) | found

    def versions(self) -> dict[str, int]:
        """Protocols that found something -> their versions."""
        return {name: entry["version"] for name, entry in self.measured().items() if entry["metrics"]}

    def lacks(self, wanted: Wanted) -> Wanted:
        """What the trial's encoder has still to be measured by; nothing where there is no such encoder.

        The set that the trial was pretrained on is no other set, in whatever form: without labels, or streamed, it has
        another fingerprint.
        """
        result = self.result()
        if result is None or result["outcome"] not in MEASURED:
            return Wanted()
        config, transfer, measured = result["config"], self.transfer(), self.measured()
        return Wanted(
            protocols={
                name: version
                for name, version in wanted.protocols.items()
                if measured.get(name, {}).get("version", 0) < version
            },
            evaluate_on={
                name: fingerprint
                for name, fingerprint in wanted.evaluate_on.items()
                if config["dataset"] != name
                and config["data_fingerprint"] != fingerprint
                and transfer.get(name, {}).get("fingerprint") != fingerprint
            },
        )

    def complete(self, wanted: Wanted) -> bool:
        """Whether nothing is left to do."""
        return self.finished() and self.lacks(wanted) == Wanted()

    def give_up(self, wanted: Wanted, outcome: Outcome, reason: str, *, all_of_it: bool) -> None:
        """Record why a measurement ended without a result.

        Args:
            wanted: What was to be measured.
            outcome: How it ended.
            reason: Why.
            all_of_it: Whether everything that is lacking is lost, or what was under way alone: things are measured in
                their order, so that is the first one lacking.

        Raises:
            SupersededError: If a newer attempt was started.
        """
        lacking = self.lacks(wanted)
        for name, version in lacking.protocols.items():
            self.write_measured(name, ProtocolResult(version=version, outcome=outcome, reason=reason))
            if not all_of_it:
                return
        for name, fingerprint in lacking.evaluate_on.items():
            self.write_transfer(name, TransferResult(fingerprint=fingerprint, outcome=outcome, reason=reason))
            if not all_of_it:
                return

    def config(self) -> Flat | None:
        """The contents of `config.json`."""
        config: Flat | None = read_json(self.path / "config.json")
        return config

    def history(self) -> list[Flat]:
        """The per-epoch metrics so far; those before the damage where the file is damaged."""
        try:
            lines = (self.path / "metrics.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        history: list[Flat] = []
        with suppress(ValueError):
            for line in lines:
                history.append(json.loads(line))
        return history

    def forget(self) -> None:
        """Drop the result, so that the trial goes on from its checkpoint.

        Raises:
            SupersededError: If this attempt may write and a newer one was started.
        """
        self.forget_measured()
        (self.path / "result.json").unlink(missing_ok=True)

    def forget_measured(self) -> None:
        """Drop what was measured of an encoder that another one replaces.

        Raises:
            SupersededError: If this attempt may write and a newer one was started.
        """
        if self.attempt:
            self.require_current()
        arrays = [f"{name}.npz" for name in self.measured()]
        # The arrays last: what measured.json tells of is there.
        for name in ("transfer.json", "measured.json", *arrays):
            (self.path / name).unlink(missing_ok=True)

    def forget_failures(self) -> None:
        """Drop failures, of the trial or of a measurement of its encoder, so that they are tried again."""
        result = self.result()
        if result is not None and result["outcome"] in FAILURES:
            self.forget()
            return
        for file in ("transfer.json", "measured.json"):
            held = self._entries(file)
            kept = {name: entry for name, entry in held.items() if entry["outcome"] not in FAILURES}
            if kept != held:
                write_json(self.path / file, kept)

    def _entries(self, file: str) -> dict[str, Flat]:
        entries = read_json(self.path / file)
        return entries if isinstance(entries, dict) else {}

    def _current(self) -> int:
        attempt = read_json(self.path / "attempt.json") or {}
        return int(attempt.get("attempt", 0))


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
        """Settings in which the stored study is another one than `config`; what measures its encoders is none."""
        stored, wanted = (
            {name: value for name, value in flat.items() if name not in ("evaluate_on", "protocols")}
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
