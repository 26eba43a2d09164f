"""The shape of a cloud of embeddings or projections: scale, dimension, spectrum, and how Gaussian it is."""

from lejepa_core.geometry.cloud import MIN_SAMPLES, Geometry, effective_rank, measure_geometry
from lejepa_core.geometry.gaussianity import Envelope, quantiles, simulated_envelope, slice_statistics
from lejepa_core.geometry.lidar import lidar
from lejepa_core.geometry.spectrum import alpha_req, covariance_spectrum, rankme

__all__ = [
    "MIN_SAMPLES",
    "Envelope",
    "Geometry",
    "alpha_req",
    "covariance_spectrum",
    "effective_rank",
    "lidar",
    "measure_geometry",
    "quantiles",
    "rankme",
    "simulated_envelope",
    "slice_statistics",
]
