"""The architectures that a study can name, as data.

Parameters are counted without a head; costs are milliseconds of one core per image, forward and backward at
32 px, batch 64 (AMD EPYC, float32), for estimates only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import timm

from lejepa_core.errors import SettingError, UnknownNameError

TIMM_PREFIX = "timm:"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchitectureSpec:
    """How a backbone is built and what it accepts."""

    family: str
    """Families share defaults of learning rate and weight decay."""
    timm_name: str
    """Entry point of timm."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the entry point, besides num_classes=0."""
    sized: bool = False
    """Whether it is built for one image size (img_size)."""
    multi_size: bool = True
    """Whether local views may be smaller than global ones."""
    min_size: int = 32
    """Smallest image side that it takes, in pixels."""
    multiple: int = 1
    """Image sides must be a multiple of this."""
    channels_last: bool = False
    """Whether convolutions run faster on channels-last tensors, as those of plain convolutional networks do."""
    parameters_m: float = 0.0
    """Millions of parameters."""
    ms_per_image: float = 3.0
    """Cost; see the module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserDefaults:
    """What AdamW gets where nobody says otherwise."""

    learning_rate: float
    weight_decay: float


_VIT_NANO: Final = {"embed_dim": 128, "depth": 4, "num_heads": 4, "dynamic_img_size": True}
_SWIN_NANO: Final = {"patch_size": 2, "window_size": 4, "embed_dim": 32, "depths": (2, 2, 2),
                     "num_heads": (1, 2, 4), "strict_img_size": False, "drop_path_rate": 0.0}  # fmt: skip

ARCHITECTURES: Final[Mapping[str, ArchitectureSpec]] = {
    "resnet10t_w32": ArchitectureSpec(
        family="resnet",
        channels_last=True,
        timm_name="resnet10t",
        options={"channels": (32, 64, 128, 256)},
        min_size=16,
        parameters_m=1.26,
        ms_per_image=1.33,
    ),
    "resnext14": ArchitectureSpec(
        family="resnet",
        channels_last=True,
        timm_name="resnet14t",
        options={"channels": (32, 64, 128, 256), "cardinality": 8, "base_width": 8},
        min_size=16,
        parameters_m=1.35,
        ms_per_image=1.7,
    ),
    "resnet18": ArchitectureSpec(
        family="resnet",
        channels_last=True,
        timm_name="resnet18",
        parameters_m=11.18,
        ms_per_image=4.42,
    ),
    "resnet50": ArchitectureSpec(
        family="resnet",
        channels_last=True,
        timm_name="resnet50",
        parameters_m=23.51,
        ms_per_image=9.17,
    ),
    "convnext_micro_p2": ArchitectureSpec(
        family="convnext",
        channels_last=True,
        timm_name="convnext_atto",
        options={"patch_size": 2, "depths": (2, 2, 4, 2), "dims": (32, 64, 128, 256)},
        parameters_m=1.9,
        ms_per_image=1.3,
    ),
    "convnextv2_micro_p2": ArchitectureSpec(
        family="convnext",
        channels_last=True,
        timm_name="convnextv2_atto",
        options={"patch_size": 2, "depths": (1, 1, 3, 1), "dims": (32, 64, 128, 256)},
        parameters_m=1.18,
        ms_per_image=1.28,
    ),
    "convnext_atto": ArchitectureSpec(
        family="convnext",
        channels_last=True,
        timm_name="convnext_atto",
        parameters_m=3.37,
        ms_per_image=1.95,
    ),
    "convnext_mini_p1": ArchitectureSpec(
        family="convnext",
        channels_last=True,
        timm_name="convnext_atto",
        options={"patch_size": 1, "depths": (1, 1, 1, 1), "dims": (16, 32, 64, 128)},
        min_size=8,
        parameters_m=0.23,
        ms_per_image=2.31,
    ),
    "vit_mini_p4": ArchitectureSpec(
        family="vit",
        timm_name="vit_tiny_patch16_224",
        options={
            "patch_size": 4,
            "embed_dim": 96,
            "depth": 3,
            "num_heads": 3,
            "global_pool": "avg",
            "class_token": False,
            "dynamic_img_size": True,
        },
        sized=True,
        min_size=8,
        multiple=4,
        parameters_m=0.35,
        ms_per_image=2.56,
    ),
    "vit_nano_p8": ArchitectureSpec(
        family="vit",
        timm_name="vit_tiny_patch16_224",
        options={"patch_size": 8, **_VIT_NANO},
        sized=True,
        min_size=16,
        multiple=8,
        parameters_m=0.82,
        ms_per_image=1.3,
    ),
    "vit_nano_p4": ArchitectureSpec(
        family="vit",
        timm_name="vit_tiny_patch16_224",
        options={"patch_size": 4, **_VIT_NANO},
        sized=True,
        min_size=8,
        multiple=4,
        parameters_m=0.81,
        ms_per_image=5.8,
    ),
    "vit_tiny_p16": ArchitectureSpec(
        family="vit",
        timm_name="vit_tiny_patch16_224",
        options={"dynamic_img_size": True},
        sized=True,
        multiple=16,
        parameters_m=5.49,
        ms_per_image=2.4,
    ),
    "vit_small_p16": ArchitectureSpec(
        family="vit",
        timm_name="vit_small_patch16_224",
        options={"dynamic_img_size": True},
        sized=True,
        multiple=16,
        parameters_m=21.59,
        ms_per_image=8.52,
    ),
    "mobilenetv3_small_050": ArchitectureSpec(
        family="mobilenet",
        channels_last=True,
        timm_name="mobilenetv3_small_050",
        min_size=16,
        parameters_m=0.57,
        ms_per_image=0.63,
    ),
    "lcnet_050": ArchitectureSpec(
        family="mobilenet",
        channels_last=True,
        timm_name="lcnet_050",
        min_size=16,
        parameters_m=0.6,
        ms_per_image=0.49,
    ),
    "efficientnet_b0": ArchitectureSpec(
        family="efficientnet",
        channels_last=True,
        timm_name="efficientnet_b0",
        parameters_m=4.01,
        ms_per_image=2.78,
    ),
    "swin_nano": ArchitectureSpec(
        family="swin",
        timm_name="swin_tiny_patch4_window7_224",
        options=_SWIN_NANO,
        sized=True,
        min_size=16,
        multiple=8,
        parameters_m=0.57,
        ms_per_image=3.34,
    ),
    "pvt_v2_nano": ArchitectureSpec(
        family="pvt",
        timm_name="pvt_v2_b0",
        options={"depths": (1, 1, 2, 1)},
        parameters_m=2.37,
        ms_per_image=1.53,
    ),
}

OPTIMISERS: Final[Mapping[str, OptimiserDefaults]] = {
    "resnet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "convnext": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "mobilenet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "efficientnet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "vit": OptimiserDefaults(learning_rate=2e-3, weight_decay=5e-2),
    "swin": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "pvt": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "timm": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
}


def find_architecture(name: str) -> ArchitectureSpec:
    """The entry of a name, or a plain one for `timm:NAME`.

    Raises:
        UnknownNameError: If neither the registry nor timm knows it.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name.startswith(TIMM_PREFIX):
        timm_name = name.removeprefix(TIMM_PREFIX)
        if not timm.is_model(timm_name):
            raise UnknownNameError(
                "timm model",
                timm_name,
                timm.list_models(),
                "python -c 'import timm; print(timm.list_models())'",
            )
        return ArchitectureSpec(family="timm", timm_name=timm_name, multi_size=False, min_size=1)
    raise UnknownNameError("architecture", name, ARCHITECTURES, "lejepa archs")


def check_size(name: str, size: int) -> None:
    """Make sure that an architecture takes images of a size.

    Raises:
        SettingError: If it does not.
    """
    spec = find_architecture(name)
    if size < spec.min_size or size % spec.multiple:
        raise SettingError(
            f"{name} cannot take images of {size} px; at least {spec.min_size} px and a multiple of "
            f"{spec.multiple} was wanted: choose another --image-size"
        )


def local_size(name: str, image_size: int) -> int:
    """Side of the local views: half the global one, or all of it where the architecture takes no other."""
    spec = find_architecture(name)
    half = image_size // 2
    fits = spec.multi_size and half >= spec.min_size and half % spec.multiple == 0
    return half if fits else image_size
