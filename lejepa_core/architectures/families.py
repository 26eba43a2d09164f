"""What a family is to a study: its group, its memory layout, and the arguments that all of its models get."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.architectures.spec import Family, OptimiserDefaults

OPTIMISERS: Final[Mapping[str, OptimiserDefaults]] = {
    "resnet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "convnext": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "mobilenet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "efficientnet": OptimiserDefaults(learning_rate=2e-3, weight_decay=1e-2),
    "vit": OptimiserDefaults(learning_rate=2e-3, weight_decay=5e-2),
    "swin": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "pvt": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "hybrid": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "mlp": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
    "timm": OptimiserDefaults(learning_rate=1e-3, weight_decay=5e-2),
}

_ANY_SIZE = {"dynamic_img_size": True}
_NO_DROPOUT = {"drop_rate": 0.0}
_NO_STOCHASTIC_DEPTH = {"drop_path_rate": 0.0}


def _convolutional(group: str, *names: str) -> dict[str, Family]:
    return {name: Family(group=group, channels_last=True) for name in names}


def _plain(group: str, *names: str) -> dict[str, Family]:
    return {name: Family(group=group) for name in names}


FAMILIES: Final[Mapping[str, Family]] = {
    **_convolutional(
        "resnet", "resnet", "resnetv2", "resnest", "sknet", "byobnet", "regnet", "densenet", "dla", "dpn", "vovnet",
        "cspnet", "cspnext", "hrnet", "hgnet", "nfnet",
    ),
    "senet": Family(group="resnet", channels_last=True, options=_NO_DROPOUT),
    **_convolutional("convnext", "convnext", "convmixer", "inception_next", "edgenext", "mambaout", "metaformer",
                     "starnet"),
    "fasternet": Family(group="convnext", channels_last=True, options=_NO_STOCHASTIC_DEPTH),
    **_convolutional("mobilenet", "mobilenetv3", "hardcorenas", "lcnetv2"),
    "ghostnet": Family(group="mobilenet", channels_last=True, options=_NO_DROPOUT),
    "repghost": Family(group="mobilenet", channels_last=True, options=_NO_DROPOUT),
    "rexnet": Family(group="mobilenet", channels_last=True, options=_NO_DROPOUT),
    **_convolutional("efficientnet", "efficientnet"),
    "vision_transformer": Family(group="vit", options=_ANY_SIZE, registers="reg_tokens"),
    "vision_transformer_hybrid": Family(group="vit", options=_ANY_SIZE, registers="reg_tokens"),
    # Its distilled ones take the argument and leave the tokens out of use.
    "deit": Family(group="vit", options=_ANY_SIZE),
    "eva": Family(group="vit", options=_ANY_SIZE, registers="num_reg_tokens"),
    **_plain("vit", "cait", "convit", "pit", "xcit"),
    "swin_transformer": Family(group="swin", options={"strict_img_size": False, **_NO_STOCHASTIC_DEPTH}),
    **_plain("pvt", "pvt_v2"),
    **_plain(
        "hybrid", "byoanet", "coat", "efficientformer_v2", "efficientvim", "efficientvit_mit", "efficientvit_msra",
        "fastvit", "gcvit", "iformer", "levit", "lowformer", "maxxvit", "mobilevit", "repvit", "shvit", "swiftformer",
        "visformer",
    ),
    "nest": Family(group="hybrid", options=_NO_STOCHASTIC_DEPTH),
    **_plain("mlp", "mlp_mixer"),
}  # fmt: skip
"""By module of timm."""
