"""Protocol `paper`: the linear probe of LeJEPA's tables, on the last two layers of the frozen backbone.

LayerNorm and a linear layer on concatenated features, AdamW with weight decay 1e-6, linear warm-up and cosine: README
of the reference, whose own code has a LayerNorm with weights. Learning rate and epoch, of which it says nothing, are
chosen on the validation split; one head for each rate, all trained at once on the same batches of cached features.
"""

# N samples, F features, C classes
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from lejepa_core.evaluation.choosing import Best, epochs_for, shuffled_batches
from lejepa_core.evaluation.embedding import look_at
from lejepa_core.evaluation.labelled import labelled, probe_seed
from lejepa_core.evaluation.layers import last_layers, layers_used
from lejepa_core.evaluation.probes import Labels
from lejepa_core.evaluation.protocol import Measured, Subject
from lejepa_core.schedule import warmup_cosine

LEARNING_RATES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WEIGHT_DECAY: Final = 1e-6
WARMUP: Final = 0.1
BATCH_SIZE: Final = 256
STEPS: Final = 2000
MOST_EPOCHS: Final = 100
"""Epochs are as many as make `STEPS`, but at least 5 and at most these."""


def measure_paper(subject: Subject) -> Measured:
    """Probe the last two layers, with the labels that the other probes learn from.

    Returns:
        test/paper_top1 and val/paper_top1; what was chosen, probe/paper_learning_rate and probe/paper_epoch; and
        probe/paper_layers, which is 1 for networks of which timm gives only the last. Array `predictions`, of the test
        images.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    images = labelled(subject, per_class=subject.data.probe_per_class)
    device = next(subject.encoder.parameters()).device
    x = {name: _features(subject, indices).to(device) for name, indices in images.splits.items()}
    y = {name: torch.from_numpy(labels).to(device) for name, labels in images.labels.items()}
    best, head = _best_head(x, y, classes=len(subject.data.classes), seed=probe_seed(subject, "paper"))
    with torch.no_grad():
        predictions = head(x["test"]).argmax(1)
    rate, epoch = best.setting
    return Measured(
        metrics={
            "test/paper_top1": float((predictions == y["test"]).double().mean()),
            "val/paper_top1": best.top1,
            "probe/paper_learning_rate": rate,
            "probe/paper_epoch": epoch,
            "probe/paper_layers": layers_used(subject.encoder),
        },
        arrays={"predictions": predictions.cpu().numpy()},
    )


def _features(subject: Subject, indices: Labels) -> Tensor:
    look = partial(last_layers, subject.encoder)
    features = look_at(look, subject.encoder, subject.data, indices, subject.settings.image_size)
    # Nothing can be learned from tensors of the inference mode itself.
    return features.float().clone()


def _best_head(x: dict[str, Tensor], y: dict[str, Tensor], *, classes: int, seed: int) -> tuple[Best, nn.Module]:
    """Train a head for each learning rate; gives the best with its weights."""
    heads = [_head(x["train"].shape[1], classes).to(x["train"].device) for _ in LEARNING_RATES]
    optimiser = torch.optim.AdamW([{"params": head.parameters()} for head in heads], lr=0.0, weight_decay=WEIGHT_DECAY)
    count, best = len(x["train"]), Best()
    epochs = epochs_for(count, batch_size=BATCH_SIZE, steps=STEPS, most=MOST_EPOCHS)
    steps, step = epochs * max(1, count // BATCH_SIZE), 0
    for epoch in range(epochs):
        for batch in shuffled_batches(count, BATCH_SIZE, seed, epoch):
            _learn(
                heads,
                optimiser,
                x["train"][batch],
                y["train"][batch],
                share=warmup_cosine(1.0, step, steps, warmup=WARMUP),
            )
            step += 1
        for head, rate in zip(heads, LEARNING_RATES, strict=True):
            with torch.no_grad():
                best.offer(head, head(x["val"]), y["val"], (rate, epoch + 1))
    best.load(heads[0])
    return best, heads[0]


def _head(features: int, classes: int) -> nn.Module:
    linear = nn.utils.skip_init(nn.Linear, features, classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.LayerNorm(features), linear)


def _learn(
    heads: list[nn.Module], optimiser: torch.optim.Optimizer, x_NF: Tensor, y_N: Tensor, *, share: float
) -> None:
    for group, rate in zip(optimiser.param_groups, LEARNING_RATES, strict=True):
        group["lr"] = rate * share
    optimiser.zero_grad(set_to_none=True)
    torch.stack([nn.functional.cross_entropy(head(x_NF), y_N) for head in heads]).sum().backward()
    optimiser.step()
