"""One trial's folder, as `lejepa_platform.ledger` describes it."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.errors import SupersededError
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
)
from lejepa_platform.storage import (
    Location,
    finite,
    parse_json,
    read_bytes,
    read_json,
    remove,
    remove_folder,
    remove_leftovers,
    write_bytes,
    write_json,
)

DOCUMENTS: Final = ("config.json", "result.json", "transfer.json", "measured.json")
"""What all readers of a study want of a trial; in a store, read of all trials at once."""


@dataclass(frozen=True, slots=True)
class TrialLedger:
    """One trial's folder.

    An attempt of 0 reads only; writing takes the number that `begin` gave.
    """

    path: Location
    attempt: int = 0
    held: Mapping[str, bytes] | None = field(default=None, compare=False, repr=False)
    """Its `DOCUMENTS` as they were when all trials were read at once; None = each is read when it is wanted."""

    @property
    def key(self) -> str:
        """The trial's key."""
        return self.path.name

    @property
    def checkpoint(self) -> Location:
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
        if result.outcome not in (*FAILURES, "stopped"):
            remove_folder(self.path / "checkpoint")

    def finished(self) -> bool:
        """Whether the trial has a result."""
        return self.result() is not None

    def result(self) -> Flat | None:
        """The contents of `result.json`, None while the trial is unfinished."""
        result = self._document("result.json")
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
        config: Flat | None = self._document("config.json")
        return config

    def environment(self) -> Flat:
        """The contents of `environment.json`; empty before the trial has built its encoder."""
        return self._entries("environment.json")

    def history(self, *, whole: bool = False) -> list[Flat]:
        """The per-epoch metrics so far; those before the damage where the file is damaged.

        Args:
            whole: Whether a damaged file is refused: nothing writes that of a finished trial again.

        Raises:
            ValueError: If so.
        """
        return self._lines("metrics.jsonl", whole=whole)

    def system(self) -> list[Flat]:
        """What the trial took of its machine, sample by sample."""
        return self._lines("system.jsonl")

    def _lines(self, file: str, *, whole: bool = False) -> list[Flat]:
        lines: list[Flat] = []
        with nullcontext() if whole else suppress(ValueError):
            for line in (read_bytes(self.path / file) or b"").splitlines():
                lines.append(json.loads(line))
        return lines

    def forget(self) -> None:
        """Drop the result, so that the trial goes on from its checkpoint.

        Raises:
            SupersededError: If this attempt may write and a newer one was started.
        """
        self.forget_measured()
        remove(self.path / "result.json")

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
            remove(self.path / name)

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

    def forget_stopped(self) -> None:
        """Drop the result of a trial that a scheduler stopped, so that it goes on; not that of one that collapsed."""
        result = self.result()
        if result is not None and result["outcome"] == "stopped" and "rung/epoch" in result["metrics"]:
            self.forget()

    def _entries(self, file: str) -> dict[str, Flat]:
        entries = self._document(file)
        return entries if isinstance(entries, dict) else {}

    def _document(self, name: str) -> Any | None:
        return read_json(self.path / name) if self.held is None else parse_json(self.held.get(name))

    def _current(self) -> int:
        attempt = read_json(self.path / "attempt.json") or {}
        return int(attempt.get("attempt", 0))
