"""A trial that trains nothing, and the same for plain Ray Tune: what is left is what the platform costs."""

import time
from typing import Any

from ray.tune import Trainable

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import TrialResult
from lejepa_platform.outcomes import ProtocolResult
from lejepa_platform.task import TrialTask

EPOCHS = 4
PER_EPOCH = {"train/loss": 0.5, "train/prediction": 0.25, "train/sigreg": 2.0, "online/top1": 0.4}
AT_THE_END = {f"test/figure_{i}": 0.1 * i for i in range(8)} | {"val/linear_top1": 0.5}
BUSY = 0.2
"""Seconds of CPU time that a busy trial takes."""


def busy(task: TrialTask) -> None:
    """Keep a core busy for a while, and write what a trial of four epochs writes."""
    start = time.process_time()
    while time.process_time() - start < BUSY:
        pass
    run(task)


def run(task: TrialTask) -> None:
    """Write what a trial of four epochs writes."""
    config = TrialConfig.from_flat(task.config)
    ledger = task.ledger
    ledger.write_metrics([{"epoch": epoch, "step": 10 * epoch, **PER_EPOCH} for epoch in range(EPOCHS)])
    # An accuracy that depends on λ, for a search to go by.
    metrics = AT_THE_END | {"val/linear_top1": 0.9 - abs(config.lambda_ - 0.1)}
    ledger.write_result(
        TrialResult(key=config.key, outcome="ok", config=config.flat(), metrics=PER_EPOCH | metrics, seconds=0.0)
    )
    # Or it would be run once more, for what is wanted of its encoder.
    for name, version in task.wanted.protocols.items():
        ledger.write_measured(name, ProtocolResult(version=version, metrics={"geometry/rankme": 8.0}))


class Plain(Trainable):  # type: ignore[misc,unused-ignore]
    """The same figures, reported to Ray Tune."""

    def step(self) -> dict[str, Any]:
        """One epoch; the last brings the rest."""
        last = self.training_iteration + 1 >= EPOCHS
        return {**PER_EPOCH, **(AT_THE_END if last else {}), "done": last}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Accept the next trial."""
        self.config = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing."""
        return {}
