"""Protocol `projection`: the probes on projections, where the loss is taken, in place of embeddings."""

from lejepa_core.evaluation.labelled import embed_splits, labelled
from lejepa_core.evaluation.probes import linear_and_knn
from lejepa_core.evaluation.protocol import Measured, Subject


def measure_projection(subject: Subject) -> Measured:
    """Probe projections as `evaluate` probes embeddings: the same images, labels and settings to choose from.

    BatchNorm uses its running averages, so that an image's projection does not depend on the others.

    Returns:
        test/projection_linear_top1, test/projection_knn_top1 and the same on val; test predictions as arrays `linear`
        and `knn`.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    images = labelled(subject, per_class=subject.data.probe_per_class)
    probes = linear_and_knn(embed_splits(subject, images.splits, projected=True), images.labels)
    test = {f"test/projection_{name}_top1": probe.test_top1 for name, probe in probes.items()}
    val = {f"val/projection_{name}_top1": probe.val_top1 for name, probe in probes.items()}
    return Measured(metrics={**test, **val}, arrays={name: probe.test_predictions for name, probe in probes.items()})
