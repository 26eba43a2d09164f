"""Asynchronous successive halving: at a few epochs, the rungs, a trial goes on only if it is among the best there.

STUDY/rungs/METRIC/CELL/EPOCH/KEY.json   score of a trial at a rung, and whether it was stopped there

A trial decides about itself, whatever executor and node it runs on, and a decision that was made is kept: neither a
restart nor later trials change it. Trials of other cells or variants are no competitors. Nothing but small files that
one trial writes whole and others read: no lock, and no state in any process.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Literal

from lejepa_platform.config import TrialConfig
from lejepa_platform.storage import Location, documents_in, read_json, write_json

Scheduler = Literal["none", "asha"]
SchedulerMetric = Literal["label_free", "online_probe"]
REDUCTION: Final = 3
"""One of so many trials passes a rung, and so many times the epochs later is the next."""
GRACE: Final = 9
"""No trial is stopped before this part of its epochs."""


def rung_epochs(epochs: int) -> list[int]:
    """After which epochs trials are compared: a ninth and a third of all, none after the last."""
    rungs, epoch = [], math.ceil(epochs / GRACE)
    while epoch < epochs:
        rungs.append(epoch)
        epoch *= REDUCTION
    return rungs


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of a cell."""

    folder: Location
    epoch: int

    @classmethod
    def of(cls, study: Location, metric: SchedulerMetric, config: TrialConfig, epoch: int, variant: str = "") -> "Rung":
        """The rung that a trial, of a variant of the study if it has some, comes to after an epoch."""
        identity = f"{config.architecture} {config.data_fingerprint} {variant}".rstrip()
        cell = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return cls(study / "rungs" / metric / cell / str(epoch), epoch)

    def decided(self, key: str) -> tuple[float, bool] | None:
        """The score of a trial, and whether it was stopped here; None while that is open."""
        entry = read_json(self.folder / f"{key}.json")
        return (entry["score"], entry["stopped"]) if entry and entry.get("stopped") is not None else None

    def decide(self, key: str, score: float) -> bool:
        """Whether a trial is stopped here, among those that came before.

        Args:
            key: Of the trial.
            score: The higher the better; finite.
        """
        # Here, not at the top: most trials have no use for Optuna, and would import it.
        from lejepa_platform.proposing import promoted

        # The score first: of two trials that come at once, one at least sees the other.
        write_json(self.folder / f"{key}.json", {"score": score, "stopped": None})
        stopped = not promoted(score, self._others(key), epoch=self.epoch, reduction=REDUCTION)
        write_json(self.folder / f"{key}.json", {"score": score, "stopped": stopped})
        return stopped

    def _others(self, key: str) -> list[float]:
        return [entry["score"] for name, entry in documents_in(self.folder).items() if name != key]
