"""Protocol `supervised`: the same backbone trained from scratch with labels, a line to hold pretraining against."""

from lejepa_core.architectures import OPTIMISERS, find_architecture
from lejepa_core.evaluation.classifier import Schedule, train_classifier
from lejepa_core.evaluation.labelled import labelled, probe_seed
from lejepa_core.evaluation.protocol import Measured, Subject


def measure_supervised(subject: Subject) -> Measured:
    """Train the backbone from its initial weights with the labels of all images that pretraining saw.

    Epochs, batch size, image size and augmentation are those of the pretraining, with one global view of each image;
    learning rate and weight decay are the family's own, so that nothing depends on λ or on what a study tries. The
    epoch is chosen on the validation split. A study that begins from weights of the hub has the same line.

    Returns:
        reference/supervised_top1, of the test images, reference/supervised_val_top1 and reference/supervised_epoch, the
        epoch chosen. Array `predictions`, of the test images.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    settings = subject.settings
    images = labelled(subject, per_class=None)
    family = OPTIMISERS[find_architecture(settings.architecture).group]
    schedule = Schedule(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=family.learning_rate,
        weight_decay=family.weight_decay,
    )
    seed = probe_seed(subject, "supervised", settings.seed)
    found = train_classifier(subject, images, schedule, weights=None, seed=seed)
    return Measured(
        metrics={
            "reference/supervised_top1": found.test_top1,
            "reference/supervised_val_top1": found.val_top1,
            "reference/supervised_epoch": found.epoch,
        },
        arrays={"predictions": found.test_predictions},
    )
