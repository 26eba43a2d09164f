"""The studies that come with the project: functions that return a recipe, to be run as it is or overridden.

A recipe becomes a `StudyConfig` once the images are known: see `sweeps.planning.resolve`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lejepa_platform.config import Search, Variant
from lejepa_platform.variants import Resolved, resolved


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A study before its images are looked at."""

    name: str
    architectures: tuple[str, ...]
    datasets: tuple[str, ...]
    """Names, or folder:PATH."""
    lambdas: tuple[float, ...]
    learning_rates: tuple[float, ...] | None = None
    """None = the default of each architecture's group of families."""
    weight_decays: tuple[float, ...] | None = None
    """None = the default of each architecture's group of families."""
    seeds: tuple[int, ...] = (0,)
    search: Search = "grid"
    trials: int = 20
    """λ values per cell, for a search."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrialConfig` that all trials share, unless their variant has other values."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """Name -> what sets some trials apart from others; empty if nothing does."""
    local_size: int | None = None
    """Side of local views, in pixels, where an architecture takes it; None = half that of global ones."""

    @property
    def resolved(self) -> list[Resolved]:
        """Its variants, each with all its settings; one without a name where there is none."""
        return resolved(self.shared, self.lambdas, self.variants)


def quick() -> Recipe:
    """Minutes on two cores: three small architectures on the two bundled sets of real images."""
    return Recipe(
        name="quick",
        architectures=("resnet10t_w32", "convnext_mini_p1", "vit_mini_p4"),
        datasets=("digits", "patches"),
        lambdas=(0.01, 0.03, 0.1, 0.4),
        seeds=(0, 1),
        shared={
            "epochs": 8,
            "batch_size": 64,
            "image_size": 16,
            "views_global": 2,
            "views_local": 0,
            "projector_dim": 32,
            "slices": 256,
            "limit_train": 1024,
        },
    )


def pilot() -> Recipe:
    """Hours on two cores, minutes on a GPU: enough architectures, λ and seeds for intervals."""
    return Recipe(
        name="pilot",
        architectures=(
            "resnet10t_w32", "resnext14", "convnext_micro_p2", "vit_nano_p8", "mobilenetv3_small_050", "pvt_v2_nano",
        ),
        datasets=("digits", "patches"),
        lambdas=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
        seeds=(0, 1, 2),
        shared={
            "epochs": 30,
            "batch_size": 128,
            "image_size": 32,
            "views_global": 4,
            "views_local": 0,
            "projector_dim": 32,
            "slices": 512,
        },
    )  # fmt: skip


def paper() -> Recipe:
    """The paper's λ study (Table 7: ResNet-50, 8 views, 400 epochs, there on ImageNet-100), for GPUs."""
    return Recipe(
        name="paper",
        architectures=("resnet50", "vit_small_p16"),
        datasets=("cifar10", "cifar100"),
        lambdas=(0.001, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
        seeds=(0, 1, 2),
        shared={
            "epochs": 400,
            "batch_size": 512,
            "image_size": 64,
            "views_global": 8,
            "views_local": 0,
            "projector_hidden": 2048,
            "projector_dim": 64,
            "slices": 1024,
        },
    )


RECIPES: Final[Mapping[str, Callable[[], Recipe]]] = {"quick": quick, "pilot": pilot, "paper": paper}
