"""What each normality test sees at N = 128: `python tests/benchmarks/bench_power.py [--json PATH]`.

Power at level 5 %: the share of samples of an alternative whose statistic lies above the 95 % quantile of samples of
N(0, I). In D = 16 univariate tests are averaged over 64 slices, drawn anew for every 50 samples; in D = 1 all slices
are the same line, and one is taken. Intervals are Wilson's at 95 % for the share alone; the quantile's own error, the
same for all alternatives of a row, adds about ±1 point at a power of 5 %.

Alternatives, all coordinates independent: uniform and Laplace with mean 0 and variance 1; anisotropic, normal with
standard deviations 1.1 and 0.9 in turns (1.1 in D = 1); two bumps, 0.9·(±1) + √0.19·normal, which has mean 0 and
variance 1, along the first axis, the other axes normal.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from lejepa_core.directions import Directions
from lejepa_core.normality import MULTIVARIATE, UNIVARIATE, Sliced
from lejepa_core.random import derive_seed
from lejepa_core.sigreg import SIGReg

SAMPLES, DIMS, SLICES = 128, (1, 16), 64
NULL_DRAWS, POWER_DRAWS, CHUNK = 2000, 400, 50
Statistic = Callable[..., Tensor]


def statistics(dims: int) -> dict[str, Statistic]:
    """Every test as it stands in the loss, Epps-Pulley first."""
    directions = Directions(1 if dims == 1 else SLICES)
    return {
        "epps-pulley": SIGReg(slices=directions.slices),
        **{name: Sliced(test(), directions=directions) for name, test in UNIVARIATE.items()},
        **{name: test() for name, test in MULTIVARIATE.items()},
    }


def draw(law: str, draws: int, dims: int) -> Tensor:
    """Samples of a law, (draws, N, D)."""
    generator = torch.Generator().manual_seed(derive_seed("bench", law, dims))
    uniform = torch.rand(draws, SAMPLES, dims, generator=generator, dtype=torch.float64)
    z = torch.randn(draws, SAMPLES, dims, generator=generator)
    if law == "uniform":
        return ((uniform - 0.5) * math.sqrt(12)).float()
    if law == "laplace":
        centred = uniform - 0.5
        return (-centred.sign() * (-2 * centred.abs()).log1p() / math.sqrt(2)).float()
    if law == "anisotropic":
        return z * torch.tensor([1.1, 0.9]).repeat(dims)[:dims]
    if law == "two bumps":
        z[..., 0] = 0.9 * (uniform[..., 0] - 0.5).sign() + math.sqrt(0.19) * z[..., 0]
    return z


def wilson(hits: int, draws: int) -> tuple[float, float]:
    """95 % interval of a share."""
    q = 1.959964
    centre = (hits + q**2 / 2) / (draws + q**2)
    half = q / (draws + q**2) * math.sqrt(hits * (draws - hits) / draws + q**2 / 4)
    return centre - half, centre + half


def evaluate(statistic: Statistic, z: Tensor, first_step: int) -> Tensor:
    """The statistic of each draw."""
    with torch.no_grad():
        return torch.cat([statistic(part, step=first_step + i) for i, part in enumerate(z.chunk(len(z) // CHUNK))])


def measure(dims: int) -> list[dict[str, Any]]:
    """Power of every test against every alternative in so many dims."""
    null = draw("normal", NULL_DRAWS, dims)
    others = {law: draw(law, POWER_DRAWS, dims) for law in ("uniform", "laplace", "anisotropic", "two bumps")}
    rows = []
    for name, statistic in statistics(dims).items():
        under_null = evaluate(statistic, null, 0)
        critical = float(under_null.quantile(0.95))
        for law, z in others.items():
            hits = int((evaluate(statistic, z, 10_000) > critical).sum())
            low, high = wilson(hits, POWER_DRAWS)
            power = hits / POWER_DRAWS
            rows.append({"dims": dims, "test": name, "law": law, "n": POWER_DRAWS, "power": power, "low": low,
                         "high": high, "null_mean": float(under_null.mean()), "critical": critical})  # fmt: skip
    return rows


def show(rows: list[dict[str, Any]], dims: int) -> None:
    """One table: a row for each test, a column for each alternative."""
    laws = list(dict.fromkeys(row["law"] for row in rows))
    print(f"\nD = {dims}: power in % [95 % interval], n = {POWER_DRAWS} (null: {NULL_DRAWS} draws), N = {SAMPLES}")
    print(f"{'test':21}{'null mean':>10}  " + "".join(f"{law:>17}" for law in laws))
    for name in dict.fromkeys(row["test"] for row in rows):
        mine = [row for row in rows if row["test"] == name]
        cells = [f"{100 * r['power']:5.1f} [{100 * r['low']:3.0f}, {100 * r['high']:3.0f}]" for r in mine]
        print(f"{name:21}{mine[0]['null_mean']:10.3f}  " + "".join(f"{cell:>17}" for cell in cells))


def main() -> None:
    """Print the tables, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start, rows = time.perf_counter(), []
    for dims in DIMS:
        found = measure(dims)
        show(found, dims)
        rows += found
    print(f"\n{time.perf_counter() - start:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
