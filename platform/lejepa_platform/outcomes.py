"""How trials end, and what is measured of their encoders: plain data, as the ledger keeps it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from lejepa_platform.config import Flat

Outcome = Literal["ok", "diverged", "collapsed", "stopped", "oom", "timeout", "error"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
MEASURED: tuple[Outcome, ...] = ("ok", "collapsed")
"""Outcomes that leave an encoder behind."""
FAILURES: tuple[Outcome, ...] = ("oom", "timeout", "error")
"""Outcomes that say nothing about λ, only about the machine or the code."""

_UNUSUAL = re.compile(r"[^\w.\- :]")
"""What a tracker refuses in the name of a metric, which must not be longer than 250 either."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolResult:
    """How the measurement of a trial's encoder by a protocol ended."""

    version: int
    """Of the protocol."""
    outcome: Outcome = "ok"
    reason: str = ""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Under their public names."""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be measured of the encoders of finished trials, at their end or at any later time."""

    protocols: Mapping[str, int] = field(default_factory=dict)
    """Name -> version."""
    evaluate_on: Mapping[str, str] = field(default_factory=dict)
    """Other data set -> fingerprint of its images."""


def transfer_prefix(name: str) -> str:
    """What the public names of all metrics on another data set begin with."""
    return f"transfer/{_UNUSUAL.sub('_', name)[:150]}/"


def transfer_metrics(transfer: Mapping[str, Flat]) -> dict[str, float]:
    """The metrics of a `transfer.json` under their public names, such as `transfer/digits/linear_top1_at_1`.

    With them `transfer/NAME/seconds`: the trial's own cost was over before.
    """
    return {
        f"{transfer_prefix(name)}{metric}": value
        for name, entry in transfer.items()
        for metric, value in (*entry["metrics"].items(), *_seconds(entry))
    }


def _seconds(entry: Flat) -> list[tuple[str, float]]:
    return [("seconds", float(entry["seconds"]))] if entry["metrics"] else []
