"""Seconds of several calls, taken in turns; a fresh process to take them in; and a table to print them."""

import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

Times = dict[str, list[float | None]]
"""Seconds per call of each name, one entry per round; None where a slow one sat out."""

BATCH_SECONDS = 0.02
SLOW_EVERY = 3


class Spread(NamedTuple):
    """A median between its quartiles."""

    median: float
    low: float
    high: float

    def show(self, digits: int = 1, factor: float = 1.0) -> str:
        """As in `12.3 [11.9, 12.8]`."""
        median, low, high = (f"{factor * value:.{digits}f}" for value in self)
        return f"{median} [{low}, {high}]"


class Bar(NamedTuple):
    """What a figure has to reach."""

    limit: float
    at_most: bool = True

    def verdict(self, value: float) -> str:
        """The bar, and whether the value keeps it."""
        kept = value <= self.limit if self.at_most else value >= self.limit
        return f"{'≤' if self.at_most else '≥'} {self.limit:g} {'ok' if kept else 'MISSED'}"


def interleaved(calls: Mapping[str, Callable[[], object]], *, rounds: int, slow: float = math.inf) -> Times:
    """Time every call in each round, in an order that rotates and turns round, so that no one keeps a neighbour.

    Args:
        calls: What to time, by name. Each is called twice before the first round, a slow one once.
        rounds: How many rounds. In each, a short call is repeated for about `BATCH_SECONDS`.
        slow: Calls that take more seconds than this join every third round only.
    """
    once = {name: _warm(call, slow) for name, call in calls.items()}
    times: Times = {name: [] for name in calls}
    names = list(calls)
    for index in range(rounds):
        start = index % len(names)
        order = names[start:] + names[:start]
        for name in reversed(order) if index % 2 else order:
            sits_out = once[name] > slow and index % SLOW_EVERY
            repeats = max(1, round(BATCH_SECONDS / once[name]))
            times[name].append(None if sits_out else _seconds(calls[name], repeats))
    return times


def _warm(call: Callable[[], object], slow: float) -> float:
    first = _seconds(call, 1)
    return first if first > slow else _seconds(call, 1)


def _seconds(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def spread(values: Sequence[float | None]) -> Spread:
    """Median and quartiles of what is there."""
    present = [value for value in values if value is not None]
    if len(present) == 1:
        return Spread(present[0], present[0], present[0])
    low, median, high = statistics.quantiles(present, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(times: Times, top: str, bottom: str) -> Spread:
    """Ratio of the medians, with the quartiles of the ratios within a round."""
    pairs = zip(times[top], times[bottom], strict=True)
    within = spread([a / b for a, b in pairs if a is not None and b is not None])
    return within._replace(median=spread(times[top]).median / spread(times[bottom]).median)


def in_fresh_process(threads: int, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Result of a function in a process of its own with so many threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        return pool.submit(function, *arguments, **options).result()


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A heading and columns as wide as what they hold."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    print(f"\n{title}")
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)
