"""The last reading of a study: read anew when it is old, summed up anew only if it changed."""

import time
from dataclasses import dataclass
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
    """A study as it stood at a time."""

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
    """The last reading of one study."""

    def __init__(self, place: Place, study: str) -> None:
        """Nothing is read yet."""
        self._place, self._study = place, study
        self._reading: Reading | None = None
        self._read = 0.0

    def get(self, seconds: float) -> Reading:
        """A reading at most so old.

        Raises:
            LejepaError: If the study cannot be read now.
        """
        with _READING:
            if self._reading is None or time.monotonic() - self._read >= seconds:
                self._reading = self._again(self._place.read(self._study))
                self._read = time.monotonic()
            return self._reading

    def _again(self, results: Results) -> Reading:
        last, now = self._reading, datetime.now().astimezone()
        if last is not None and _same(last.results, results):
            return Reading(results=last.results, summary=last.summary, at=now)
        return Reading(results=results, summary=summarise(results, find(results, rough=True)), at=now)


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
