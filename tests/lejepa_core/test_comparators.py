"""VICReg and SimCLR: their formulas written out, lightly's own losses, and one process against two."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ranks import run_on_ranks
from torch import Tensor

from lejepa_core.comparators import PairwiseLoss, check_objective, pairs_of
from lejepa_core.errors import SettingError
from lejepa_core.methods import Objective

Array = NDArray[np.float64]


def projections(views: int = 2, samples: int = 9, dims: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.7 * torch.randn(views, samples, dims, generator=generator, dtype=torch.float64) + 0.1


def terms(objective: Objective, lambda_: float, z: Tensor, views_global: int = 2) -> list[float]:
    return [float(term) for term in PairwiseLoss(objective, lambda_)(z, views_global=views_global, step=0)]


def vicreg_by_hand(a: Array, b: Array) -> tuple[float, float]:
    """Invariance, and variance + covariance / 25, of arXiv 2105.04906 as its authors' code has them."""
    spread = 0.0
    for x in (a, b):
        spread += np.maximum(0, 1 - np.sqrt(x.var(0, ddof=1) + 1e-4)).mean() / 2
        covariance = np.cov(x.T)
        spread += (np.square(covariance).sum() - np.square(np.diag(covariance)).sum()) / x.shape[1] / 25
    return float(np.square(a - b).mean()), spread


def simclr_by_hand(a: Array, b: Array, temperature: float) -> tuple[float, float]:
    """Alignment, and log-sum-exp over all others, of the 2N views of arXiv 2002.05709, equation 1."""
    unit = [x / np.linalg.norm(x) for x in (*a, *b)]
    count = len(unit)
    alignment = [-unit[i] @ unit[(i + count // 2) % count] / temperature for i in range(count)]
    others = [sum(np.exp(unit[i] @ unit[k] / temperature) for k in range(count) if k != i) for i in range(count)]
    return float(np.mean(alignment)), float(np.mean(np.log(others)))


@pytest.mark.parametrize("lambda_", [0.03, 0.5, 0.9])
def test_vicreg_is_its_formula(lambda_: float) -> None:
    z = projections()
    invariance, spread = vicreg_by_hand(*z.numpy())
    wanted = [(1 - lambda_) * invariance + lambda_ * spread, invariance, spread]
    assert terms("vicreg", lambda_, z) == pytest.approx(wanted, rel=1e-12)


def test_half_of_vicregs_dial_is_the_published_loss_divided_by_fifty() -> None:
    from lightly.loss import VICRegLoss

    z = projections()
    assert terms("vicreg", 0.5, z)[0] == pytest.approx(float(VICRegLoss(25.0, 25.0, 1.0)(*z)) / 50, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_its_formula(temperature: float) -> None:
    z = projections()
    alignment, others = simclr_by_hand(*z.numpy(), temperature)
    assert terms("simclr", temperature, z) == pytest.approx([alignment + others, alignment, others], rel=1e-12)


def test_each_pair_with_a_global_view_counts_once() -> None:
    assert pairs_of(4, 2) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert len(pairs_of(8, 2)) == 13
    assert pairs_of(2, 1) == pairs_of(2, 2) == [(0, 1)]


@pytest.mark.parametrize("objective", ["vicreg", "simclr"])
def test_more_views_are_the_mean_over_pairs(objective: Objective) -> None:
    z = projections(views=4)
    each = np.array([terms(objective, 0.3, z[[a, b]]) for a, b in pairs_of(4, 2)])
    assert terms(objective, 0.3, z) == pytest.approx(each.mean(0).tolist(), rel=1e-12)


def test_a_collapsed_vicreg_has_a_finite_gradient_that_spreads() -> None:
    z = (1e-6 * projections()).requires_grad_()
    PairwiseLoss("vicreg", 0.5)(z, views_global=2, step=0).total.backward()
    assert z.grad is not None and bool(z.grad.isfinite().all())
    centred = z.detach() - z.detach().mean(1, keepdim=True)
    assert float((z.grad * centred).sum()) < 0, "descending it widens the samples"
    point = torch.zeros_like(z).requires_grad_()
    PairwiseLoss("vicreg", 0.5)(point, views_global=2, step=0).total.backward()
    assert point.grad is not None and bool(point.grad.isfinite().all())


@pytest.mark.parametrize("objective", ["vicreg", "simclr"])
def test_two_processes_of_unequal_batches_have_the_loss_and_gradient_of_one(tmp_path: Path, objective: str) -> None:
    one = run_on_ranks("comparators", 1, tmp_path, "7,4", objective)[0]
    parts = run_on_ranks("comparators", 2, tmp_path, "7,4", objective)
    for part in parts:
        torch.testing.assert_close(part["terms"], one["terms"], rtol=1e-12, atol=0)
        torch.testing.assert_close(part["gradient"], one["gradient"], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("check", [check_objective, lambda name: PairwiseLoss(name, 0.5)])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    check: Callable[[Objective], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_objective("vicreg")
    monkeypatch.setitem(sys.modules, "lightly", None)
    check_objective("lejepa")
    with pytest.raises(SettingError, match=r"lightly, which is not installed: pip install 'lejepa-sweeps\[comparat"):
        check("vicreg")
