"""A trial that trains nothing: what is left is what the platform costs."""

import time

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import TrialResult
from lejepa_platform.outcomes import ProtocolResult
from lejepa_platform.task import TrialTask

EPOCHS = 4
PER_EPOCH = {"train/loss": 0.5, "train/prediction": 0.25, "train/sigreg": 2.0, "online/top1": 0.4}
AT_THE_END = {f"test/figure_{i}": 0.1 * i for i in range(8)} | {"val/linear_top1": 0.5}
BUSY = 0.2
"""Seconds of CPU time that a busy trial computes."""


def busy(task: TrialTask) -> None:
    """Keep a core busy for a while, and write what a trial of four epochs writes."""
    start = time.process_time()
    while time.process_time() - start < BUSY:
        pass
    run(task, since=start)


def run(task: TrialTask, since: float | None = None) -> None:
    """Write what a trial of four epochs writes, and the CPU time that it took since its start."""
    since = time.process_time() if since is None else since
    config = TrialConfig.from_flat(task.config)
    ledger = task.ledger
    ledger.write_metrics([{"epoch": epoch, "step": 10 * epoch, **PER_EPOCH} for epoch in range(EPOCHS)])
    # An accuracy that depends on λ, for a search to go by.
    metrics = AT_THE_END | {"val/linear_top1": 0.9 - abs(config.lambda_ - 0.1)}
    metrics = PER_EPOCH | metrics
    seconds = time.process_time() - since
    ledger.write_result(
        TrialResult(key=config.key, outcome="ok", config=config.flat(), metrics=metrics, seconds=seconds)
    )
    # Or it would be run once more, for what is wanted of its encoder.
    for name, version in task.wanted.protocols.items():
        ledger.write_measured(name, ProtocolResult(version=version, metrics={"geometry/rankme": 8.0}))
