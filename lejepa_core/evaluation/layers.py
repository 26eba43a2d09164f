"""Features of a backbone's last two layers, whatever kind of network of timm it is."""

# N samples, C channels of a layer, H height, W width, P prefix tokens, F features
import inspect
from collections.abc import Callable
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.encoder import Encoder

LAYERS: Final = 2


def last_layers(encoder: Encoder, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n f"]:
    """One vector of each of the last layers, concatenated.

    Layers are what timm calls intermediates: blocks of a transformer, stages of a convolutional or hierarchical
    network. Blocks go through the final norm, as in DINO. A layer's vector is its class token, or the mean
    over positions in a network that has none or for which timm does not give it. A network that has no intermediates
    gives its embedding alone.

    Args:
        encoder: In evaluation mode.
        images: On its device.

    Source:
        README of the reference: class tokens of the last two layers, the mean of patch tokens where there is none.
    """
    images = images.contiguous(memory_format=encoder.memory_format)
    if layers_used(encoder) == 1:
        return encoder.embed(images)
    intermediates: Callable[..., Any] = encoder.backbone.forward_intermediates  # type: ignore[assignment]
    with_class = _has_class_token(encoder.backbone, intermediates)
    options = {"return_prefix_tokens": True} if with_class else {}
    layers = intermediates(images, indices=LAYERS, norm=True, intermediates_only=True, **options)
    return torch.cat([_class_token(layer[1]) if with_class else _mean(layer) for layer in layers], 1)


def layers_used(encoder: Encoder) -> int:
    """How many layers `last_layers` takes of this encoder: 2, or 1 where timm gives no intermediates."""
    return LAYERS if hasattr(encoder.backbone, "forward_intermediates") else 1


def _has_class_token(backbone: nn.Module, intermediates: Callable[..., Any]) -> bool:
    gives = "return_prefix_tokens" in inspect.signature(intermediates).parameters
    return gives and getattr(backbone, "cls_token", None) is not None


def _class_token(prefix_NPC: Tensor) -> Tensor:
    return prefix_NPC[:, 0]


def _mean(layer_NCHW: Tensor) -> Tensor:
    return layer_NCHW.mean((2, 3))
