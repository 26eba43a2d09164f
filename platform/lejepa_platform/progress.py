"""The live picture of a study: a table on a terminal, plain lines elsewhere."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lejepa_platform.config import Flat
from lejepa_platform.ledger import FAILURES

RECENT = 8
"""Results shown below the counts."""
_COLUMNS = ("architecture", "data set", "λ", "seed", "outcome", "val", "test", "seconds")
_COLOURS = {"ok": "green", "collapsed": "yellow", "diverged": "yellow", "stopped": "yellow"}


class Progress:
    """Counts a study's trials and shows how far it is."""

    def __init__(
        self,
        study: str,
        *,
        total: int,
        finished: list[Flat],
        variant_of: Callable[[Mapping[str, Any]], str] | None = None,
        console: Console | None = None,
    ) -> None:
        """Begin with what an earlier run had finished.

        Args:
            study: The study's name.
            total: Trials of the whole study.
            finished: Contents of the result.json files that exist.
            variant_of: From a trial's settings to its variant; None for a study without variants.
            console: Where to show it; standard error if None: standard output is for results.
        """
        self._study, self._total, self._variant_of = study, total, variant_of
        self._console = console or Console(stderr=True)
        self._outcomes = Counter(result["outcome"] for result in finished)
        self._before = len(finished)
        self._running: dict[str, Flat] = {}
        self._recent: deque[Flat] = deque(maxlen=RECENT)
        self._start = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Show the table, if this is a terminal."""
        if self._console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=2)
            self._live.start()
        else:
            self._console.print(f"study {self._study}: {self._done} of {self._total} trials are finished")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the last state of the table standing."""
        if self._live is not None:
            self._live.stop()

    def started(self, key: str, config: Flat) -> None:
        """A trial begins or goes on."""
        self._running[key] = config

    def ended(self, result: Flat) -> None:
        """A trial has a result."""
        self._running.pop(result["key"], None)
        self._outcomes[result["outcome"]] += 1
        self._recent.append(result)
        if self._live is None:
            line = " / ".join([*self._variant(result["config"]), describe(result)])
            self._console.print(f"[{self._done}/{self._total}] {line}  ETA {self.eta()}", markup=False, soft_wrap=True)

    @property
    def _done(self) -> int:
        return self._outcomes.total()

    def eta(self) -> str:
        """Time left at the pace of this run; "?" before its first result."""
        here = self._done - self._before
        if not here:
            return "?"
        left = (self._total - self._done) * (time.monotonic() - self._start) / here
        return duration(left)

    def render(self) -> Group:
        """The table as it stands."""
        failed = sum(self._outcomes[outcome] for outcome in FAILURES)
        counts = Table.grid(padding=(0, 3))
        counts.add_row(
            Text(f"study {self._study}", style="bold"),
            f"{self._done} of {self._total} done",
            f"{len(self._running)} running",
            Text(f"{failed} failed", style="red" if failed else "dim"),
            f"elapsed {duration(time.monotonic() - self._start)}",
            f"ETA {self.eta()}",
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in (*(["variant"] if self._variant_of else []), *_COLUMNS):
            table.add_column(column, justify="right" if column in ("λ", "seed", "val", "test", "seconds") else "left")
        for result in self._recent:
            table.add_row(
                *self._variant(result["config"]),
                *_cells(result),
                style=_COLOURS.get(result["outcome"], "red") if result["outcome"] != "ok" else "",
            )
        for config in self._running.values():
            table.add_row(*self._variant(config), *_labels(config), "running …", style="dim")
        # A bar of its own ends without a new line.
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(1, self._total), completed=self._done, width=80))
        return Group(counts, bar, table)

    def _variant(self, config: Flat) -> tuple[str, ...]:
        """The name of a trial's variant, none in a study without."""
        return (self._variant_of(config),) if self._variant_of else ()


def describe(result: Flat) -> str:
    """One line about a result."""
    architecture, dataset, lambda_, seed, outcome, val, test, seconds = _cells(result)
    reason = f" ({result['reason']})" if result["reason"] else ""
    return f"{architecture} / {dataset}  λ={lambda_} seed={seed}  {outcome}{reason}  val {val} test {test}  {seconds} s"


def duration(seconds: float) -> str:
    """As 1 h 05 min, 3 min 20 s or 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def _labels(config: Flat) -> tuple[str, str, str, str]:
    return config["architecture"], config["dataset"], f"{config['lambda']:g}", str(config["seed"])


def _cells(result: Flat) -> tuple[str, ...]:
    def percent(name: str) -> str:
        value = result["metrics"].get(name)
        return "–" if value is None else f"{100 * value:.1f} %"

    accuracies = percent("val/linear_top1"), percent("test/linear_top1")
    return *_labels(result["config"]), result["outcome"], *accuracies, f"{result['seconds']:.1f}"
