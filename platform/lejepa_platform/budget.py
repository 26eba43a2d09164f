"""How long a study may take, and how much of the GPUs: what would end behind that is not begun.

Trials that are under way then are left to end: a trial that is cut off has cost as much and told nothing.
"""

import math
import time
from collections.abc import Iterable, Mapping

from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.ledger import TrialLedger
from lejepa_platform.outcomes import MEASURED

Kind = tuple[str, str, bool, int]
"""Architecture, data set, whether the encoder is trained already and only measured, and else on how many views of each
image it is trained: in a study with variants not every trial takes as long as another of its cell."""


class Budget:
    """A deadline, and what trials have taken so far."""

    def __init__(
        self,
        seconds: float | None,
        *,
        finished: Iterable[Flat] = (),
        expected: Mapping[str, float] | None = None,
        gpu_seconds: float | None = None,
        gpu_seconds_used: float = 0.0,
        gpus: float = 0.0,
    ) -> None:
        """Start the clock.

        Args:
            seconds: From now; None = for ever.
            finished: Contents of the result.json files of earlier runs: what is left to do for these is to measure.
            expected: Architecture -> seconds that a trial is thought to take, to infer one from another.
            gpu_seconds: GPU-seconds of the study, from its first trial; None = any.
            gpu_seconds_used: What earlier runs took of them.
            gpus: GPUs of one trial, all its processes together.
        """
        self._gpu_limit = math.inf if gpu_seconds is None else gpu_seconds
        self._gpu_used, self._gpus = gpu_seconds_used, gpus
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self._expected = expected or {}
        self._begun: dict[str, tuple[Kind, float]] = {}
        self._longest: dict[Kind, float] = {}
        self._trained: set[str] = set()
        for result in finished:
            self._trained.add(result["key"])
            if result["outcome"] in MEASURED:
                self._took(_kind(result["config"], trained=False), result["seconds"])
        self.exhausted = False
        """Whether a trial was refused."""

    @property
    def left(self) -> float:
        """Seconds until the deadline, less than 0 behind it."""
        return self._deadline - time.monotonic()

    def allows(self, trial: TrialConfig) -> bool:
        """Whether a trial would end in time, and leave the GPUs within their budget.

        Judged by the longest of its cell with as many views; while there is none by the longest of all, scaled by what
        is expected of their architectures and by their views.
        """
        seconds = self._duration(self._kind(trial))
        self.exhausted = self.exhausted or seconds > self.left or self._gpus_after(seconds) >= self._gpu_limit
        return not self.exhausted

    def began(self, trial: TrialConfig) -> None:
        """A trial starts now."""
        self._begun[trial.key] = self._kind(trial), time.monotonic()

    def ended(self, key: str) -> None:
        """A trial has ended now."""
        kind, start = self._begun.pop(key)
        seconds = time.monotonic() - start
        self._gpu_used += seconds * self._gpus
        self._took(kind, seconds)

    def _gpus_after(self, seconds: float) -> float:
        """GPU-seconds of the study once a trial of so many seconds has ended, and all that are under way."""
        now = time.monotonic()
        under_way = sum(max(self._duration(kind), now - start) for kind, start in self._begun.values())
        return self._gpu_used + (under_way + seconds) * self._gpus

    def _kind(self, trial: TrialConfig) -> Kind:
        return _kind(trial.flat(), trained=trial.key in self._trained)

    def _took(self, kind: Kind, seconds: float) -> None:
        self._longest[kind] = max(self._longest.get(kind, 0.0), seconds)

    def _duration(self, kind: Kind) -> float:
        """Nothing while nothing has been run: better one trial that ends too late than none."""
        if kind in self._longest:
            return self._longest[kind]
        alike = [(other, took) for other, took in self._longest.items() if other[2] is kind[2]]
        return max((took * self._ratio(kind, other) for other, took in alike), default=0.0)

    def _ratio(self, kind: Kind, other: Kind) -> float:
        """How much longer than another a trial is expected to take; a busy machine slows both.

        Not less for fewer views: some of the time has nothing to do with them.
        """
        known = kind[0] in self._expected and other[0] in self._expected
        architectures = self._expected[kind[0]] / self._expected[other[0]] if known else 1.0
        return architectures * max(1.0, kind[3] / other[3])


def _kind(config: Flat, *, trained: bool) -> Kind:
    views = 1 if trained else config["epochs"] * (config["views_global"] + config["views_local"])
    return config["architecture"], config["dataset"], trained, views


def seconds_taken(trial: TrialLedger) -> float:
    """What a trial and the measurements of its encoder took so far; of one without a result, its whole epochs."""
    result = trial.result()
    trained = (row["seconds"] for row in trial.history()) if result is None else (result["seconds"],)
    later = (*trial.transfer().values(), *trial.measured().values())
    return float(sum(trained) + sum(entry["seconds"] for entry in later))
