"""The loss of a trial, from its settings."""

import torch
from torch import nn

from lejepa_core.comparators import PairwiseLoss
from lejepa_core.encoder import mlp
from lejepa_core.methods import LEJEPA
from lejepa_core.objective import LeJEPALoss
from lejepa_core.precision import weight_dtype
from lejepa_core.random import derive_seed
from lejepa_core.regularizers import build_regularizer
from lejepa_core.settings import PretrainSettings


def build_loss(settings: PretrainSettings) -> LeJEPALoss | PairwiseLoss:
    """The loss of a trial; where it has a predictor, with initial weights that depend on sizes and seed alone.

    Raises:
        SettingError: If it comes from a package that is not installed.
    """
    if settings.objective != LEJEPA:
        return PairwiseLoss(settings.objective, settings.lambda_)
    predictor = _predictor(settings) if settings.predictor_depth else None
    return LeJEPALoss(settings.lambda_, sigreg=build_regularizer(settings), predictor=predictor)


def _predictor(settings: PretrainSettings) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("predictor", settings.seed))
        dim = settings.projector_dim
        return mlp(dim, settings.projector_hidden, settings.predictor_depth, dim).to(weight_dtype(settings.precision))
