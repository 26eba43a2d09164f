"""What ends a trial between two epochs: a scheduler, and in a search a collapse that lasts.

The trial asks at the end of each epoch, wherever it runs. What was found is kept in the ledger, so that a trial that
was interrupted meanwhile is stopped after the same epoch.
"""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import torch

from lejepa_core.datasets import ImageDataset
from lejepa_core.distributed import all_reduce_sum, rank
from lejepa_core.encoder import Encoder
from lejepa_core.evaluation.midway import collapse_midway, retrieval_midway
from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.rungs import Rung, rung_epochs
from lejepa_platform.storage import read_json
from lejepa_platform.task import TrialTask

PATIENCE: Final = 3
"""Epochs behind the warm-up after each of which projections have to count as collapsed."""
_MEASURES: Final = {"label_free": "view retrieval", "online_probe": "the online probe"}
_COLLAPSED: Final = "collapsed.json"
"""File of a trial: the epochs after which its projections counted as collapsed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why a trial ends before its last epoch."""

    reason: str = ""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Where it stood: rung/epoch and rung/score, the higher the better; nothing for a collapse."""


class Stopper:
    """Says after each epoch whether a trial ends there; its ranks agree on it."""

    def __init__(self, task: TrialTask, config: TrialConfig, data: ImageDataset, encoder: Encoder) -> None:
        """Nothing is measured yet."""
        self._task, self._config, self._data, self._encoder = task, config, data, encoder
        self._rungs = rung_epochs(config.epochs) if task.scheduler == "asha" else []
        self._watched: Collection[int] = ()
        if task.stop_collapsed:
            self._watched = range(math.ceil(config.warmup * config.epochs) + 1, config.epochs)

    def found_before(self, history: list[Flat]) -> Stop | None:
        """What an earlier attempt found after the epoch that this one goes on from."""
        if not history:
            return None
        epoch = int(history[-1]["epoch"])
        if epoch in self._rungs and (found := self._rung(epoch).decided(self._config.key)) and found[1]:
            return self._at_rung(epoch, found[0])
        return self._collapsed(epoch, read_json(self._task.ledger.path / _COLLAPSED) or [])

    def after(self, row: Flat) -> Stop | None:
        """Whether the trial ends after an epoch; the same answer on every rank, with its reason on rank 0.

        Args:
            row: The epoch's metrics.
        """
        epoch = int(row["epoch"])
        if epoch not in self._rungs and epoch not in self._watched:
            return None
        found = self._look(epoch, row) if rank() == 0 else None
        # The others wait here while rank 0 looks.
        device = next(self._encoder.parameters()).device
        stopped = bool(all_reduce_sum(torch.tensor(float(found is not None), device=device)))
        return found or (Stop() if stopped else None)

    def _look(self, epoch: int, row: Flat) -> Stop | None:
        if epoch in self._watched and (found := self._look_for_collapse(epoch)):
            return found
        if epoch not in self._rungs:
            return None
        rung, key = self._rung(epoch), self._config.key
        self._task.ledger.require_current()
        score, stopped = rung.decided(key) or (self._score(row), None)
        if stopped is None:
            stopped = rung.decide(key, score)
        return self._at_rung(epoch, score) if stopped else None

    def _look_for_collapse(self, epoch: int) -> Stop | None:
        ledger = self._task.ledger
        if not collapse_midway(self._encoder, self._data, image_size=self._config.image_size):
            return None
        epochs = sorted({*(read_json(ledger.path / _COLLAPSED) or []), epoch})
        ledger.write(_COLLAPSED, json.dumps(epochs).encode())
        return self._collapsed(epoch, epochs)

    def _collapsed(self, epoch: int, epochs: Collection[int]) -> Stop | None:
        lasting = range(epoch - PATIENCE + 1, epoch + 1)
        if epoch not in self._watched or not set(lasting) <= set(epochs):
            return None
        return Stop(reason=f"collapsed at epoch {lasting[0]}, and still so at epoch {epoch} of {self._config.epochs}")

    def _score(self, row: Flat) -> float:
        if self._task.scheduler_metric == "online_probe":
            return float(row["online/top1"])
        return retrieval_midway(self._encoder, self._data, self._config)

    def _rung(self, epoch: int) -> Rung:
        study = self._task.ledger.path.parents[1]
        return Rung.of(study, self._task.scheduler_metric, self._config, epoch, self._task.variant)

    def _at_rung(self, epoch: int, score: float) -> Stop:
        what = f"{_MEASURES[self._task.scheduler_metric]} at {score:.3g}"
        return Stop(
            reason=f"by asha after epoch {epoch} of {self._config.epochs}: {what} was not among the best",
            metrics={"rung/epoch": epoch, "rung/score": score},
        )
