"""What is known of an architecture without building it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MS_PER_MILLION_PARAMETERS: Final = 0.4
"""Rough cost of what was never timed: milliseconds of one core per image of 32 px and million of parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchitectureSpec:
    """How a backbone is built and what it accepts."""

    family: str
    """The module of timm that holds it; `timm` for `timm:NAME`."""
    group: str
    """Families of a kind, which share their defaults: a key of `OPTIMISERS`."""
    timm_name: str
    """Entry point of timm."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the entry point, besides num_classes=0 and img_size."""
    registers: str = ""
    """Argument of the entry point for the number of register tokens; "" = it takes none."""
    channels_last: bool = False
    """Whether convolutions run faster on channels-last tensors, as those of plain convolutional networks do."""
    pretrained: bool = False
    """Whether the hub has weights of it."""
    same_as: str = ""
    """The entry whose network this one is too, under another name."""
    sized: bool = False
    """Whether it is built for one image size (img_size)."""
    multi_size: bool = True
    """Whether local views may be smaller than global ones: whether one network takes two sizes."""
    min_size: int = 32
    """Smallest image side that it takes, in pixels, of those that were tried."""
    multiple: int = 1
    """Image sides must be a multiple of this."""
    parameters: int = 0
    """Parameters without a head; 0 = not counted."""
    features: int = 0
    """Width of the embedding; 0 = not measured."""
    batchnorm: bool = False
    """Whether it has BatchNorm, whose statistics are those of the batch."""
    ms_32: float | None = None
    """Milliseconds of one core per image of 32 px, forward and backward; None = not timed, or it cannot."""
    ms_64: float | None = None
    """Likewise at 64 px."""

    @property
    def parameters_m(self) -> float:
        """Millions of parameters, without a head."""
        return self.parameters / 1e6

    def takes(self, size: int) -> bool:
        """Whether it takes images of a side, in pixels."""
        return size >= self.min_size and size % self.multiple == 0

    def milliseconds(self, side: int) -> float:
        """Cost of one image of a side, forward and backward on one core, from the two that were timed.

        Args:
            side: In pixels.

        Returns:
            Milliseconds, a rough figure: a power law through both, or as many per pixel as at the one that exists.
        """
        if self.ms_32 is not None and self.ms_64 is not None:
            power = min(max(math.log2(self.ms_64 / self.ms_32), 0.0), 2.5)
            return self.ms_32 * (side / 32) ** power
        if self.ms_64 is not None:
            return self.ms_64 * (side / 64) ** 2
        guess = MS_PER_MILLION_PARAMETERS * self.parameters_m if self.parameters else 3.0
        return guess * (side / 32) ** 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """What the models of one module of timm have in common."""

    group: str
    """Key of `OPTIMISERS`."""
    channels_last: bool = False
    """See `ArchitectureSpec.channels_last`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of every entry point: any image size where there is a choice, no dropout, no stochastic depth."""
    registers: str = ""
    """See `ArchitectureSpec.registers`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """An entry of our own: an entry point of timm with other arguments."""

    family: str
    timm_name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Besides those of the family."""
    resized: bool = True
    """Whether the options make another network of it, which weights of the hub do not fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserDefaults:
    """What AdamW gets where nobody says otherwise."""

    learning_rate: float
    weight_decay: float
