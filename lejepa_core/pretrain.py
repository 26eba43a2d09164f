"""The pretraining loop: a plain generator over epochs. It knows no scheduler, no tracker and no disk."""

# V views, N samples of this rank, D dims
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lejepa_core.accumulation import check_micro_batches, draws_at_random
from lejepa_core.datasets import ImageDataset
from lejepa_core.distributed import rank, world_size
from lejepa_core.encoder import Encoder
from lejepa_core.errors import LejepaError, SettingError
from lejepa_core.learner import Learner
from lejepa_core.methods import LEJEPA, SIGREG, regularizer_label
from lejepa_core.online_probe import OnlineProbe
from lejepa_core.random import derive_seed
from lejepa_core.reading import sigreg_reading
from lejepa_core.schedule import warmup_cosine
from lejepa_core.settings import PretrainSettings
from lejepa_core.training_state import Log, restore, training_state
from lejepa_core.training_state import State as State
from lejepa_core.views import ViewSettings, make_views


class DivergedError(LejepaError):
    """The loss is no number any more."""

    def __init__(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Say when, and which of the terms."""
        self.epoch, self.step, self.terms = epoch, step, terms
        what = ", ".join(f"{name} = {value}" for name, value in terms.items())
        super().__init__(f"the loss was not finite by step {step} (epoch {epoch}): {what}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochResult:
    """What one epoch gave."""

    epoch: int
    """Epochs done, from 1."""
    step: int
    """Steps done."""
    metrics: dict[str, float]
    """`loss_metrics` of the means over the epoch's steps, train/learning_rate of the last, and, for images with labels,
    online/top1: how well an `OnlineProbe` told the images of each step before it learned them."""
    losses: list[float]
    """The total loss of each step."""
    seconds: float
    """Wall time of the epoch."""
    state: Callable[[], State]
    """Everything that a later call needs to go on from here, as tensors and numbers; for `resume`."""


def pretrain(
    settings: PretrainSettings,
    data: ImageDataset,
    encoder: Encoder,
    *,
    train: Tensor,
    resume: State | None = None,
    checkpoint: Callable[[Callable[[], State]], None] | None = None,
    micro_batch: int | None = None,
) -> Iterator[EpochResult]:
    """Pretrain an encoder in place, one epoch per item.

    Weights, data order, augmentations and slices depend on (seed, epoch, step, sample), never on λ or on how many
    processes share the batch, so W processes of a group compute what one computes. Stochastic layers draw from
    torch's global generator, which is seeded at each step. With `weight_average` the encoder holds the averaged
    weights, and those that the optimiser changes are in the state alone.

    Args:
        settings: The trial.
        data: The images.
        encoder: From `build_encoder`, on the device to train on.
        train: int64 (N,), indices of the images to train on.
        resume: A state of an earlier call; training goes on behind its step, exactly as if never interrupted.
        checkpoint: Called after each step but the last of an epoch, with what gives the state at this moment: to be
            called at once, or not at all.
        micro_batch: Images of this rank that the backbone sees at a time, at most, see `backward_in_parts`: the same
            training up to rounding, in 1.3 times the time of a step. None = all at once.

    Yields:
        One result per epoch.

    Raises:
        SettingError: If the batch is larger than the data or smaller than two images per process, or if several
            processes were to train an architecture with dropout or stochastic depth, or if micro-batches came with
            such a one or with one that has BatchNorm, or if the loss comes from a package that is not installed.
        DivergedError: If the loss became NaN or infinite.
    """
    steps = steps_per_epoch(settings, len(train))
    _refuse_chance(encoder)
    if micro_batch is not None:
        check_micro_batches(encoder.backbone, settings.architecture)
    learner = Learner(settings, encoder, micro_batch)
    probe = _online_probe(settings, data, encoder)
    modules, optimiser, device = learner.modules, learner.optimiser, learner.device
    first = restore(modules, optimiser, probe, resume) if resume else 0
    with probe.watching(encoder) if probe else nullcontext():
        for epoch in range(first, settings.epochs):
            log = Log(device, resume if resume and epoch == first else None)
            batches = epoch_batches(settings, train, epoch)[log.steps :]
            fetched = data.batches([batch.numpy() for batch in batches], pinned=device.type == "cuda")
            for batch, (images, sizes) in zip(batches, fetched, strict=True):
                step = epoch * steps + log.steps
                rate = learning_rate(settings, step, steps * settings.epochs)
                views = _views(settings, data, encoder, images, sizes, batch, epoch)
                terms = learner.step(views, step=step, rate=rate)
                if probe:
                    probe.learn(batch)
                if broken := log.add(terms, last=log.steps + 1 == steps):
                    raise DivergedError(epoch + 1, step + 1, _named(settings, broken))
                if checkpoint and log.steps < steps:
                    checkpoint(lambda done=epoch, log=log: training_state(modules, optimiser, probe, done, log))  # type: ignore[misc]
            if epoch + 1 == settings.epochs and not all(bool(p.isfinite().all()) for p in learner.model.parameters()):
                raise DivergedError(epoch + 1, (epoch + 1) * steps, {"weights": math.nan})
            metrics = loss_metrics(settings, log.means()) | (probe.end_epoch() if probe else {})
            yield EpochResult(
                epoch=epoch + 1,
                step=(epoch + 1) * steps,
                metrics={**metrics, "train/learning_rate": rate},
                losses=log.losses(),
                seconds=log.seconds(),
                state=lambda done=epoch + 1: training_state(modules, optimiser, probe, done),  # type: ignore[misc]
            )


def loss_metrics(settings: PretrainSettings, terms: Sequence[float]) -> dict[str, float]:
    """What is logged of the loss; the names depend on the settings alone.

    Args:
        settings: The trial.
        terms: Total, prediction and regulariser, neither of these two multiplied by its weight; of another objective
            what stands in their place.

    Returns:
        train/loss, train/prediction and train/sigreg, which is the other term whichever it is; and for SIGReg itself
        train/sigreg_share, 0 at its floor and 1 at total collapse, unless the batch is too small for such a scale.
    """
    metrics = dict(zip(("train/loss", "train/prediction", "train/sigreg"), terms, strict=True))
    if settings.objective != LEJEPA or settings.regularizer != SIGREG:
        return metrics
    reading = sigreg_reading(terms[2], samples=settings.batch_size, knots=settings.knots, t_max=settings.t_max)
    return {**metrics, "train/sigreg_share": reading.share} if reading.ceiling > reading.floor else metrics


def steps_per_epoch(settings: PretrainSettings, images: int) -> int:
    """Full batches in an epoch; the rest of a shuffled epoch is left out.

    Raises:
        SettingError: If not even one batch fills.
    """
    if settings.batch_size > images:
        raise SettingError(
            f"batch size {settings.batch_size} came, at most the {images} training images was wanted: "
            "lower --batch-size"
        )
    if settings.batch_size < 2 * world_size():
        raise SettingError(f"batch size {settings.batch_size} gives {world_size()} workers less than 2 images each")
    return images // settings.batch_size


def learning_rate(settings: PretrainSettings, step: int, steps: int) -> float:
    """Linear warm-up to the peak, then a cosine to a thousandth of it."""
    return warmup_cosine(settings.learning_rate, step, steps, warmup=settings.warmup)


def view_settings(settings: PretrainSettings, data: ImageDataset) -> ViewSettings:
    """The augmentations of a trial on a data set."""
    views = ViewSettings(
        views_global=settings.views_global,
        views_local=settings.views_local,
        global_size=settings.image_size,
        local_size=settings.local_size,
        global_scale=settings.global_scale,
        local_scale=settings.local_scale,
        flip=0.5 if data.flip else 0.0,
        mean=data.mean,
        std=data.std,
    )
    return views if data.photographic else replace(views, jitter=0.0, grey=0.0, blur=0.0, solarise=0.0)


def _online_probe(settings: PretrainSettings, data: ImageDataset, encoder: Encoder) -> OnlineProbe | None:
    if data.labels is None:
        return None
    return OnlineProbe(encoder, data.labels, views=settings.views_global, batch_size=settings.batch_size)


def _named(settings: PretrainSettings, terms: list[float]) -> dict[str, float]:
    names = ("total", "prediction", regularizer_label(settings.regularizer, settings.objective).lower())
    return dict(zip(names, terms, strict=True))


def _refuse_chance(encoder: Encoder) -> None:
    """Dropout draws per process: with several, they would no longer compute what one does."""
    if world_size() > 1 and any(draws_at_random(module) for module in encoder.modules()):
        raise SettingError("an architecture with dropout or stochastic depth came; it takes one worker per trial")


def epoch_batches(settings: PretrainSettings, train: Tensor, epoch: int) -> list[Tensor]:
    """This rank's share of each batch of an epoch.

    Args:
        settings: The trial.
        train: int64 (N,), indices of the images to train on.
        epoch: Epochs done before.

    Returns:
        Indices of images, one tensor for each step.
    """
    steps = steps_per_epoch(settings, len(train))
    generator = torch.Generator().manual_seed(derive_seed("order", settings.seed, epoch))
    order = train[torch.randperm(len(train), generator=generator)]
    batches = order[: steps * settings.batch_size].view(steps, -1)
    return [batch.tensor_split(world_size())[rank()] for batch in batches]


def _views(
    settings: PretrainSettings,
    data: ImageDataset,
    encoder: Encoder,
    images: Tensor,
    sizes: Tensor,
    batch: Tensor,
    epoch: int,
) -> list[Tensor]:
    """The views of a batch, made on the device of the encoder."""
    parameter = next(encoder.parameters())
    return make_views(
        images.to(parameter.device, non_blocking=True),
        sizes.to(parameter.device, non_blocking=True),
        batch.to(parameter.device),
        view_settings(settings, data),
        seed=settings.seed,
        epoch=epoch,
        dtype=parameter.dtype,
    )
