"""Colour operations on planes: every view with its own parameters, in place."""

# C channels, K views of all samples, P pixels

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# ITU-R 601-2, the weights of Pillow and torchvision.
LUMA = (0.2989, 0.587, 0.114)


def luma(planes_CKP: Float[Tensor, "3 k p"]) -> Float[Tensor, "k p"]:
    """Grey value of each pixel.

    Args:
        planes_CKP: Red, green and blue.

    Returns:
        Weighted sum of the channels, in their unit.
    """
    red, green, blue = planes_CKP
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def adjust_(
    planes_CKP: Float[Tensor, "3 k p"],
    brightness: Float[Tensor, " k"],
    contrast: Float[Tensor, " k"],
    saturation: Float[Tensor, " k"],
) -> None:
    """Brightness, then contrast, then saturation, then clamp to [0, 1].

    The three are one affine map: with luma L and its mean m over the view,
    x -> s c b x + (1 - s) c b L + (1 - c) b m. torchvision also clamps between them.

    Args:
        planes_CKP: Red, green and blue in [0, 1].
        brightness: Factors b.
        contrast: Factors c, about the mean luma.
        saturation: Factors s, about each pixel's luma.
    """
    common_KP = luma(planes_CKP)
    mean_K = common_KP.mean(-1)
    slope_K = brightness * contrast
    common_KP.mul_(((1 - saturation) * slope_K)[:, None])
    common_KP.add_(((1 - contrast) * brightness * mean_K)[:, None])
    own_K1 = (saturation * slope_K)[:, None]
    for plane_KP in planes_CKP:
        torch.addcmul(common_KP, plane_KP, own_K1, out=plane_KP).clamp_(0, 1)


def turn_hue_(planes_CKP: Float[Tensor, "3 k p"], hue: Float[Tensor, " k"]) -> None:
    """Turn the hue in HSV as torchvision does, without forming HSV.

    Value (the highest channel) and chroma stay. Along the colour circle, in sixths from red, each channel is
    a trapezium: high - chroma * clamp(distance from its own colour - 1, 0, 1). Pixels without chroma stay.

    Args:
        planes_CKP: Red, green and blue in [0, 1].
        hue: Turns in [-0.5, 0.5].
    """
    red, green, blue = planes_CKP
    high = torch.maximum(red, green)
    torch.maximum(high, blue, out=high)
    low = torch.minimum(red, green)
    torch.minimum(low, blue, out=low)
    chroma = high - low
    place = _sixths(red, green, blue, low, chroma).add_(6 * hue[:, None])
    place.sub_((place / 6).floor_(), alpha=6)
    torch.sub(place, 3, out=red)
    torch.sub(place, 2, out=green)
    torch.sub(place, 4, out=blue)
    planes_CKP.abs_().clamp_(1, 2)
    # Red is written by its distance from cyan: with that the place needs no second wrap.
    torch.addcmul(low.sub_(chroma), red, chroma, out=red)
    high.add_(chroma)
    torch.addcmul(high, green, chroma, value=-1, out=green)
    torch.addcmul(high, blue, chroma, value=-1, out=blue)


def _sixths(red: Tensor, green: Tensor, blue: Tensor, low: Tensor, chroma: Tensor) -> Tensor:
    """Place on the colour circle in [-3, 3], from red: without a branch, since chroma * |place| is linear."""
    place = (green + blue).sub_(red).sub_(low).add_(chroma)
    return place.copysign_(green - blue).div_(chroma.clamp(min=1e-12))


def grey_(planes_CKP: Float[Tensor, "3 k p"], chosen: Bool[Tensor, " k"]) -> None:
    """Replace colour by luma in the chosen views.

    Args:
        planes_CKP: Red, green and blue.
        chosen: Which views.
    """
    index = chosen.nonzero()[:, 0]
    if len(index):
        planes_CKP[:, index] = luma(planes_CKP[:, index])


def solarise_(planes_CKP: Float[Tensor, "3 k p"], chosen: Bool[Tensor, " k"]) -> None:
    """Invert channels of at least one half in the chosen views.

    Args:
        planes_CKP: Values in [0, 1].
        chosen: Which views.
    """
    index = chosen.nonzero()[:, 0]
    if len(index):
        bright = planes_CKP[:, index]
        planes_CKP[:, index] = torch.minimum(bright, 1 - bright)
