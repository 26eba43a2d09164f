"""The last reading of a study: read anew when it is old, summed up anew only if it changed."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

from dashboards.findings import find
from dashboards.places import Place
from dashboards.report import summarise
from dashboards.results import PENDING, Results
from dashboards.summary import Json

_READING = Lock()
"""One reading at a time: two threads that import mlflow at once can find it half made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A study, or one of its variants, as it stood at a time."""

    results: Results
    summary: Json
    at: datetime
    """Local time."""

    @property
    def progress(self) -> str:
        """How far the study is: "as of 13:05, 12 of 48 done"."""
        return f"as of {self.at:%H:%M}, {self.done} of {self.total} done"

    @property
    def done(self) -> int:
        """Trials with an outcome."""
        return int((self.results.trials["outcome"] != PENDING).sum())

    @property
    def total(self) -> int:
        """Trials that the study will have."""
        known = len(self.results.trials) + self.results.unstarted
        if not self.results.searched:
            return known
        axes = (self.results.config.get(name, ()) for name in ("architectures", "datasets", "seeds"))
        count = int(self.results.config.get("trials", 0))
        for values in axes:
            count *= len(values)
        return max(known, count)


class Latest:
    """The last reading of one study, and of its variants those that were asked for."""

    def __init__(self, place: Place, study: str) -> None:
        """Nothing is read yet."""
        self._place, self._study = place, study
        self._results: Results | None = None
        self._at = datetime.now().astimezone()
        self._read = 0.0
        self._readings: dict[str, Reading] = {}

    def variants(self, seconds: float) -> tuple[str, ...]:
        """Names of its variants, in order, by a reading at most so old; the empty one alone if it has none.

        Raises:
            LejepaError: If the study cannot be read now.
        """
        with _READING:
            return self._whole(seconds).variants

    def get(self, seconds: float, variant: str | None = None) -> Reading:
        """A reading at most so old.

        Args:
            seconds: Most since it was made.
            variant: Of the study; None = its first.

        Raises:
            LejepaError: If the study cannot be read now, or has no such variant.
        """
        with _READING:
            whole = self._whole(seconds)
            name = whole.variants[0] if variant is None else variant
            held = self._readings.get(name)
            if held is None:
                own = whole.only(name)
                held = Reading(results=own, summary=summarise(own, find(own, rough=True)), at=self._at)
            self._readings[name] = replace(held, at=self._at)
            return self._readings[name]

    def _whole(self, seconds: float) -> Results:
        if self._results is None or time.monotonic() - self._read >= seconds:
            results = self._place.read(self._study)
            self._read, self._at = time.monotonic(), datetime.now().astimezone()
            if self._results is None or not _same(self._results, results):
                self._results, self._readings = results, {}
        return self._results


def studies(place: Place) -> list[str]:
    """Names of all studies of a place.

    Raises:
        TrackingError: If the tracker cannot be used.
    """
    with _READING:
        return place.studies()


def _same(first: Results, second: Results) -> bool:
    same = (first.unstarted, first.study, first.notes) == (second.unstarted, second.study, second.notes)
    return same and first.draws == second.draws and first.trials.equals(second.trials)
