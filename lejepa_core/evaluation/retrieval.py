"""How often a view finds the other view of its own image among those of all images."""

# N images, F features
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_SPREAD: Final = 1e-6
"""Features that vary less than this, as a share of the one that varies most, are rounding and count for nothing."""


def retrieval_top1(first: Float[Tensor, "n f"], second: Float[Tensor, "n f"]) -> float:
    """Share of views whose nearest among the other views, by cosine of standardised features, is their partner.

    Both ways, averaged. Where several are equally near, each counts as found with the same probability, so that an
    encoder that maps all images to one point gets 1 / N.

    Args:
        first: Embeddings, or projections, of one view of each image.
        second: Those of another view, images in the same order.
    """
    joint = torch.cat([first, second]).double()
    spread_F = joint.std(0, correction=0)
    kept_F = spread_F > LEAST_SPREAD * spread_F.max()
    standard = torch.where(kept_F, (joint - joint.mean(0)) / spread_F.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    a_NF, b_NF = torch.nn.functional.normalize(standard).split(len(first))
    cosine_NN = a_NF @ b_NF.T
    return float((_found(cosine_NN) + _found(cosine_NN.T)) / 2)


def _found(cosine_NN: Tensor) -> Tensor:
    best_N = cosine_NN.amax(1)
    ties_N = (cosine_NN == best_N[:, None]).sum(1)
    return ((cosine_NN.diagonal() == best_N).double() / ties_N).mean()
