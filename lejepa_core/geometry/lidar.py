"""LiDAR: how many directions tell images apart, seen against how far views of one image lie apart."""

# Q views, N images, D dims
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.errors import SettingError
from lejepa_core.geometry.spectrum import entropic_rank

DELTA: Final = 1e-4
"""Added to the diagonal of the scatter within images, as in the paper."""


def lidar(z: Float[Tensor, "q n d"]) -> float:
    """Linear discriminant analysis rank: each image is a class, its views are the samples.

    exp(entropy) of the spectrum of Σ_w^-½ Σ_b Σ_w^-½, shares with 1e-7 added. Σ_b is the covariance of the images'
    means, Σ_w the mean covariance within images plus 1e-4 on its diagonal.

    Args:
        z: Embeddings, or projections, of Q views of N images; at least 2 of each. The paper takes Q = 50, N = 1000.

    Returns:
        About 1 to min(N - 1, D); 1 where all images have the same mean.

    Raises:
        SettingError: If there are fewer than 2 views or images.

    Source:
        Thilak et al., arXiv 2312.04000, equations 1 to 4.
    """
    views, images, dims = z.shape
    if views < 2 or images < 2:
        raise SettingError(f"{views} views of {images} images came, at least 2 of each were wanted")
    z_QND = z.double()
    mean_ND = z_QND.mean(0)
    between_DD = torch.cov(mean_ND.T).view(dims, dims)
    within_MD = (z_QND - mean_ND).flatten(0, 1)
    within_DD = within_MD.T @ within_MD / (images * (views - 1)) + DELTA * torch.eye(dims, dtype=torch.float64)
    values_D, vectors_DD = torch.linalg.eigh(within_DD)
    whiten_DD = vectors_DD * values_D.rsqrt()
    return entropic_rank(torch.linalg.eigvalsh(whiten_DD.T @ between_DD @ whiten_DD).clamp(min=0))
