"""Time of SIGReg's forward and backward: against the peers and the bare matmul, and as each size doubles."""

# N samples, D dims, M slices, T knots
from collections.abc import Sequence
from typing import Any, NamedTuple

from contenders import EAGER, LIGHTLY, MATMUL, OURS, STABLE, Size, gradient_call
from timing import Bar, Times, in_fresh_process, interleaved, print_table, ratio, spread

SLOW_SECONDS = 1.0
EAGER_BAR = Bar(3, at_most=False)
GROWTH_BAR = Bar(2.2)


class Plan(NamedTuple):
    """Rounds at one size, and the bars of ours on one thread."""

    rounds: int
    quick: int
    faster_than_lightly: Bar
    times_matmul: Bar


PLANS = {
    Size(256, 64, 256): Plan(21, 7, Bar(6, at_most=False), Bar(3.5)),
    Size(512, 128, 1024): Plan(21, 7, Bar(20, at_most=False), Bar(2.4)),
    Size(1024, 512, 1024): Plan(15, 5, Bar(12, at_most=False), Bar(1.45)),
    Size(4096, 512, 4096): Plan(9, 3, Bar(20, at_most=False), Bar(1.3)),
}

GROWTH = {
    "base": Size(1024, 128, 1024),
    "N": Size(2048, 128, 1024),
    "D": Size(1024, 256, 1024),
    "M": Size(1024, 128, 2048),
    "T": Size(1024, 128, 1024, knots=33),
}


def run_time(names: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """All contenders at all sizes, in one process for one thread and in one for two."""
    found = []
    for threads in (1, 2):
        measured = in_fresh_process(threads, _time_sizes, names, quick)
        rows = [
            _compare(measured[size], name, size, threads) for size in PLANS for name in names if name in measured[size]
        ]
        print_table(
            f"Forward + backward, threads: {threads}. Median [quartiles of the rounds]; 'x' = how many times faster",
            ("N x D x M", "contender", "ms", "x lightly", "bar", "x stable-pretraining", "/ matmul", "bar"),
            [_time_row(row) for row in rows],
        )
        found += rows
    return found


def run_growth(names: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """How ours grows when one of N, D, M, T doubles, on one thread."""
    found = []
    for name in (name for name in names if name.startswith(OURS)):
        times = in_fresh_process(1, _time_growth, name, 7 if quick else 21)
        found += [_grow(times, name, doubled) for doubled in GROWTH]
    print_table(
        f"Growth from {GROWTH['base']} (T = 17, doubled: 33), one thread",
        ("contender", "doubled", "ms", "/ base", "bar"),
        [_growth_row(row) for row in found],
    )
    return found


def _time_sizes(names: Sequence[str], quick: bool) -> dict[Size, Times]:
    return {
        size: interleaved(
            {name: gradient_call(name, size) for name in names},
            rounds=plan.quick if quick else plan.rounds,
            slow=SLOW_SECONDS,
        )
        for size, plan in PLANS.items()
    }


def _time_growth(name: str, rounds: int) -> Times:
    return interleaved({doubled: gradient_call(name, size) for doubled, size in GROWTH.items()}, rounds=rounds)


def _compare(times: Times, name: str, size: Size, threads: int) -> dict[str, Any]:
    held = threads == 1 and name.startswith(OURS)
    plan = PLANS[size]
    return {
        "size": size,
        "threads": threads,
        "contender": name,
        "seconds": spread(times[name]),
        "rounds": sum(seconds is not None for seconds in times[name]),
        "faster_than_lightly": ratio(times, LIGHTLY, name) if LIGHTLY in times else None,
        "faster_than_stable_pretraining": ratio(times, STABLE, name) if STABLE in times else None,
        "times_matmul": ratio(times, name, MATMUL),
        "bar_lightly": (EAGER_BAR if name == EAGER else plan.faster_than_lightly) if held else None,
        "bar_matmul": plan.times_matmul if held and name != EAGER else None,
    }


def _time_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["size"]),
        row["contender"],
        row["seconds"].show(2, 1e3),
        row["faster_than_lightly"].show() if row["faster_than_lightly"] else "",
        _verdict(row, "faster_than_lightly", "bar_lightly"),
        row["faster_than_stable_pretraining"].show() if row["faster_than_stable_pretraining"] else "",
        row["times_matmul"].show(2),
        _verdict(row, "times_matmul", "bar_matmul"),
    )


def _grow(times: Times, name: str, doubled: str) -> dict[str, Any]:
    return {
        "contender": name,
        "doubled": doubled,
        "size": GROWTH[doubled],
        "seconds": spread(times[doubled]),
        "ratio": ratio(times, doubled, "base"),
        "bar": GROWTH_BAR if doubled in ("N", "M", "T") else None,
    }


def _growth_row(row: dict[str, Any]) -> tuple[str, ...]:
    seconds, growth = row["seconds"].show(2, 1e3), row["ratio"].show(2)
    return (row["contender"], row["doubled"], seconds, growth, _verdict(row, "ratio", "bar"))


def _verdict(row: dict[str, Any], figure: str, bar: str) -> str:
    return row[bar].verdict(row[figure].median) if row[bar] and row[figure] else ""
