"""The regularisers of trials: each name trains, and each is another loss."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from toys import TRIAL

from lejepa_core.errors import UnknownNameError
from lejepa_core.normality import MULTIVARIATE, UNIVARIATE
from lejepa_core.objective import LeJEPALoss
from lejepa_core.regularizers import build_regularizer
from lejepa_core.settings import Regularizer

NAMES: tuple[Regularizer, ...] = get_args(Regularizer)


def test_settings_know_every_test_of_the_family() -> None:
    assert set(NAMES) == {"epps-pulley", *UNIVARIATE, *MULTIVARIATE}


@pytest.mark.parametrize("name", NAMES)
def test_descending_the_loss_alone_brings_spread_back(name: Regularizer) -> None:
    regulariser = build_regularizer(replace(TRIAL, regularizer=name, slices=16))
    z = (0.4 * torch.randn(2, 64, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
    objective, optimiser = LeJEPALoss(1.0, sigreg=regulariser), torch.optim.Adam([z], lr=0.02)
    for step in range(60):
        optimiser.zero_grad()
        objective(z, views_global=2, step=step).total.backward()
        optimiser.step()
    assert 0.75 < float(z.detach().std()) < 1.3


@pytest.mark.parametrize("name", sorted({*NAMES} - {"henze-zirkler"}))
def test_in_as_many_dims_as_a_trial_has_it_still_holds_the_scale(name: Regularizer) -> None:
    # Henze and Zirkler's bandwidth leaves no sample a neighbour there, as its docstring says.
    regulariser = build_regularizer(replace(TRIAL, regularizer=name, slices=64))
    z = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(0.6, requires_grad=True)
    (slope,) = torch.autograd.grad(regulariser(scale * z, step=0), scale)
    assert slope < -1


def test_regularisers_differ() -> None:
    z = torch.randn(2, 32, 4, generator=torch.Generator().manual_seed(0))
    values = {float(build_regularizer(replace(TRIAL, regularizer=n))(z, step=0).mean().detach()) for n in NAMES}
    assert len(values) == len(NAMES)


def test_the_sampler_of_a_trial_is_used() -> None:
    z = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    values = {
        float(build_regularizer(replace(TRIAL, sampler=s, slices=8))(z, step=0))  # type: ignore[arg-type]
        for s in ("gaussian", "orthogonal", "sobol")
    }
    assert len(values) == 3


def test_an_unknown_name_is_refused_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="unknown regularizer 'bheb'; closest: bhep"):
        replace(TRIAL, regularizer="bheb")  # type: ignore[arg-type]
