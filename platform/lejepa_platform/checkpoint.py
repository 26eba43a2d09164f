"""A trial's checkpoints: how often, and where they are kept."""

import io
import json
import logging
import time
from collections.abc import Callable

import torch

from lejepa_core.pretrain import State
from lejepa_platform.config import Flat
from lejepa_platform.ledger import TrialLedger
from lejepa_platform.storage import read_bytes

LOG = logging.getLogger("lejepa")
LARGEST_SHARE = 0.05
"""Of the time, at most, that goes into checkpoints within epochs."""


class Checkpoints:
    """Saves states of a training into its trial's folder, one in place of the other."""

    def __init__(self, ledger: TrialLedger, history: list[Flat], seconds: float) -> None:
        """Start the clock.

        Args:
            ledger: The trial, for writing.
            history: Its epochs; whoever trains adds to them.
            seconds: Least time between two checkpoints.
        """
        self._ledger, self._history, self._seconds = ledger, history, seconds
        self._last, self._cost = time.perf_counter(), 0.0

    def after_epoch(self, state: Callable[[], State]) -> None:
        """Save the state at the end of an epoch, if it is time."""
        if time.perf_counter() - self._last >= self._seconds:
            self.save(state)

    def within_epoch(self, state: Callable[[], State]) -> None:
        """Save the state between two steps, if it is time; a large state seldom enough to cost little."""
        if time.perf_counter() - self._last >= max(self._seconds, self._cost / LARGEST_SHARE):
            self.save(state)

    def save(self, state: Callable[[], State]) -> None:
        """Save the state now."""
        start = time.perf_counter()
        buffer = io.BytesIO()
        torch.save({**state(), "history": json.dumps(self._history)}, buffer)
        self._ledger.write("checkpoint/state.pt", buffer.getvalue())
        self._last = time.perf_counter()
        self._cost = self._last - start


def load_checkpoint(ledger: TrialLedger) -> State | None:
    """The trial's checkpoint, or None where there is none that can be read."""
    data = read_bytes(ledger.checkpoint)
    if data is None:
        return None
    try:
        state: State = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:
        # A damaged checkpoint costs its epochs, not the trial.
        LOG.warning("checkpoint of trial %s cannot be read, starting it again: %s", ledger.key, error)
        return None
    return state
