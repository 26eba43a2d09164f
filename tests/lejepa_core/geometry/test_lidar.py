"""LiDAR on clouds whose scatter is known, and against scipy's generalised eigenvalues."""

import numpy as np
import pytest
import scipy.linalg
import torch

from lejepa_core.errors import SettingError
from lejepa_core.geometry import lidar
from lejepa_core.geometry.lidar import DELTA


def entropic(values: np.ndarray) -> float:
    shares = values / values.sum() + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


def crossed(between: list[float], within: list[float]) -> torch.Tensor:
    """Images at ± the given distances along each axis, two views at ± the given ones: all scatter is diagonal."""
    dims = len(between)
    images = torch.cat([torch.diag(torch.tensor(between)), -torch.diag(torch.tensor(between))]).double()
    signs = torch.tensor(np.linalg.qr(np.random.default_rng(0).normal(size=(2 * dims, dims)))[0])
    offsets = signs * torch.tensor(within, dtype=torch.float64) * (2 * dims) ** 0.5
    return torch.stack([images + offsets, images - offsets])


@pytest.mark.parametrize(
    ("between", "within"),
    [([1.0, 1, 1, 1], [1.0, 1, 1, 1]), ([4.0, 2, 1, 1], [0.5, 0.5, 2, 1]), ([3.0, 0, 0, 0], [1.0, 1, 1, 1])],
)
def test_lidar_of_diagonal_scatter_is_that_of_its_ratios(between: list[float], within: list[float]) -> None:
    images, dims = 2 * len(between), len(between)
    ratios = np.square(between) * 2 / (images - 1) / (2 * np.square(within) + DELTA)
    assert lidar(crossed(between, within)) == pytest.approx(entropic(ratios), rel=1e-6)
    assert lidar(crossed(between, within)) <= dims + 1e-3


def test_lidar_is_that_of_scipys_generalised_eigenvalues() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(1, 40, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=(5, 40, 6)) @ rng.normal(size=(6, 6))
    between = np.cov(z.mean(0).T)
    within = np.mean([np.cov(z[:, i].T) for i in range(40)], axis=0) + DELTA * np.eye(6)
    expected = entropic(scipy.linalg.eigh(between, within, eigvals_only=True))
    assert lidar(torch.from_numpy(z)) == pytest.approx(expected, rel=1e-9)


def test_a_collapsed_cloud_has_one_direction() -> None:
    assert lidar(torch.ones(2, 20, 5)) == 1


def test_a_single_view_is_refused() -> None:
    with pytest.raises(SettingError, match="at least 2 of each"):
        lidar(torch.ones(1, 20, 5))
