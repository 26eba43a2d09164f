"""How directions are drawn."""

import pytest
import scipy.stats
import torch

from lejepa_core.directions import SAMPLERS, Directions
from lejepa_core.errors import SettingError, UnknownNameError

LIKE = torch.zeros(1, dtype=torch.float64)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_directions_are_unit_and_uniform_on_the_sphere(sampler: str) -> None:
    a_DS = Directions(4000, sampler, seed=3)(5, 7, LIKE)  # type: ignore[arg-type]
    torch.testing.assert_close(a_DS.norm(dim=0), torch.ones_like(a_DS[0]), rtol=0, atol=1e-6)
    # A coordinate x of a uniform direction in D dims: (x + 1) / 2 is Beta((D - 1) / 2, (D - 1) / 2).
    for row in a_DS:
        assert scipy.stats.kstest((row.numpy() + 1) / 2, scipy.stats.beta(2, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seed_and_step_determine_them(sampler: str) -> None:
    draw = Directions(10, sampler, seed=3)  # type: ignore[arg-type]
    assert torch.equal(draw(6, 2, LIKE), Directions(10, sampler, seed=3)(6, 2, LIKE))  # type: ignore[arg-type]
    assert torch.equal(draw(6, 2, LIKE), draw(6, torch.tensor(2), LIKE))
    assert not torch.allclose(draw(6, 2, LIKE), draw(6, 3, LIKE))
    assert not torch.allclose(draw(6, 2, LIKE), Directions(10, sampler, seed=4)(6, 2, LIKE))  # type: ignore[arg-type]


def test_orthogonal_directions_are_so_in_blocks() -> None:
    a_DS = Directions(10, "orthogonal")(4, 0, LIKE)
    for block in a_DS.split(4, dim=1):
        torch.testing.assert_close(block.T @ block, torch.eye(block.shape[1], dtype=torch.float64), rtol=0, atol=1e-6)


def test_sobol_directions_cover_the_sphere_more_evenly() -> None:
    def unevenness(sampler: str) -> float:
        a_DS = Directions(1024, sampler, seed=1)(5, 0, LIKE)  # type: ignore[arg-type]
        return float((a_DS @ a_DS.T / 1024 - torch.eye(5, dtype=torch.float64) / 5).norm())

    assert unevenness("sobol") < 0.3 * unevenness("gaussian")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(SettingError, match="at least 1"):
        Directions(0)
    with pytest.raises(UnknownNameError, match="unknown sampler 'sobel'"):
        Directions(8, "sobel")  # type: ignore[arg-type]
