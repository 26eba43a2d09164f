"""Operations of an architecture's forward pass: transformers in closed form, others by what timm's tables say.

A multiplication and an addition are two operations. What is in no table is judged by how long it was timed to take.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lejepa_core.architectures import find_architecture

TIMED_RATE: Final = 25e9
"""Operations a second of the core that architectures were timed on, both ways; convolutions reach twice it."""
PER_PARAMETER: Final = 400.0
"""Operations per parameter at 224 px, where nothing is known."""


class Transformer(NamedTuple):
    """A vision transformer."""

    patch: int
    width: int
    depth: int
    mlp: float = 4.0

    def flops(self, side: int) -> float:
        """Of one image, in pixels: projections and MLP, and attention."""
        tokens = (-(-side // self.patch)) ** 2 + 1
        block = (8 + 4 * self.mlp) * tokens * self.width**2 + 4 * tokens**2 * self.width
        return self.depth * block + 2 * tokens * 3 * self.patch**2 * self.width


TRANSFORMERS: Final[Mapping[str, Transformer]] = {
    "vit_tiny_p8": Transformer(8, 192, 12),
    "vit_tiny_p16": Transformer(16, 192, 12),
    "vit_tiny_patch16_224": Transformer(16, 192, 12),
    "vit_small_p16": Transformer(16, 384, 12),
    "vit_small_patch8_224": Transformer(8, 384, 12),
    "vit_small_patch16_224": Transformer(16, 384, 12),
    "vit_small_patch14_dinov2": Transformer(14, 384, 12),
    "vit_small_patch16_dinov3": Transformer(16, 384, 12),
    "vit_base_p14": Transformer(14, 768, 12),
    "vit_base_patch8_224": Transformer(8, 768, 12),
    "vit_base_patch16_224": Transformer(16, 768, 12),
    "vit_base_patch14_dinov2": Transformer(14, 768, 12),
    "vit_large_patch14_224": Transformer(14, 1024, 24),
    "vit_large_patch16_224": Transformer(16, 1024, 24),
    "vit_huge_patch14_224": Transformer(14, 1280, 32),
    "vit_huge_patch14_gap_224": Transformer(14, 1280, 32),
    "vit_giant_patch14_224": Transformer(14, 1408, 40, 48 / 11),
    "vit_gigantic_patch14_224": Transformer(14, 1664, 48, 64 / 13),
}
GIGAMACS: Final[Mapping[str, float]] = {
    "resnet18": 1.82,
    "resnet34": 3.67,
    "resnet50": 4.11,
    "resnet101": 7.83,
    "convnextv2_nano": 2.46,
    "convnextv2_tiny": 4.47,
    "convnextv2_base": 15.38,
    "convnextv2_large": 34.40,
    "convnextv2_huge": 115.00,
    "swin_tiny_patch4_window7_224": 4.51,
    "convmixer_768_32": 19.55,
}
"""Billions of multiplications with an addition at 224 px, as timm's tables of results have them."""


def forward_flops(name: str, side: int) -> float:
    """Operations of the forward pass of one image.

    Args:
        name: Of an architecture.
        side: In pixels.
    """
    if name in TRANSFORMERS:
        return TRANSFORMERS[name].flops(side)
    if name in GIGAMACS:
        return 2e9 * GIGAMACS[name] * (side / 224) ** 2
    spec = find_architecture(name)
    if spec.ms_64 is not None:
        return spec.ms_64 / 1000 * TIMED_RATE / 3 * (side / 64) ** 2
    return PER_PARAMETER * (spec.parameters or 1e6) * (side / 224) ** 2
