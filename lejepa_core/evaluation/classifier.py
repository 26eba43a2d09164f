"""Training a backbone with labels: what fine-tuning and the supervised reference have in common."""

# N samples, F features, C classes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.evaluation.choosing import Best, shuffled_batches
from lejepa_core.evaluation.embedding import look_at
from lejepa_core.evaluation.labelled import Labelled
from lejepa_core.evaluation.probes import Labels
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.learner import parameter_groups
from lejepa_core.pretrain import view_settings
from lejepa_core.schedule import warmup_cosine
from lejepa_core.settings import PretrainSettings
from lejepa_core.views import make_views

WARMUP: Final = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How a classifier is trained: AdamW, linear warm-up, cosine to a thousandth."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Classified:
    """What a classifier was worth at the epoch that validation prefers."""

    val_top1: float
    test_top1: float
    test_predictions: Labels
    epoch: int


class Classifier(nn.Module):
    """A backbone with a linear head, which begins at zero."""

    def __init__(self, encoder: Encoder, classes: int) -> None:
        """Put a head on an encoder's backbone."""
        super().__init__()
        parameter = next(encoder.parameters())
        self.encoder = encoder
        self.head = nn.Linear(encoder.features, classes, device=parameter.device, dtype=parameter.dtype)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, S, S)."""
        logits: Tensor = self.head(self.encoder.embed(images))
        return logits


def train_classifier(
    subject: Subject, images: Labelled, schedule: Schedule, *, weights: Mapping[str, Tensor] | None, seed: int
) -> Classified:
    """Train a backbone and a head on one augmented view of each image per epoch.

    Args:
        subject: Gives images, augmentations, architecture, device and, by the seed of its pretraining, initial weights.
        images: To learn from, choose on and report.
        schedule: How.
        weights: State of an encoder to begin from; None for its initial weights.
        seed: Of order and augmentations.
    """
    device = next(subject.encoder.parameters()).device
    # A new one, not a copy: what several processes trained would wait for them at each BatchNorm.
    encoder = build_encoder(replace(subject.settings, pretrained=False)).to(device)
    if weights is not None:
        encoder.load_state_dict(dict(weights))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        classifier = Classifier(encoder, len(subject.data.classes))
        best = _train(classifier, subject, images, schedule, seed)
    best.load(classifier)
    predictions = _logits(classifier, subject, images.splits["test"]).argmax(1).numpy()
    return Classified(
        val_top1=best.top1,
        test_top1=float((predictions == images.labels["test"]).mean()),
        test_predictions=predictions,
        epoch=best.setting[1],
    )


def _train(classifier: Classifier, subject: Subject, images: Labelled, schedule: Schedule, seed: int) -> Best:
    head = {"params": list(classifier.head.parameters()), "weight_decay": schedule.weight_decay}
    optimiser = torch.optim.AdamW([*parameter_groups(classifier.encoder, schedule.weight_decay), head], lr=0.0)
    count, best = len(images.splits["train"]), Best()
    steps, step = schedule.epochs * max(1, count // schedule.batch_size), 0
    for epoch in range(schedule.epochs):
        classifier.train()
        batches = list(shuffled_batches(count, schedule.batch_size, seed, epoch))
        fetched = subject.data.batches([images.splits["train"][batch.numpy()] for batch in batches])
        for batch, (pixels, sizes) in zip(batches, fetched, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = warmup_cosine(schedule.learning_rate, step, steps, warmup=WARMUP)
            indices, labels = (torch.from_numpy(of["train"][batch.numpy()]) for of in (images.splits, images.labels))
            view = _view(subject.settings, subject.data, classifier, pixels, sizes, indices, seed=seed, epoch=epoch)
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(classifier(view), labels.to(view.device)).backward()
            optimiser.step()
            step += 1
        labels = torch.from_numpy(images.labels["val"])
        best.offer(
            classifier, _logits(classifier, subject, images.splits["val"]), labels, (schedule.learning_rate, epoch + 1)
        )
    return best


def _view(
    settings: PretrainSettings,
    data: ImageDataset,
    classifier: Classifier,
    pixels: Tensor,
    sizes: Tensor,
    indices: Tensor,
    *,
    seed: int,
    epoch: int,
) -> Tensor:
    """One global view of each image, as pretraining makes them."""
    parameter = classifier.head.weight
    one = replace(view_settings(settings, data), views_global=1, views_local=0)
    pixels, sizes, indices = (tensor.to(parameter.device) for tensor in (pixels, sizes, indices))
    return make_views(pixels, sizes, indices, one, seed=seed, epoch=epoch, dtype=parameter.dtype)[0][0]


def _logits(classifier: Classifier, subject: Subject, indices: np.ndarray) -> Tensor:
    classifier.eval()
    return look_at(classifier, classifier.encoder, subject.data, indices, subject.settings.image_size)
