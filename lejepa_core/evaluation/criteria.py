"""Label-free criteria: what of a trained encoder might tell how good it is, where there are no labels.

Measured on fresh views of validation images. Views and slices are functions of the images and of how training makes
views, and of nothing else: trials of a data set are judged on the same ones. LiDAR takes the global views as samples
of an image's class.
"""

# V views, G global views, N images, D dims, S slices, Q quantile levels, B batches
from typing import Final

import torch
from torch import Tensor

from lejepa_core.errors import DataError
from lejepa_core.evaluation.embedding import held_out_sample
from lejepa_core.evaluation.fresh_views import FreshViews, fresh_views
from lejepa_core.evaluation.protocol import Measured, Subject
from lejepa_core.evaluation.retrieval import retrieval_top1
from lejepa_core.geometry import alpha_req, covariance_spectrum, lidar, quantiles, rankme, simulated_envelope
from lejepa_core.geometry.gaussianity import KNOTS, LEVELS, T_MAX, fresh_slices, slice_statistics
from lejepa_core.reading import sigreg_reading

IMAGES: Final = 512
"""Most validation images that are looked at. A view finds its partner the more easily the fewer there are."""
SLICES: Final = 256
SAMPLES: Final = 256
"""Batch size at which `heldout/sigreg` is given, whatever the trial's own."""


def measure_criteria(subject: Subject) -> Measured:
    """All criteria of an encoder.

    Returns:
        heldout/prediction and heldout/sigreg, the terms of the loss, SIGReg at 256 samples; heldout/sigreg_share, 0 at
        its floor and 1 at total collapse; heldout/retrieval_top1 of embeddings and heldout/retrieval_projection_top1;
        geometry/embedding_rank (RankMe), geometry/alpha_req and geometry/lidar of embeddings,
        geometry/projection_lidar; geometry/slices_outside, the share of slices of projections that are further from
        N(0, 1) than 95 % of samples of it are. Arrays for figures, in float32.

    Raises:
        DataError: If there are fewer than two validation images, or if what the encoder makes of them is not finite.
    """
    indices = held_out_sample(subject.data.splits["val"], IMAGES)
    if len(indices) < 2:
        raise DataError(f"{subject.data.name} has {len(indices)} validation images, criteria want at least 2")
    views = fresh_views(subject.encoder, subject.data, indices, subject.settings)
    if not all(bool(x.isfinite().all()) for x in (views.embeddings, *views.projections)):
        raise DataError("embeddings or projections of validation images are not finite; the encoder cannot be judged")
    metrics, arrays = _of_slices(views)
    more, spectra = _of_clouds(views)
    return Measured(metrics=metrics | more, arrays={name: x.float().numpy() for name, x in (arrays | spectra).items()})


def _of_clouds(views: FreshViews) -> tuple[dict[str, float], dict[str, Tensor]]:
    embeddings_GND = views.embeddings
    projections_GND = torch.cat([z[: views.views_global] for z in views.projections], 1)
    spectrum_D = covariance_spectrum(embeddings_GND[0])
    metrics = {
        "heldout/prediction": _prediction(views),
        "heldout/retrieval_top1": retrieval_top1(*embeddings_GND[:2]),
        "heldout/retrieval_projection_top1": retrieval_top1(*projections_GND[:2]),
        "geometry/embedding_rank": rankme(embeddings_GND[0]),
        "geometry/alpha_req": alpha_req(spectrum_D),
        "geometry/lidar": lidar(embeddings_GND),
        "geometry/projection_lidar": lidar(projections_GND),
    }
    return metrics, {
        "embedding_spectrum": spectrum_D,
        "projection_spectrum": covariance_spectrum(projections_GND[0]),
    }


def _prediction(views: FreshViews) -> float:
    """Mean squared distance of every view's projection from the mean of the global ones, as in the loss."""
    z_VND = torch.cat(views.projections, 1).double()
    return float((z_VND - z_VND[: views.views_global].mean(0)).square().mean())


def _of_slices(views: FreshViews) -> tuple[dict[str, float], dict[str, Tensor]]:
    """How Gaussian the projections of each batch and view are.

    The statistic itself rather than `SIGReg`, which would be that of all ranks, and only one measures.
    """
    batches = [[fresh_slices(z_ND.float(), SLICES) for z_ND in z_VND] for z_VND in views.projections]
    shares, outside, first = [], [], []
    for slices_VSN in batches:
        samples = slices_VSN[0].shape[1]
        statistics_VS = torch.stack([slice_statistics(slices_SN) for slices_SN in slices_VSN])
        reading = sigreg_reading(float(statistics_VS.mean()), samples=samples, knots=KNOTS, t_max=T_MAX)
        shares.append(reading.share)
        outside.append(float((statistics_VS > simulated_envelope(samples).statistic).double().mean()))
        first.append(statistics_VS[0])
    share = sum(shares) / len(shares)
    scale = sigreg_reading(0.0, samples=SAMPLES, knots=KNOTS, t_max=T_MAX)
    metrics = {
        "heldout/sigreg": scale.floor + share * (scale.ceiling - scale.floor),
        "heldout/sigreg_share": share,
        "geometry/slices_outside": sum(outside) / len(outside),
    }
    return metrics, {"slice_statistics": torch.cat(first), **_quantile_figure([b[0] for b in batches])}


def _quantile_figure(slices_BSN: list[Tensor]) -> dict[str, Tensor]:
    """Quantiles of the first view's slices against those of N(0, 1): low, middle and high one over slices."""
    held = torch.cat([quantiles(slices_SN) for slices_SN in slices_BSN])
    envelope = simulated_envelope(slices_BSN[0].shape[1])
    return {
        "qq_normal": torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64)),
        "qq_slices": torch.quantile(held, torch.tensor([0.025, 0.5, 0.975]), dim=0),
        "qq_envelope": envelope.quantiles,
        "envelope_statistic": torch.tensor([envelope.statistic]),
    }
