"""Mirrors a study from a background thread, or all at once in the foreground."""

import logging
import threading
import time
from pathlib import Path
from typing import Final

from lejepa_platform.errors import PlatformError, StudyError, TrackingError
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.storage import Location, is_file
from lejepa_platform.stored_variants import report_files
from lejepa_platform.tracking.address import default_uri, masked, reason, sqlite_path
from lejepa_platform.tracking.client import load
from lejepa_platform.tracking.mirror import Mirror
from lejepa_platform.tracking.reader import read_mirrored

LOG = logging.getLogger("lejepa")
REFRESH_SECONDS: Final = 15.0
"""How often the trials that run are looked at while nothing else is to be done."""
HELD_BACK: Final = 2.0
"""Seconds that a trial which has only just started is left alone: a shorter one is written once, when it ended."""
LONGEST_PAUSE: Final = 30.0
"""Seconds between attempts at a tracker that has been away for long."""
SAVE_SECONDS: Final = 2.0
"""Longest wait, once the tracker is given up, for a request to end and for what is known to be kept."""
SYNC_ATTEMPTS: Final = 3
Item = str | Location | None
"""A trial's key, a file to attach, or None for opening."""


class Tracker:
    """Mirrors a study's ledger to MLflow from a thread; training never waits for it, nor dies with it."""

    def __init__(self, study: StudyLedger, uri: str, *, artifacts: Path | None = None) -> None:
        """Nothing is contacted yet.

        Args:
            study: What to mirror.
            uri: The tracker.
            artifacts: Root of the artifacts of a tracker that is a database; beside an SQLite file if None.
        """
        self._study, self._uri = study, uri
        self._mirror = Mirror(study, uri, artifacts)
        self._wake = threading.Condition()
        self._todo: dict[Item, int] = {}
        """Not done yet, with the number of the last request; what is being done stays until it is."""
        self._due: dict[Item, float] = {}
        """Of those held back: when they may be done, by the monotonic clock."""
        self._aside: dict[Item, str] = {}
        """Cannot be done, and why; the tracker is not to blame."""
        self._requests = self._failures = 0
        self._closing = self._abandoned = self._warned = False
        self._error = ""
        self._thread = threading.Thread(target=self._work, name="lejepa-tracker", daemon=True)

    def open(self) -> None:
        """Start the thread, which first finds or makes the study's experiment."""
        try:
            # In this thread, since two threads importing overlapping packages can find them half made.
            load()
        except Exception as error:
            self._note(error)
        self._add(None)
        self._add(self._study.path / "study.json")
        self._thread.start()

    def touch(self, key: str, *, started: bool = False) -> None:
        """Have a trial mirrored as its ledger says by then; costs nothing here.

        Args:
            key: Of the trial.
            started: Whether it has only just started, so that nobody misses it for a moment.
        """
        self._add(key, HELD_BACK if started else 0.0)

    def attach(self, path: Location) -> None:
        """Have a file kept with the study's own run."""
        self._add(path)

    def close(self, *, seconds: float = 60.0) -> str:
        """Finish what was asked for, for so long; a tracker that is away is given up at once.

        Returns:
            Empty, or one line on what is missing.
        """
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        with self._wake:
            self._abandoned = True
            self._wake.notify_all()
        if self._mirror.opened:
            self._thread.join(SAVE_SECONDS)
        with self._wake:
            missing = self._missing()
            reasons = [self._error or f"not done within {seconds:g} s"] if self._todo else []
            reasons += self._aside.values()
        if not missing:
            return ""
        return (
            f"the tracker {masked(self._uri)} lacks {missing} ({reasons[0]}); "
            f"`lejepa sync {self._study.path}{self._hint}` writes what is missing"
        )

    @property
    def _hint(self) -> str:
        own = self._uri == default_uri(self._study.path.parent)
        return "" if own else f" --tracking-uri {masked(self._uri)}"

    def _missing(self) -> str:
        items = [*self._todo, *self._aside]
        trials, files = (
            sum(isinstance(item, str) for item in items),
            sum(isinstance(item, Location) for item in items),
        )
        parts = [f"{n} {name}{'s' * (n > 1)}" for n, name in ((trials, "trial"), (files, "file")) if n]
        return " and ".join(parts) or ("the study" if items else "")

    def _add(self, item: Item, seconds: float = 0.0) -> None:
        with self._wake:
            self._requests += 1
            self._aside.pop(item, None)
            self._due[item] = time.monotonic() + seconds
            self._todo[item] = self._requests
            self._wake.notify_all()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            item, request = work
            try:
                self._do(item)
            except StudyError as error:
                LOG.warning("tracking: %s", error)
                self._done(item, request, aside=str(error))
            except Exception as error:
                # Whatever it is, training goes on.
                self._note(error)
                if not self._again(item):
                    break
            else:
                self._failures, self._error = 0, ""
                self._done(item, request)
        self._mirror.save()

    def _next(self) -> tuple[Item, int] | None:
        with self._wake:
            while (work := self._first_due()) is None:
                if self._closing:
                    return None
                if not self._wake.wait(HELD_BACK if self._todo else REFRESH_SECONDS) and not self._todo:
                    self._todo |= dict.fromkeys(self._mirror.running(), 0)
            return None if self._abandoned else work

    def _first_due(self) -> tuple[Item, int] | None:
        now = time.monotonic()
        return next((work for work in self._todo.items() if self._closing or self._due.get(work[0], now) <= now), None)

    def _do(self, item: Item) -> None:
        if item is None:
            self._mirror.open()
        elif isinstance(item, str):
            self._mirror.trial(self._study.trial(item))
        else:
            self._mirror.attach(item)

    def _done(self, item: Item, request: int, *, aside: str = "") -> None:
        with self._wake:
            if self._todo[item] != request:
                return
            del self._todo[item]
            self._due.pop(item, None)
            if aside:
                self._aside[item] = aside

    def _again(self, item: Item) -> bool:
        """Put a failed item last and wait; False to give up."""
        self._mirror.forget()
        self._failures += 1
        with self._wake:
            self._todo[item] = self._todo.pop(item)
            if self._closing and self._failures > 1:
                return False
            self._wake.wait_for(lambda: self._closing, min(LONGEST_PAUSE, 0.5 * 2 ** min(self._failures, 6)))
            return not self._abandoned

    def _note(self, error: Exception) -> None:
        self._error = reason(error, self._uri)
        if not self._warned:
            self._warned = True
            LOG.warning("tracking: %s; training goes on without, and it is tried again", self._error)


def sync(study: StudyLedger, uri: str, *, artifacts: Path | None = None) -> int:
    """Mirror every trial of a study; again as often as you like, the result is the same.

    Args:
        study: What to mirror.
        uri: The tracker.
        artifacts: Root of the artifacts of a tracker that is a database; beside an SQLite file if None.

    Returns:
        How many trials the tracker now holds.

    Raises:
        TrackingError: If the tracker cannot be used, or fails on the way.
        StudyError: If trials are damaged; all others have been mirrored.
    """
    mirror = Mirror(study, uri, artifacts, afresh=True)
    _attempt(mirror, uri, None)
    trials, damaged = 0, []
    for ledger in study.trials():
        try:
            trials += _attempt(mirror, uri, ledger)
        except StudyError as error:
            damaged.append(str(error))
    for name in ("study.json", *report_files(study.read()["config"])):
        if is_file(study.path / name):
            mirror.attach(study.path / name)
    mirror.save()
    if damaged:
        raise StudyError(f"{len(damaged)} of {trials + len(damaged)} trials cannot be mirrored: {damaged[0]}")
    return trials


def _attempt(mirror: Mirror, uri: str, ledger: TrialLedger | None) -> bool:
    for attempt in range(1, SYNC_ATTEMPTS + 1):
        try:
            return mirror.trial(ledger) if ledger is not None else bool(mirror.open())
        except PlatformError:
            raise
        except Exception as error:
            mirror.forget()
            if attempt == SYNC_ATTEMPTS:
                raise TrackingError(
                    f"the tracker {masked(uri)} failed: {reason(error, uri)}; `lejepa sync` again goes on"
                ) from error
            time.sleep(0.5 * attempt)
    raise AssertionError


def run_links(study: str, uri: str, cache: Path | None = None) -> dict[str, str]:
    """Where MLflow's pages show each trial.

    Args:
        study: Its name.
        uri: Its tracker.
        cache: Folder to keep what was read in, see `read_mirrored`.

    Returns:
        Trial key -> "#/experiments/E/runs/R", to be put behind the address of MLflow's pages. Empty if the
        tracker cannot be reached or does not know the study: a report is made without it.
    """
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return {}
    try:
        return read_mirrored(study, uri, cache).links()
    except StudyError:
        return {}
    except PlatformError as error:
        LOG.warning("no links to MLflow: %s", error)
        return {}
