"""In which floating point type a training computes."""

import torch

from lejepa_core.settings import Precision


def weight_dtype(precision: Precision) -> torch.dtype:
    """Type of weights, optimiser state and loss, and of all that is measured of a trained encoder."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A new context for images to become projections in; nothing where they do so in the type of the weights.

    Gradients are taken outside of it. What embeds with and without gradients needs a context for each: within one,
    torch remembers the weights that it cast, and those cast without gradients would get none.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
