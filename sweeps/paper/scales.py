"""How much smaller an item is at each scale: bounds and stand-ins, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sweeps.paper.item import Scale

Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The most of everything that an item may have at a scale."""

    parameters: float
    """Architectures with more are stood in for."""
    stand_ins: Names
    """Group of families -> networks of the kind, each for one architecture; what finds none is left out."""
    datasets: Names
    """Name -> what is in its place; `*` for all others. Absent ones stay."""
    image_size: int
    epochs: int
    views_global: int
    """Where views are not what the item varies, and all are of one size."""
    views_local: int
    """Likewise, where there are views of two sizes."""
    values: Mapping[str, int]
    """Setting -> its largest value. What the item varies is divided by a common factor, so that ratios stay; where its
    smallest value would fall below `LEAST` by a smaller one, and then the largest is beyond this."""
    lambdas: int
    variants: int
    optimisers: bool
    """Whether learning rates and weight decays are the item's, or one default per group of families."""
    seeds: int | None
    """None = the item's."""
    trials: int | None = None
    """With fewer trials than this there are more seeds, up to three."""
    limit_train: int | None = None
    protocols: tuple[str, ...] | None = None
    """Those that stay; None = all."""
    evaluate_on: tuple[str, ...] | None = None
    precision: str = "float32"
    weight_average: float = 1.0
    """Largest decay of an average of the weights: it is per step, and there are fewer steps."""


LEAST: Final[Mapping[str, int]] = {"batch_size": 16}
"""Setting -> what no scale goes below; 1 for others."""

_TINY: Final[Names] = {
    "resnet": ("resnet10t_w32", "resnext14", "densenet_k12"),
    "vit": ("vit_mini_p4", "vit_nano_p8", "vit_nano_p4"),
    "convnext": ("convnext_mini_p1",),
    "swin": ("swin_nano",),
    "hybrid": ("xcit_nano_p8",),
    "mobilenet": ("mobilenetv3_small_050", "lcnet_050"),
}
_SMALL: Final[Names] = {
    "resnet": ("resnet18", "resnet26", "resnet34"),
    "vit": ("vit_tiny_patch16_224", "vit_small_patch16_224"),
    "convnext": ("convnextv2_nano", "convnextv2_pico"),
    "swin": ("swin_nano",),
}
_MEDIUM: Final[Names] = {"vit": ("vit_base_p14", "vit_base_patch16_224"), "convnext": ("convnextv2_base",)}

_CPU: Final = Bounds(
    parameters=2.5e6,
    stand_ins=_TINY,
    datasets={"*": ("patches",)},
    image_size=16,
    epochs=8,
    views_global=4,
    views_local=2,
    values={"batch_size": 64, "slices": 1024, "projector_dim": 128, "projector_hidden": 256, "embedding_dim": 128},
    lambdas=3,
    variants=8,
    optimisers=False,
    seeds=1,
    trials=24,
    limit_train=512,
    protocols=("few_shot", "finetune"),
    evaluate_on=("digits",),
    weight_average=0.9,
)
_GPU: Final = Bounds(
    parameters=25e6,
    stand_ins=_SMALL,
    datasets={"imagenet1k": ("imagenette",), "imagenet100": ("imagenette",)},
    image_size=128,
    epochs=100,
    views_global=8,
    views_local=6,
    values={"batch_size": 256, "slices": 4096, "projector_dim": 512, "projector_hidden": 2048, "embedding_dim": 512},
    lambdas=7,
    variants=24,
    optimisers=False,
    seeds=None,
    precision="bfloat16",
)
BOUNDS: Final[Mapping[Scale, Bounds]] = {
    "cpu": _CPU,
    "pilot": replace(
        _CPU,
        image_size=32,
        epochs=12,
        values={**_CPU.values, "projector_hidden": 512},
        lambdas=7,
        variants=24,
        seeds=None,
        trials=None,
        limit_train=2048,
        protocols=None,
        weight_average=0.99,
    ),
    "1gpu": _GPU,
    "cluster": replace(
        _GPU,
        parameters=90e6,
        stand_ins=_MEDIUM,
        datasets={"imagenet1k": ("imagenet100",)},
        image_size=238,
        epochs=200,
        views_local=8,
        values={**_GPU.values, "batch_size": 1024, "projector_dim": 1024, "embedding_dim": 2048},
        lambdas=12,
        variants=100,
        optimisers=True,
    ),
}
"""At `full` nothing is bounded."""
