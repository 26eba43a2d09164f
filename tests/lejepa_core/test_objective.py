"""The loss against Algorithm 2 written out, and at the ends of λ."""

import pytest
import torch

from lejepa_core.errors import SettingError
from lejepa_core.objective import LeJEPALoss
from lejepa_core.sigreg import SIGReg


def projections(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 30, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_terms_equal_the_algorithm_written_out() -> None:
    z, sigreg = projections(), SIGReg(slices=10)
    terms = LeJEPALoss(0.2, sigreg=sigreg)(z, views_global=2, step=9)
    centre = (z[0] + z[1]) / 2
    prediction = sum(((view - centre) ** 2).mean() for view in z) / 4
    regulariser = sum(sigreg(view, step=9) for view in z) / 4
    assert float(terms.prediction) == pytest.approx(float(prediction), rel=1e-12)
    assert float(terms.sigreg) == pytest.approx(float(regulariser), rel=1e-12)
    assert float(terms.total) == pytest.approx(float(0.8 * prediction + 0.2 * regulariser), rel=1e-12)


def test_the_ends_of_lambda_leave_one_term() -> None:
    z = projections(1)
    assert (low := LeJEPALoss(0.0)(z, views_global=4, step=0)).total == low.prediction
    assert (high := LeJEPALoss(1.0)(z, views_global=4, step=0)).total == high.sigreg


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_lambda_outside_the_unit_interval_is_refused(value: float) -> None:
    with pytest.raises(SettingError, match=r"\[0, 1\]"):
        LeJEPALoss(value)


def test_more_global_views_than_views_are_refused() -> None:
    with pytest.raises(SettingError, match="views_global=5"):
        LeJEPALoss(0.1)(projections(), views_global=5, step=0)
