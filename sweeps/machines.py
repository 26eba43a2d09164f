"""Machines that a study can be costed for: what they are assumed to do, in numbers to argue with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from lejepa_core.errors import SettingError, UnknownNameError

GIGABYTE: Final = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What runs trials."""

    name: str
    kind: Literal["cpu", "gpu"]
    devices: int
    """Cores that trials run on, one each; or GPUs."""
    memory: float
    """Bytes of a GPU; of a machine without, bytes of all of it."""
    flops: Mapping[str, float]
    """Group of families -> operations a second in bfloat16 that training reaches on a GPU; `*` for all others."""
    megapixel: float = 0.0
    """Seconds that a GPU takes to make a million pixels of views."""
    exponential: float = 0.0
    """Seconds that a GPU takes for a billion exponentials of SIGReg."""
    probe: float = 0.0
    """Seconds for a billion products of linear probes, which run on the host's cores."""
    assumed: str = ""
    """Where these come from."""


_CONVOLUTIONS_SLOWER: Final = (
    "convolutions reach about half of what transformers do; views on the GPU 1 ms per megapixel; linear probes on 16 "
    "cores of the host"
)
_CORES: Final = "cores as fast as those that `lejepa archs` was timed on, all busy"
_CORE_MEMORY: Final = 8 * GIGABYTE
_A100: Final = Machine(
    name="a100",
    kind="gpu",
    devices=1,
    memory=80 * GIGABYTE,
    flops={"vit": 78e12, "swin": 50e12, "*": 37e12},
    megapixel=1e-3,
    exponential=2e-3,
    probe=6.0,
    assumed=f"A100 80 GB: a quarter of 312 TFLOP/s for transformers, an eighth for others; {_CONVOLUTIONS_SLOWER}",
)
_H100: Final = replace(
    _A100,
    name="h100",
    flops={"vit": 200e12, "swin": 110e12, "*": 80e12},
    megapixel=6e-4,
    exponential=1.2e-3,
    assumed=f"H100 80 GB: 989 TFLOP/s, a fifth for transformers, a twelfth for others; {_CONVOLUTIONS_SLOWER} (0.6)",
)
MACHINES: Final[Mapping[str, Machine]] = {
    "laptop": Machine(
        name="laptop",
        kind="cpu",
        devices=2,
        memory=16 * GIGABYTE,
        flops={},
        assumed=f"2 {_CORES}",
    ),
    "a100": _A100,
    "h100": _H100,
    "8xh100": replace(_H100, name="8xh100", devices=8, assumed=f"8 times: {_H100.assumed}"),
}


def find_machine(text: str) -> Machine:
    """A machine by name, or `cpu:CORES`, or COUNTxNAME.

    Raises:
        UnknownNameError: If there is none.
        SettingError: If the count is none.
    """
    if text in MACHINES:
        return MACHINES[text]
    kind, _, cores = text.partition(":")
    if kind == "cpu" and cores:
        count = _count(cores, text)
        return replace(
            MACHINES["laptop"],
            name=text,
            devices=count,
            memory=_CORE_MEMORY * count,
            assumed=f"{count} {_CORES}; {_CORE_MEMORY / GIGABYTE:g} GB of memory for each",
        )
    times, _, name = text.partition("x")
    if name in MACHINES:
        one = MACHINES[name]
        return replace(
            one, name=text, devices=_count(times, text) * one.devices, assumed=f"{times} times: {one.assumed}"
        )
    raise UnknownNameError("machine", text, MACHINES, f"{' '.join(MACHINES)}, cpu:CORES, 32xh100")


def _count(text: str, machine: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(f"machine {machine!r} came, a count of at least 1 was wanted: cpu:CORES, 32xh100")
    return int(text)
