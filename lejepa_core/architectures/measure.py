"""Measures what the registry says of architectures, and writes it beside the registry.

`python -m lejepa_core.architectures.measure --write` takes about ten minutes on one idle core; with names or
patterns behind it, only these are measured; without `--write`, they are only shown.
"""

# N images, S side of an image, F features
import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from importlib.metadata import version

import torch
from torch import Tensor, nn

from lejepa_core.architectures.build import build_backbone
from lejepa_core.architectures.measurements import Measurement, read_measurements, write_measurements
from lejepa_core.architectures.registry import ARCHITECTURES, smallest_size
from lejepa_core.architectures.spec import ArchitectureSpec

LARGE = 20_000_000
"""Parameters from which on nothing is timed."""
SIDES = (8, 16, 32, 64, 128, 192, 224, 256, 384, 512)
MULTIPLES = (1, 2, 4, 8, 14, 16, 32, 64, 128)
IMAGES = 32
"""Batch that is timed."""


class Unbuilt:
    """An architecture on the meta device, where shapes are worked out and nothing is computed."""

    def __init__(self, spec: ArchitectureSpec) -> None:
        """Take an entry of the registry; what was measured of it before is not looked at, but for `sized`."""
        self.spec = spec
        self._networks: dict[int, nn.Module] = {}

    def network(self, size: int) -> nn.Module:
        """The network for images of a side, in pixels."""
        key = size if self.spec.sized else 0
        if key not in self._networks:
            with torch.device("meta"):
                self._networks[key] = build_backbone(self.spec, size)
        return self._networks[key]

    def shape(self, network: nn.Module, size: int) -> tuple[int, ...]:
        """Shape of what a network makes of two images of a side, in pixels."""
        with torch.device("meta"), torch.no_grad():
            features: Tensor = network(torch.zeros(2, 3, size, size))
        return tuple(features.shape)

    def runs(self, *sizes: int) -> bool:
        """Whether one network, built for the first side, turns images of all these sides into vectors of one width."""
        try:
            shapes = {self.shape(self.network(sizes[0]), size) for size in sizes}
        except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError):
            return False
        return len(shapes) == 1 and len(next(iter(shapes))) == 2

    def parameters(self, size: int) -> int:
        """Parameters without a head, of the network for images of a side, in pixels."""
        return sum(p.numel() for p in self.network(size).parameters())

    def features(self, size: int) -> int:
        """Width of the embedding."""
        return self.shape(self.network(size), size)[1]

    def batchnorm(self, size: int) -> bool:
        """Whether there is any BatchNorm."""
        return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.network(size).modules())


def measure(name: str) -> Measurement:
    """Everything the table holds of one architecture.

    Args:
        name: A name of the registry.

    Raises:
        RuntimeError: If it runs at no size.
    """
    found = measure_shapes(name)
    spec = replace(
        ARCHITECTURES[name],
        sized=found.sized,
        parameters=found.parameters,
        min_size=found.min_size,
        multiple=found.multiple,
    )
    return replace(found, ms_32=milliseconds(spec, 32), ms_64=milliseconds(spec, 64))


def measure_shapes(name: str) -> Measurement:
    """What the table holds of one architecture but for the times: nothing is computed.

    Args:
        name: A name of the registry.

    Raises:
        RuntimeError: If it runs at no size.
    """
    spec = _with_size_argument(ARCHITECTURES[name])
    unbuilt = Unbuilt(spec)
    smallest = next((s for s in SIDES if s >= smallest_size(name) and unbuilt.runs(s)), None)
    if smallest is None:
        raise RuntimeError(f"{name} runs at none of {SIDES} px")
    return Measurement(
        parameters=unbuilt.parameters(smallest),
        features=unbuilt.features(smallest),
        sized=spec.sized,
        multi_size=unbuilt.runs(2 * smallest, smallest),
        min_size=smallest,
        multiple=next(m for m in MULTIPLES if all(unbuilt.runs(s) for s in _odd_multiples(m, smallest))),
        batchnorm=unbuilt.batchnorm(smallest),
        ms_32=None,
        ms_64=None,
    )


def milliseconds(spec: ArchitectureSpec, size: int) -> float | None:
    """Time of this thread per image, forward and backward in training mode, the better of two.

    Args:
        spec: An entry with its parameters counted and its sizes known.
        size: Side of the images, in pixels.

    Returns:
        Milliseconds; None if it is large or does not take the size.
    """
    if spec.parameters >= LARGE or not spec.takes(size):
        return None
    layout = torch.channels_last if spec.channels_last else torch.contiguous_format
    network = build_backbone(spec, size).to(memory_format=layout)
    images_N3SS = torch.randn(IMAGES, 3, size, size).contiguous(memory_format=layout)
    times = []
    for _ in range(2):
        start = time.thread_time()
        network(images_N3SS).square().mean().backward()
        times.append(time.thread_time() - start)
    return round(1000 * min(times) / IMAGES, 2)


def _with_size_argument(spec: ArchitectureSpec) -> ArchitectureSpec:
    """The entry with `sized` as timm has it: an entry point refuses an argument that it does not know."""
    sized = replace(spec, sized=True)
    try:
        Unbuilt(sized).network(224)
    except TypeError:
        return replace(spec, sized=False)
    return sized


def _odd_multiples(multiple: int, smallest: int) -> list[int]:
    """Two sides that are multiples of this and not of twice this."""
    first = -(-smallest // multiple)
    first += 1 - first % 2
    return [multiple * first, multiple * (first + 2)]


def _selected(patterns: Iterable[str]) -> list[str]:
    wanted = list(patterns) or ["*"]
    return [name for name in ARCHITECTURES if any(fnmatchcase(name, pattern) for pattern in wanted)]


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command names; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names or patterns; all by default")
    parser.add_argument("--write", action="store_true", help="write the table")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    measured = {name: row for name, row in read_measurements().items() if name in ARCHITECTURES}
    for name in _selected(chosen.names):
        measured[name] = measure(name)
        print(name, *(f"{key}={value}" for key, value in asdict(measured[name]).items()), flush=True)
    if chosen.write:
        write_measurements(measured, versions=[(package, version(package)) for package in ("timm", "torch")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
