"""Table 6 measured here: forward and backward of SIGReg, shape by shape."""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import torch

from lejepa_core.sigreg import SIGReg
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Storage, write_json
from sweeps.paper.item import Item, Scale
from sweeps.paper.items.table6 import TIMES, shape_name

DIMS: Final = 64
REPEATS: Final = 10
"""As the table has it."""
MOST: Final[Mapping[Scale, int]] = {"cpu": 2**24, "pilot": 2**27}
"""Samples x slices that a scale takes on; others take all."""


class Shape(NamedTuple):
    """A row of the table."""

    samples: int
    slices: int
    points: int


def shapes(scale: Scale) -> list[Shape]:
    """The rows that a scale measures.

    Args:
        scale: Smaller ones leave out the largest rows.
    """
    most = MOST.get(scale)
    return [Shape(*shape) for shape in TIMES if most is None or shape[0] * shape[1] <= most]


def benchmark_json(item: Item, scale: Scale) -> dict[str, Any]:
    """What `lejepa paper plan --json` prints."""
    there = shapes(scale)
    return {
        "item": item.name,
        "scale": scale,
        "shapes": [shape._asdict() for shape in there],
        "repeats": REPEATS,
        "memory_bytes": 4 * 2 * max(shape.samples * shape.slices for shape in there),
        "differences": list(item.differences),
    }


def benchmark_lines(item: Item, scale: Scale) -> Iterator[str]:
    """Lines of `lejepa paper plan`."""
    plan = benchmark_json(item, scale)
    yield f"{item.name} at scale {scale}: {item.title}"
    yield f"shapes   {len(plan['shapes'])} of {len(TIMES)}, {REPEATS} times each, seconds to a minute"
    yield f"memory   about {plan['memory_bytes'] / 1e9:.1f} GB for the largest shape"
    yield ""
    yield "differs from what was published:"
    yield from (f"- {line}" for line in item.differences)


def timed(shape: Shape, repeats: int = REPEATS) -> tuple[float, float]:
    """Mean and standard deviation of one forward and backward pass, in milliseconds.

    Args:
        shape: Samples, slices, and points on [-t, t].
        repeats: Passes that count; one before them does not.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    statistic = SIGReg(slices=shape.slices, knots=max(2, shape.points // 2)).to(device)
    x = torch.randn(shape.samples, DIMS, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    marks = [_pass(statistic, x, step, device) for step in range(repeats + 1)][1:]
    return 1000 * statistics.fmean(marks), 1000 * statistics.stdev(marks)


def _pass(statistic: SIGReg, x: torch.Tensor, step: int, device: torch.device) -> float:
    start = time.perf_counter()
    statistic(x, step=step).sum().backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def run_benchmark(item: Item, scale: Scale, storage: Storage, study: str | None) -> int:
    """Measure the rows, keep them, and compare.

    Args:
        item: Table 6.
        scale: See `shapes`.
        storage: Of all studies.
        study: Name of the folder there; None = that of the item and the scale.

    Returns:
        The exit code.

    Raises:
        StudyError: If the name is none, or that of a study.
    """
    from sweeps.paper.comparing import compare_item

    preset = f"paper-{item.name}-{scale}"
    ledger = StudyLedger.at(storage, study or preset)
    if ledger.exists():
        raise StudyError(f"{ledger.name!r} is a study, and {item.name} is a benchmark; choose another --study")
    rows = {shape_name(*shape): dict(zip(("value", "sd"), timed(shape), strict=True)) for shape in shapes(scale)}
    write_json(ledger.path / "benchmark.json", {"preset": preset, "rows": rows, "dims": DIMS, "repeats": REPEATS})
    compare_item(item, scale, storage, study=study, as_json=False)
    return 0
