"""How long a study may take: what would end too late is not begun."""

import time

from lejepa_platform.config import TrialConfig


class Budget:
    """A deadline, and what trials have taken so far on this cluster."""

    def __init__(self, seconds: float | None) -> None:
        """Start the clock.

        Args:
            seconds: From now; None = for ever.
        """
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._begun: dict[str, tuple[tuple[str, str], float]] = {}
        self._longest: dict[tuple[str, str], float] = {}
        self.exhausted = False
        """Whether a trial was refused."""

    def allows(self, trial: TrialConfig) -> bool:
        """Whether a trial would end in time, judged by the longest of its cell, or of all cells while it has none."""
        if self._deadline is None:
            return True
        expected = self._longest.get(trial.cell, max(self._longest.values(), default=0.0))
        self.exhausted = self.exhausted or time.monotonic() + expected > self._deadline
        return not self.exhausted

    def began(self, trial: TrialConfig) -> None:
        """A trial starts now."""
        self._begun[trial.key] = trial.cell, time.monotonic()

    def ended(self, key: str) -> None:
        """A trial has ended now."""
        cell, start = self._begun.pop(key)
        self._longest[cell] = max(self._longest.get(cell, 0.0), time.monotonic() - start)
