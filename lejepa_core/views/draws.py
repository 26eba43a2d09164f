"""What happens to each view: random numbers turned into parameters, one set per sample and view."""

# V views, N samples, T attempts

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lejepa_core.random import uniforms
from lejepa_core.views.settings import Range, ViewSettings

STREAM = "views"
ATTEMPTS = 10
# The recipe's blur is in pixels of global views of 224. Scaling it by their size keeps it the same
# part of the picture (the full blur would wipe out a view of 32), and keeps the recipe itself as published.
REFERENCE_SIZE = 224

# Places in the row of numbers of one view. Moving one changes every picture.
_FLIP, _JITTER, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _GREY, _BLUR, _SIGMA, _SOLARISE, _BOX = range(11)
_DRAWS = _BOX + 2 + 2 * ATTEMPTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """Everything that is random about the views of one size; each field has shape (v, n)."""

    top: Float[Tensor, "..."]
    """First row of the crop, a whole number."""
    left: Float[Tensor, "..."]
    """First column of the crop, a whole number."""
    height: Float[Tensor, "..."]
    """Rows of the crop, at least 1."""
    width: Float[Tensor, "..."]
    """Columns of the crop, at least 1."""
    flip: Bool[Tensor, "..."]
    """Whether left and right change places."""
    sigma: Float[Tensor, "..."]
    """Standard deviation of the blur in pixels of the view; 0 for none."""
    brightness: Float[Tensor, "..."]
    """Factor; 1 for none."""
    contrast: Float[Tensor, "..."]
    """Factor; 1 for none."""
    saturation: Float[Tensor, "..."]
    """Factor; 1 for none."""
    hue: Float[Tensor, "..."]
    """Turns of the colour circle in [-0.5, 0.5]; 0 for none."""
    grey: Bool[Tensor, "..."]
    """Whether colour goes."""
    solarise: Bool[Tensor, "..."]
    """Whether bright channels are inverted."""

    def of(self, part: slice) -> "Draws":
        """Parameters of some samples in one row, the views of one sample together.

        Args:
            part: Which samples.

        Returns:
            Fields of shape (n * v,).
        """
        return Draws(**{f.name: getattr(self, f.name)[:, part].T.reshape(-1) for f in fields(self)})


def draw_views(
    sizes: Int[Tensor, "n 2"],
    samples: Int[Tensor, " n"],
    settings: ViewSettings,
    *,
    seed: int,
    epoch: int,
    local: bool = False,
) -> Draws:
    """Draw the parameters of all global, or all local, views of some samples.

    Args:
        sizes: Height and width of each image in pixels.
        samples: Index of each sample in the data set.
        settings: Ranges and probabilities.
        seed: Seed of the run.
        epoch: Epoch.
        local: Whether to draw the local views, whose indices follow those of the global ones.

    Returns:
        One set per view and sample, a function of (seed, epoch, sample, view) and the image's size alone.
    """
    u = uniforms(
        seed=seed,
        stream=STREAM,
        epoch=epoch,
        samples=samples,
        views=settings.views_local if local else settings.views_global,
        draws=_DRAWS,
        first_view=settings.views_global if local else 0,
    )
    scale = settings.local_scale if local else settings.global_scale
    top, left, height, width = draw_boxes(sizes, u[..., _BOX:], scale, settings.ratio)
    jitter = u[..., _JITTER] < settings.jitter
    sigma = _between(u[..., _SIGMA], settings.blur_sigma) * (settings.global_size / REFERENCE_SIZE)
    return Draws(
        top=top,
        left=left,
        height=height,
        width=width,
        flip=u[..., _FLIP] < settings.flip,
        sigma=torch.where(u[..., _BLUR] < settings.blur, sigma, 0.0),
        brightness=_factor(u[..., _BRIGHTNESS], jitter, settings.brightness),
        contrast=_factor(u[..., _CONTRAST], jitter, settings.contrast),
        saturation=_factor(u[..., _SATURATION], jitter, settings.saturation),
        hue=torch.where(jitter, _between(u[..., _HUE], (-settings.hue, settings.hue)), 0.0),
        grey=u[..., _GREY] < settings.grey,
        solarise=u[..., _SOLARISE] < settings.solarise,
    )


def draw_boxes(
    sizes: Int[Tensor, "n 2"],
    u: Float[Tensor, "v n t"],
    scale: Range,
    ratio: Range,
) -> tuple[Float[Tensor, "v n"], Float[Tensor, "v n"], Float[Tensor, "v n"], Float[Tensor, "v n"]]:
    """Crops as torchvision's RandomResizedCrop draws them: the first of ten boxes that fits, or the centre.

    All attempts are drawn at once, which costs less than finding out who needs a second one.

    Args:
        sizes: Height and width of each image in pixels.
        u: Uniform numbers: row, column, then area and ratio of each attempt.
        scale: Area as a fraction of the image's, uniform.
        ratio: Width over height, uniform in its logarithm.

    Returns:
        First row, first column, height and width in pixels, whole numbers.
    """
    rows, columns = sizes.to(u.dtype).unbind(-1)
    area = _between(u[..., 2::2], scale) * (rows * columns)[:, None]
    aspect = _between(u[..., 3::2], (math.log(ratio[0]), math.log(ratio[1]))).exp()
    width_VNT, height_VNT = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width_VNT >= 1) & (width_VNT <= columns[:, None])
    fits &= (height_VNT >= 1) & (height_VNT <= rows[:, None])
    first = fits.int().argmax(-1, keepdim=True)
    found = fits.any(-1)
    height_centre, width_centre = _central(rows, columns, ratio)
    height = torch.where(found, height_VNT.gather(-1, first)[..., 0], height_centre)
    width = torch.where(found, width_VNT.gather(-1, first)[..., 0], width_centre)
    free_rows, free_columns = rows - height, columns - width
    top = torch.where(found, _position(u[..., 0], free_rows), (free_rows / 2).floor())
    left = torch.where(found, _position(u[..., 1], free_columns), (free_columns / 2).floor())
    return top, left, height, width


def _central(rows: Tensor, columns: Tensor, ratio: Range) -> tuple[Tensor, Tensor]:
    height = torch.minimum(rows, (columns / ratio[0]).round())
    width = torch.minimum(columns, (rows * ratio[1]).round())
    return height.clamp(min=1), width.clamp(min=1)


def _position(u: Tensor, free: Tensor) -> Tensor:
    # u < 1, but u * (free + 1) can round up to free + 1.
    return torch.minimum((u * (free + 1)).floor(), free)


def _between(u: Tensor, bounds: Range) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _factor(u: Tensor, on: Tensor, spread: float) -> Tensor:
    return torch.where(on, _between(u, (max(0.0, 1 - spread), 1 + spread)), 1.0)
