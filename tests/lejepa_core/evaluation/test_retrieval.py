"""View retrieval on embeddings of which the answer is known."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from lejepa_core.evaluation.retrieval import retrieval_top1


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_views_that_agree_are_always_found() -> None:
    z = normal(100, 16)
    assert retrieval_top1(z, z + 1e-3 * normal(100, 16, seed=1)) == 1


def test_views_that_have_nothing_in_common_are_found_by_chance() -> None:
    n = 400
    found = retrieval_top1(normal(n, 32), normal(n, 32, seed=1))
    assert found <= 1 / n + 5 * np.sqrt(1 / n / (2 * n))


@pytest.mark.parametrize("point", [0.0, 7.3])
def test_a_single_point_for_all_images_is_chance_exactly(point: float) -> None:
    z = torch.full((50, 8), point)
    assert retrieval_top1(z, z) == pytest.approx(1 / 50)


def test_half_of_the_images_with_exchanged_partners_are_lost() -> None:
    z = normal(40, 16)
    order = torch.arange(40)
    order[:20] = order[:20].roll(1)
    assert retrieval_top1(z, z[order]) == 0.5


def test_scale_and_mean_of_features_do_not_matter() -> None:
    a = normal(60, 8)
    b = a + 0.5 * normal(60, 8, seed=1)
    scale = torch.tensor([1e-3, 1, 10, 100, 1, 1, 5, 0.1])
    assert retrieval_top1(a * scale + 3, b * scale + 3) == retrieval_top1(a, b)


def test_features_that_only_round_count_for_nothing() -> None:
    a = normal(60, 8)
    b = a + 0.5 * normal(60, 8, seed=1)
    noise = 1e-12 * normal(60, 500, seed=2).double(), 1e-12 * normal(60, 500, seed=3).double()
    joined = [torch.cat([x.double(), dead], 1) for x, dead in zip((a, b), noise, strict=True)]
    assert retrieval_top1(*joined) == retrieval_top1(a, b)


def test_it_is_what_scikit_learns_neighbours_say_both_ways() -> None:
    a = normal(80, 6)
    b = a + 0.8 * normal(80, 6, seed=1)
    scaler = StandardScaler().fit(torch.cat([a, b]).double())
    x, y = scaler.transform(a.double()), scaler.transform(b.double())
    ways = [
        (
            NearestNeighbors(n_neighbors=1, metric="cosine").fit(bank).kneighbors(queries)[1][:, 0] == np.arange(80)
        ).mean()
        for queries, bank in ((x, y), (y, x))
    ]
    assert 0.2 < np.mean(ways) < 0.9
    assert retrieval_top1(a, b) == pytest.approx(np.mean(ways))
