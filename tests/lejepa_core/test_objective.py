"""The loss against Algorithm 2 written out, and at the ends of λ."""

import pytest
import torch

from lejepa_core.errors import SettingError
from lejepa_core.methods import objective_form, regularizer_label
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


def test_with_a_predictor_each_view_passes_it_and_neither_the_centre_nor_sigreg_do() -> None:
    z, sigreg = projections().requires_grad_(), SIGReg(slices=10)
    predictor = torch.nn.Linear(6, 6).double()
    terms = LeJEPALoss(0.2, sigreg=sigreg, predictor=predictor)(z, views_global=2, step=9)
    centre = (z[0] + z[1]) / 2
    wanted = sum(((view @ predictor.weight.T + predictor.bias - centre) ** 2).mean() for view in z) / 4
    torch.testing.assert_close(terms.prediction, wanted, rtol=1e-12, atol=0)
    assert torch.equal(terms.sigreg, LeJEPALoss(0.2, sigreg=sigreg)(z, views_global=2, step=9).sigreg)
    found = torch.autograd.grad(terms.prediction, (z, predictor.weight))
    for one, other in zip(found, torch.autograd.grad(wanted, (z, predictor.weight)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-15)


def test_a_centre_that_is_given_takes_the_place_of_the_mean() -> None:
    z, centre = projections().requires_grad_(), projections(1)[0]
    prediction = LeJEPALoss(0.2)(z, views_global=2, step=9, centre=centre).prediction
    torch.testing.assert_close(prediction, ((z - centre) ** 2).mean(), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(prediction, z)
    torch.testing.assert_close(gradient, 2 * (z - centre).detach() / z.numel())
    own = LeJEPALoss(0.2)(z, views_global=2, step=9, centre=z[:2].mean(0)).prediction
    assert own == LeJEPALoss(0.2)(z, views_global=2, step=9).prediction


@pytest.mark.parametrize(
    ("config", "form", "label"),
    [
        ({}, "(1-lambda)*prediction + lambda*sigreg; per view; N global", "SIGReg"),
        ({"regularizer": "watson"}, "(1-lambda)*prediction + lambda*watson; per view; N global", "watson"),
        (
            {"predictor_depth": 2, "weight_average": 0.99},
            "(1-lambda)*prediction + lambda*sigreg; per view; N global; views through a predictor; centre by averaged "
            "weights",
            "SIGReg",
        ),
        (
            {"objective": "vicreg", "regularizer": "epps-pulley", "predictor_depth": 0, "weight_average": 0.0},
            "(1-lambda)*invariance + lambda*(variance + covariance/25); pairs of views; N global",
            "variance + covariance",
        ),
        (
            {"objective": "simclr"},
            "NT-Xent = alignment + log-sum-exp, temperature lambda; pairs of views; N global",
            "log-sum-exp",
        ),
    ],
)
def test_the_form_says_what_is_optimised(config: dict, form: str, label: str) -> None:
    assert objective_form(config) == form
    found = regularizer_label(config.get("regularizer", "epps-pulley"), config.get("objective", "lejepa"))
    assert found == label
