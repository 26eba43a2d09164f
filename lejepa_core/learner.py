"""What learns in a pretraining, and how it takes a step: encoder, predictor, optimiser, and averaged weights."""

# V views, N samples of this rank, D dims
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lejepa_core.accumulation import backward_in_parts
from lejepa_core.averaging import AveragedEncoder
from lejepa_core.batchnorm import synchronise_batchnorm
from lejepa_core.distributed import average_gradients, rank, world_size
from lejepa_core.encoder import Encoder
from lejepa_core.objective import LossTerms
from lejepa_core.precision import autocast
from lejepa_core.random import derive_seed
from lejepa_core.settings import PretrainSettings
from lejepa_core.trial_loss import build_loss


class Learner:
    """An encoder with what its training needs besides; of all ranks the same."""

    def __init__(self, settings: PretrainSettings, encoder: Encoder, micro_batch: int | None) -> None:
        """Put all of it into training mode, on the encoder's device.

        Args:
            settings: The trial.
            encoder: The one that is evaluated, changed in place.
            micro_batch: Images of this rank that the backbone sees at a time, at most; None = all at once.

        Raises:
            SettingError: If the loss comes from a package that is not installed.
        """
        self._settings, self._micro_batch = settings, micro_batch
        self.device = next(encoder.parameters()).device
        synchronise_batchnorm(encoder)
        self._average = AveragedEncoder(encoder, settings, micro_batch) if settings.weight_average else None
        self.model = self._average.trained if self._average else encoder
        """The encoder that the optimiser changes."""
        self._loss = synchronise_batchnorm(build_loss(settings).to(self.device))
        self.modules: dict[str, nn.Module] = {"model": self.model}
        """All that has weights or buffers that training changes."""
        if self._average:
            self.modules["averaged"] = encoder
        if settings.predictor_depth:
            self.modules["loss"] = self._loss
        groups = [group for name in ("model", "loss") if (module := self.modules.get(name))
                  for group in parameter_groups(module, settings.weight_decay)]  # fmt: skip
        self.optimiser = torch.optim.AdamW(groups, lr=0.0)
        self._called = self.model if micro_batch is not None else _distribute(self.model)
        for module in self.modules.values():
            module.train()

    def step(self, views: list[Tensor], *, step: int, rate: float) -> LossTerms:
        """Take a step on the views of a batch.

        Args:
            views: As `Encoder` takes them.
            step: Global step.
            rate: Learning rate.

        Returns:
            The loss before it, detached.
        """
        torch.manual_seed(derive_seed("layers", self._settings.seed, step, rank()))
        self.optimiser.zero_grad(set_to_none=True)
        loss = partial(self._loss, views_global=self._settings.views_global, step=step)
        if self._average:
            loss = partial(loss, centre=self._average.centre(views))
        terms = self._backward(loss, views)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        if self._average:
            self._average.follow()
        return LossTerms(*(term.detach() for term in terms))

    def _backward(self, loss: Callable[[Tensor], LossTerms], views: list[Tensor]) -> LossTerms:
        """Give the weights the gradient of the loss of all ranks' samples."""
        precision = self._settings.precision
        if self._micro_batch is not None:
            terms = backward_in_parts(self.model, loss, views, micro_batch=self._micro_batch, precision=precision)
        else:
            with autocast(precision, self.device):
                z_VND = self._called(views)
            terms = loss(z_VND)
            terms.total.backward()
        # The predictor is part of the loss, which DistributedDataParallel does not know.
        average_gradients(self._loss)
        return terms


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, but not for what a backbone exempts, such as position embeddings."""
    backbone = getattr(module, "backbone", None)
    exempt: set[str] = getattr(backbone, "no_weight_decay", set)()
    names = [f"backbone.{name}" for name in exempt]
    groups: list[dict[str, Any]] = param_groups_weight_decay(module, weight_decay, no_weight_decay_list=names)
    return groups


def _distribute(model: nn.Module) -> nn.Module:
    return DistributedDataParallel(model) if world_size() > 1 else model
