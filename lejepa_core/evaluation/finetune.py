"""Protocol `finetune`: the whole backbone trained on with labels, not only a probe of what it has learned."""

from typing import Final

from lejepa_core.evaluation.choosing import epochs_for
from lejepa_core.evaluation.classifier import Schedule, train_classifier
from lejepa_core.evaluation.labelled import labelled, probe_seed
from lejepa_core.evaluation.protocol import Measured, Subject

BATCH_SIZE: Final = 64
LEARNING_RATE: Final = 5e-4
WEIGHT_DECAY: Final = 5e-2
STEPS: Final = 400
MOST_EPOCHS: Final = 50
"""Epochs are as many as make `STEPS`, but at least 5 and at most these."""


def measure_finetune(subject: Subject) -> Measured:
    """Fine-tune a copy of the backbone with the labels that the probes learn from; its epoch is chosen on validation.

    Returns:
        test/finetune_top1, val/finetune_top1 and probe/finetune_epoch, the epoch chosen. Array `predictions`, of the
        test images.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    images = labelled(subject, per_class=subject.data.probe_per_class)
    schedule = Schedule(
        epochs=epochs_for(len(images.splits["train"]), batch_size=BATCH_SIZE, steps=STEPS, most=MOST_EPOCHS),
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    weights, seed = subject.encoder.state_dict(), probe_seed(subject, "finetune")
    found = train_classifier(subject, images, schedule, weights=weights, seed=seed)
    return Measured(
        metrics={
            "test/finetune_top1": found.test_top1,
            "val/finetune_top1": found.val_top1,
            "probe/finetune_epoch": found.epoch,
        },
        arrays={"predictions": found.test_predictions},
    )
