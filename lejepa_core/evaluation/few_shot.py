"""Protocol `few_shot`: probes of frozen embeddings from few labels per class, on the data set of the pretraining.

Draws are those of `lejepa_core.evaluation.transfer`: they belong to the data set, so that all encoders learn from the
same images. The setting of a probe is chosen on the whole validation split. After table 3 of LeJEPA, arXiv 2511.08544.
"""

import numpy as np

from lejepa_core.evaluation.labelled import embed_splits, labelled
from lejepa_core.evaluation.protocol import Measured, Subject
from lejepa_core.evaluation.transfer import SHOTS, probes_by_shots, shots_suffix


def measure_few_shot(subject: Subject) -> Measured:
    """Probe with 1, 2, 5, 10 and 100 labels per class; a class with fewer gives all it has.

    Returns:
        test/few_shot_linear_top1_at_5 and the like, also for knn and on val: means over draws; and as arrays the test
        accuracy of each draw, such as linear_top1_at_5.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    images = labelled(subject, per_class=None)
    embeddings = embed_splits(subject, images.splits)
    metrics, arrays = {}, {}
    for shots, draws in probes_by_shots(embeddings, images.labels, subject.data.fingerprint, SHOTS):
        for name in ("linear", "knn"):
            measure = f"{name}_top1{shots_suffix(shots)}"
            arrays[measure] = np.array([draw[name].test_top1 for draw in draws])
            metrics[f"test/few_shot_{measure}"] = float(arrays[measure].mean())
            metrics[f"val/few_shot_{measure}"] = float(np.mean([draw[name].val_top1 for draw in draws]))
    return Measured(metrics=metrics, arrays=arrays)
