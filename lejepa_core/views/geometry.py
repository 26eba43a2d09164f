"""Crop, resize, mirror and blur, linear and separable, as two small matrices per view: one for each axis."""

# K views of all samples, S pixels of the view, W pixels of the source

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# In pixels: the neighbours' weight is then exp(-12.5), 0.001 grey levels of 255.
NEGLIGIBLE_SIGMA = 0.2


def resize_matrices(
    first: Float[Tensor, " k"],
    scale: Float[Tensor, " k"],
    low: Float[Tensor, " k"],
    high: Float[Tensor, " k"],
    *,
    source: int,
    size: int,
    flip: Bool[Tensor, " k"] | None = None,
    gain: float = 1.0,
) -> Float[Tensor, "k {size} {source}"]:
    """Antialiased bilinear interpolation along one axis: the triangle filter of torchvision and Pillow.

    Args:
        first: Source coordinate of the view's edge, in pixels.
        scale: Source pixels per pixel of the view.
        low: First source pixel that may be looked at.
        high: One past the last source pixel that may be looked at.
        source: Pixels of the source axis.
        size: Pixels of the view.
        flip: Which views to mirror.
        gain: Sum of each row.

    Returns:
        Matrices to multiply the source axis with.
    """
    step = torch.arange(size, device=first.device, dtype=first.dtype) + 0.5
    step_KS = step.expand(len(first), size)
    if flip is not None:
        step_KS = torch.where(flip[:, None], size - step_KS, step_KS)
    support = scale.clamp(min=1)[:, None]
    centre_KS = (first[:, None] + step_KS * scale[:, None]) / support
    pixel = torch.arange(source, device=first.device, dtype=first.dtype)
    outside_KW = (pixel < low[:, None]) | (pixel >= high[:, None])
    # A pixel outside the crop is sent so far away that its weight is 0: cheaper than a mask over K, S and W.
    pixel_KW = ((pixel + 0.5) / support).masked_fill(outside_KW, -1e6)
    weight_KSW = (pixel_KW[:, None] - centre_KS[..., None]).abs_().neg_().add_(1).clamp_(min=0)
    return weight_KSW.mul_(gain / weight_KSW.sum(-1, keepdim=True))


def blur_matrices(sigma: Float[Tensor, " k"], size: int) -> Float[Tensor, "k {size} {size}"]:
    """Gaussian blur along one axis, mirrored at the edges without repeating them, not truncated.

    Args:
        sigma: Standard deviations in pixels, above 0.
        size: Pixels of the axis.

    Returns:
        Matrices whose rows sum to 1.
    """
    distance = torch.arange(2 * size - 1, device=sigma.device, dtype=sigma.dtype)
    weight_KD = (distance / sigma[:, None]).square_().mul_(-0.5).exp_()
    mirror_KSS = weight_KD.unfold(1, size, 1)
    near_KS = weight_KD[:, :size]
    blur_KSS = torch.cat((near_KS[:, 1:].flip(1), near_KS), dim=1).unfold(1, size, 1).flip(1)
    # An edge is its own mirror image and counts once.
    blur_KSS[..., 1:] += mirror_KSS[..., 1:]
    blur_KSS[..., :-1] += mirror_KSS.flip(1, 2)[..., :-1]
    return blur_KSS / blur_KSS.sum(-1, keepdim=True)


def blur_(rows: Float[Tensor, "k s h"], columns: Float[Tensor, "k s w"], sigma: Float[Tensor, " k"]) -> None:
    """Let resize matrices blur as well, where sigma is not negligible.

    Args:
        rows: Matrices along the height, changed in place.
        columns: Matrices along the width, changed in place.
        sigma: Standard deviations in pixels of the view, 0 for none.
    """
    blurred = (sigma >= NEGLIGIBLE_SIGMA).nonzero()[:, 0]
    if len(blurred):
        blur = blur_matrices(sigma[blurred], rows.shape[1])
        for matrices in (rows, columns):
            matrices[blurred] = torch.bmm(blur, matrices[blurred])


def transform(
    images_CNHW: Float[Tensor, "c n h w"],
    rows: Float[Tensor, "k s h"],
    columns: Float[Tensor, "k s w"],
) -> Float[Tensor, "c k s s"]:
    """Apply the matrices of both axes; an image's views are made from one product along its rows.

    Args:
        images_CNHW: Source images.
        rows: Matrices along the height; the views of one sample stand together, so that k = n * views.
        columns: Matrices along the width.

    Returns:
        Planes of the views, channel first so that operations on a colour run over contiguous memory.
    """
    n, views, size = images_CNHW.shape[1], len(rows), rows.shape[1]
    rows_NRH = rows.reshape(n, -1, rows.shape[-1])
    columns_KWS = columns.transpose(1, 2)
    out = images_CNHW.new_empty(images_CNHW.shape[0], views, size, size)
    for channel, plane_NHW in zip(out, images_CNHW, strict=True):
        wide_KSW = torch.bmm(rows_NRH, plane_NHW).view(views, size, -1)
        torch.bmm(wide_KSW, columns_KWS, out=channel)
    return out
