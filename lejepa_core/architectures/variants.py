"""Entries of our own: names shorter than timm's, patch sizes of the paper, and networks for images of 16 to 64 px."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.architectures.spec import Variant

_VIT_NANO: Final = {"embed_dim": 128, "depth": 4, "num_heads": 4}
_VIT_MINI: Final = {"patch_size": 4, "embed_dim": 96, "depth": 3, "num_heads": 3, "global_pool": "avg",
                    "class_token": False}  # fmt: skip
_SWIN_NANO: Final = {"patch_size": 2, "window_size": 4, "embed_dim": 32, "depths": (2, 2, 2),
                     "num_heads": (1, 2, 4)}  # fmt: skip
_NARROW: Final = (32, 64, 128, 256)


def _vit(timm_name: str, **options: object) -> Variant:
    return Variant(family="vision_transformer", timm_name=timm_name, options=options, resized=bool(options))


VARIANTS: Final[Mapping[str, Variant]] = {
    "resnet10t_w32": Variant(family="resnet", timm_name="resnet10t", options={"channels": _NARROW}),
    "resnext14": Variant(
        family="resnet", timm_name="resnet14t", options={"channels": _NARROW, "cardinality": 8, "base_width": 8}
    ),
    "convnext_micro_p2": Variant(
        family="convnext",
        timm_name="convnext_atto",
        options={"patch_size": 2, "depths": (2, 2, 4, 2), "dims": _NARROW},
    ),
    "convnextv2_micro_p2": Variant(
        family="convnext",
        timm_name="convnextv2_atto",
        options={"patch_size": 2, "depths": (1, 1, 3, 1), "dims": _NARROW},
    ),
    "convnext_mini_p1": Variant(
        family="convnext",
        timm_name="convnext_atto",
        options={"patch_size": 1, "depths": (1, 1, 1, 1), "dims": (16, 32, 64, 128)},
    ),
    "vit_mini_p4": _vit("vit_tiny_patch16_224", **_VIT_MINI),
    "vit_nano_p4": _vit("vit_tiny_patch16_224", patch_size=4, **_VIT_NANO),
    "vit_nano_p8": _vit("vit_tiny_patch16_224", patch_size=8, **_VIT_NANO),
    "vit_tiny_p8": _vit("vit_tiny_patch16_224", patch_size=8),
    "vit_tiny_p16": _vit("vit_tiny_patch16_224"),
    "vit_small_p16": _vit("vit_small_patch16_224"),
    "vit_base_p14": _vit("vit_base_patch16_224", patch_size=14),
    "swin_nano": Variant(family="swin_transformer", timm_name="swin_tiny_patch4_window7_224", options=_SWIN_NANO),
    "pvt_v2_nano": Variant(family="pvt_v2", timm_name="pvt_v2_b0", options={"depths": (1, 1, 2, 1)}),
    "xcit_nano_p8": Variant(
        family="xcit", timm_name="xcit_nano_12_p8_224", options={"embed_dim": 96, "depth": 4, "num_heads": 4}
    ),
    "densenet_k12": Variant(
        family="densenet", timm_name="densenet121", options={"growth_rate": 12, "block_config": (4, 4, 4)}
    ),
    "coatnet_micro": Variant(family="maxxvit", timm_name="test_coatnet", resized=False),
    "maxvit_micro": Variant(family="maxxvit", timm_name="test_maxvit", resized=False),
    "efficientnet_micro": Variant(family="efficientnet", timm_name="test_efficientnet", resized=False),
    "mambaout_micro": Variant(family="mambaout", timm_name="test_mambaout", resized=False),
    "nfnet_micro": Variant(family="nfnet", timm_name="test_nfnet", resized=False),
    "repvgg_micro": Variant(family="byobnet", timm_name="test_byobnet", resized=False),
}

SMALLEST: Final[Mapping[str, int]] = {
    "convnext_mini_p1": 8,
    "densenet_k12": 16,
    "lcnet_050": 16,
    "mobilenetv3_small_050": 16,
    "resnet10t_w32": 16,
    "resnext14": 16,
    "swin_nano": 16,
    "vit_mini_p4": 8,
    "vit_nano_p4": 8,
    "vit_nano_p8": 16,
    "xcit_nano_p8": 16,
}
"""Smallest side worth training at where it is not 32 px; measuring begins there."""

PADDED: Final = (
    "eva02_tiny_patch14_224", "vit_base_p14", "vit_base_patch14_dinov2", "vit_giant_patch14_224",
    "vit_gigantic_patch14_224", "vit_huge_patch14_224", "vit_huge_patch14_gap_224", "vit_large_patch14_224",
    "vit_small_patch14_dinov2",
)  # fmt: skip
"""Transformers with patches of 14 px: their images are padded to whole patches, so that 32, 64 and 96 px work."""
