"""Peak extra memory of one forward and backward: what is alive at the worst moment less what was there before.

The samples exist before the call, so they do not count; the gradient that the call returns does, and so do the
directions. Given in floats (4 bytes) per sample and slice.
"""

# N samples, D dims, M slices
import ctypes
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contenders import EAGER, OURS, Size, gradient_call
from sigreg_speed import PLANS
from timing import Bar, in_fresh_process, print_table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

FLOAT_BYTES = 4
MEMORY_BAR = Bar(3.2)
SMALL = [size for size in PLANS if size.n < 1024]
LARGE = [size for size in PLANS if size.n >= 1024]


def run_memory(names: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """All contenders at all sizes on one thread; a large size has a process of its own. Rounds play no part."""
    del quick
    found = [
        row
        for name in names
        for sizes in (SMALL, *([size] for size in LARGE))
        for row in in_fresh_process(1, _peaks, name, sizes)
    ]
    found.sort(key=lambda row: (list(PLANS).index(row["size"]), names.index(row["contender"])))
    print_table(
        "Peak extra memory of one forward + backward, floats per N·M, one thread; the larger of both counts",
        ("N x D x M", "contender", "floats", "bar", "profiler", "VmHWM"),
        [_row(row) for row in found],
    )
    return found


def _peaks(name: str, sizes: Sequence[Size]) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        call, unit = gradient_call(name, size), FLOAT_BYTES * size.n * size.m
        call()
        # Below about a megabyte the resident set shows pages of Python and not of tensors.
        resident = _resident_growth(call) / unit if size in LARGE else None
        profiled = _profiled_peak(call) / unit
        bar = MEMORY_BAR if name.startswith(OURS) and name != EAGER else None
        rows.append(
            {"size": size, "contender": name, "floats": max(profiled, resident or 0.0), "profiler": profiled}
            | {"resident": resident, "bar": bar}
        )
    return rows


def _profiled_peak(call: Callable[[], Tensor]) -> int:
    """Bytes: the highest running sum of what torch's allocator gave and took back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    alive = peak = 0
    for _, change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def _resident_growth(call: Callable[[], Tensor]) -> int:
    """Bytes: the highest resident set during the call, less the one before (Linux)."""
    # What the warm-up freed would otherwise still be resident, and be used again unseen.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["size"]),
        row["contender"],
        f"{row['floats']:.2f}",
        row["bar"].verdict(row["floats"]) if row["bar"] else "",
        f"{row['profiler']:.2f}",
        "" if row["resident"] is None else f"{row['resident']:.2f}",
    )
