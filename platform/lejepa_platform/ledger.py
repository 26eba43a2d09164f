"""The study folder: the one truth about trials. Trackers, tables and reports are views of it.

STUDY/study.json                  what the study is
STUDY/trials/KEY/config.json      what the trial is
                 environment.json code, versions, machine, threads: what a rerun bit for bit needs
                 attempt.json     how often it was started; a write by an older attempt is refused
                 metrics.jsonl    one line per epoch
                 system.jsonl     what it took of the machine, every ten seconds
                 checkpoint/      where it can continue
                 collapsed.json   epochs of a search's trial after which its projections had collapsed
                 predictions.npz  test predictions per image
                 encoder.safetensors  the pretrained backbone
                 projector.safetensors  what stood on it in training: label-free criteria look at projections too
                 result.json      written last: the trial is finished
                 transfer.json    what that backbone is worth on other data sets; may grow later
                 measured.json    what protocols found of the encoder, and their versions; may grow later
                 NAME.npz         arrays of the protocol of this name
STUDY/rungs/                      what a scheduler knows and decided, see `lejepa_platform.rungs`
STUDY/floors/NAME.json            probes of untrained backbones, and what trials share of protocols
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

from lejepa_core.settings import Stream
from lejepa_platform.config import METHOD_VERSION, Flat, StudyConfig, TrialConfig, differences
from lejepa_platform.errors import StudyError
from lejepa_platform.locks import driver_lock
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
from lejepa_platform.storage import (
    Location,
    folders_with,
    is_file,
    location,
    read_json,
    study_names,
    write_json,
)
from lejepa_platform.trial_ledger import DOCUMENTS, TrialLedger

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
class StudyLedger:
    """One study's folder."""

    path: Location

    @classmethod
    def at(cls, storage: Location, name: str) -> Self:
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
    def find(cls, study: str, storage: Location) -> Self:
        """A study that exists, by its name under the storage or by its path.

        Raises:
            StudyError: If there is none.
        """
        for path in (location(study), storage / study):
            if is_file(path / "study.json"):
                return cls(path.resolve())
        known = study_names(storage)
        hint = f"studies in {storage}: {' '.join(known)}" if known else f"{storage} holds no study"
        raise StudyError(f"no study {study!r}, neither as a path nor as a name; {hint}")

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    def exists(self) -> bool:
        """Whether the study was made."""
        return is_file(self.path / "study.json")

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
        """Every trial that was ever started; in a store, all as they are when the first is looked at."""
        folder = self.path / "trials"
        return (TrialLedger(folder / name, held=held) for name, held in folders_with(folder, DOCUMENTS))

    def driver_lock(self) -> AbstractContextManager[object]:
        """Held by the one process that drives the study; let go by the system when it dies, or in a store by time.

        Raises:
            StudyError: If another process holds it.
        """
        return driver_lock(self.path / ".driver.lock", self.name)
