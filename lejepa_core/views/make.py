"""From a batch of uint8 images to normalised views, on whatever device the images are."""

# V views, N samples, C channels, K = N * V with the views of one sample together, S pixels, P = S * S

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lejepa_core.errors import DataError, SettingError
from lejepa_core.views.colour import adjust_, grey_, solarise_, turn_hue_
from lejepa_core.views.draws import Draws, draw_views
from lejepa_core.views.geometry import blur_, resize_matrices, transform
from lejepa_core.views.settings import Triple, ViewSettings

# Pixels of the views made at once: so few that temporaries stay near a core of a CPU, or fit another device.
CHUNK_PIXELS_CPU = 2**17
CHUNK_PIXELS = 2**24


def make_views(
    images: UInt8[Tensor, "n 3 h w"],
    sizes: Int[Tensor, "n 2"],
    samples: Int[Tensor, " n"],
    settings: ViewSettings,
    *,
    seed: int,
    epoch: int,
    dtype: torch.dtype = torch.float32,
) -> list[Float[Tensor, "_ n 3 _ _"]]:
    """Make all views of a batch, each with its own random parameters.

    A view is a function of (image, seed, epoch, sample, view index) and of nothing else in the batch:
    parameters bit for bit, pixels up to the rounding of batched products.

    Order: crop, resize, mirror, blur, brightness, contrast, saturation, hue, grey, solarise, normalise. The
    usual torchvision recipe shuffles the four colour changes, clamps after each and blurs after them. With
    the same parameters in our order, clamps and the place of the blur make a mean difference of 0.5 grey
    levels of 255 on patches of a photograph (median 0.01, 95 % under 3); without clamps and blur, none.

    Args:
        images: RGB, padded right and below to a common size.
        sizes: True height and width of each image in pixels; crops stay inside.
        samples: Index of each image in the data set.
        settings: What may happen.
        seed: Seed of the run.
        epoch: Epoch.
        dtype: Type of the views. Float64 is computed in float64, all others in float32.

    Returns:
        Global views (v, n, 3, s, s), and local views as a second entry if there are any.

    Raises:
        DataError: If images, sizes and samples do not fit each other.
    """
    sizes = _checked_sizes(images, sizes)
    if len(samples) != len(images):
        raise DataError(f"{len(samples)} sample indices came with {len(images)} images: give one for each")
    samples = samples.to(images.device)
    kinds = (
        (False, settings.views_global, settings.global_size),
        (True, settings.views_local, settings.local_size),
    )
    views: list[Tensor] = []
    for local, count, size in kinds:
        if count:
            draws = draw_views(sizes, samples, settings, seed=seed, epoch=epoch, local=local)
            views.append(render(images, draws, size=size, mean=settings.mean, std=settings.std, dtype=dtype))
    return views


def render(
    images: UInt8[Tensor, "n 3 h w"],
    draws: Draws,
    *,
    size: int,
    mean: Triple,
    std: Triple,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "_ n 3 {size} {size}"]:
    """Make the views that a set of parameters describes.

    Args:
        images: RGB.
        draws: Parameters, one set per view and image.
        size: Side of the views in pixels.
        mean: Mean of the channels in [0, 1].
        std: Standard deviation of the channels.
        dtype: Type of the views. Float64 is computed in float64, all others in float32.

    Returns:
        Normalised views (v, n, 3, size, size).
    """
    count = len(draws.flip)
    working = torch.promote_types(dtype, torch.float32)
    out = torch.empty(count, len(images), 3, size, size, dtype=dtype, device=images.device)
    for part in _chunks(images, count * size * size):
        chosen = draws.of(part)
        planes = _coloured(_cropped(_planes(images[part], working), chosen, size), chosen)
        _normalise(planes, out[:, part], mean, std)
    return out


def plain_view(
    images: UInt8[Tensor, "n 3 h w"], sizes: Int[Tensor, "n 2"], *, size: int, mean: Triple, std: Triple
) -> Float[Tensor, "n 3 {size} {size}"]:
    """The view for evaluation: short side resized to `size`, centre square, normalised; nothing random.

    Equals torchvision's Resize(size, antialias=True), CenterCrop(size), Normalize(mean, std) of the unpadded
    image.

    Args:
        images: RGB, padded right and below to a common size.
        sizes: True height and width of each image in pixels.
        size: Side of the view in pixels.
        mean: Mean of the channels in [0, 1].
        std: Standard deviation of the channels.

    Returns:
        One float32 view per image.

    Raises:
        DataError: If images and sizes do not fit each other.
        SettingError: If the size is not positive.
    """
    if size < 1:
        raise SettingError(f"view size {size}: wanted at least 1 pixel, such as 32")
    sizes = _checked_sizes(images, sizes)
    out = torch.empty(len(images), 3, size, size, device=images.device)
    for part in _chunks(images, size * size):
        rows, columns = (_plain_matrices(sizes[part], axis, images.shape[2 + axis], size) for axis in (0, 1))
        planes = transform(_planes(images[part], torch.float32), rows, columns)
        _normalise(planes, out[part][None], mean, std)
    return out


def _checked_sizes(images: Tensor, sizes: Tensor) -> Tensor:
    if len(sizes) != len(images):
        raise DataError(f"{len(sizes)} image sizes came with {len(images)} images: give one for each")
    sizes = sizes.to(images.device)
    limit = torch.tensor(images.shape[-2:], device=images.device)
    if not ((sizes >= 1) & (sizes <= limit)).all():
        raise DataError(
            f"image sizes from {sizes.amin(0).tolist()} to {sizes.amax(0).tolist()} came:"
            f" wanted 1 to {limit.tolist()}, the padded size; give (height, width) of each image"
        )
    return sizes


def _chunks(images: Tensor, pixels: int) -> Iterator[slice]:
    limit = CHUNK_PIXELS_CPU if images.device.type == "cpu" else CHUNK_PIXELS
    step = max(1, limit // pixels)
    return (slice(start, start + step) for start in range(0, len(images), step))


def _planes(images: Tensor, dtype: torch.dtype) -> Tensor:
    return images.transpose(0, 1).to(dtype, memory_format=torch.contiguous_format)


def _cropped(images_CNHW: Tensor, draws: Draws, size: int) -> Tensor:
    dtype = images_CNHW.dtype
    top, left, height, width = (x.to(dtype) for x in (draws.top, draws.left, draws.height, draws.width))
    rows = resize_matrices(top, height / size, top, top + height, source=images_CNHW.shape[2], size=size, gain=1 / 255)
    columns = resize_matrices(
        left, width / size, left, left + width, source=images_CNHW.shape[3], size=size, flip=draws.flip
    )
    blur_(rows, columns, draws.sigma.to(dtype))
    return transform(images_CNHW, rows, columns)


def _coloured(planes_CKSS: Tensor, draws: Draws) -> Tensor:
    planes_CKP = planes_CKSS.flatten(2)
    factors = torch.stack((draws.brightness, draws.contrast, draws.saturation)).to(planes_CKP.dtype)
    if (factors != 1).any():
        adjust_(planes_CKP, *factors)
    if draws.hue.any():
        turn_hue_(planes_CKP, draws.hue.to(planes_CKP.dtype))
    grey_(planes_CKP, draws.grey)
    solarise_(planes_CKP, draws.solarise)
    return planes_CKSS


def _normalise(planes_CKSS: Tensor, out_VNCSS: Tensor, mean: Triple, std: Triple) -> None:
    views, n = out_VNCSS.shape[:2]
    for channel, plane_KSS in enumerate(planes_CKSS):
        plane_VNSS = plane_KSS.unflatten(0, (n, views)).transpose(0, 1)
        torch.sub(plane_VNSS, mean[channel], out=plane_VNSS).div_(std[channel])
        out_VNCSS[:, :, channel].copy_(plane_VNSS)


def _plain_matrices(sizes: Tensor, axis: int, source: int, size: int) -> Tensor:
    pixels = sizes[:, axis]
    # torchvision truncates the long side of the resized image and rounds the margin to even.
    resized = size * pixels // sizes.amin(-1)
    scale = pixels / resized
    margin = ((resized - size) / 2).round()
    gain = 1 / 255 if axis == 0 else 1.0
    none = torch.zeros_like(scale)
    return resize_matrices(margin * scale, scale, none, pixels.float(), source=source, size=size, gain=gain)
