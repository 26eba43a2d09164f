"""Protocol `shuffled`: the probes with labels that tell nothing, which have to stay at chance.

One permutation says little: images of a kind are taken for the same wrong class together. So there are several, and
the standard error is that of their mean, which is right however strongly predictions hang together. Where the training
labels are balanced, a prediction is each class with equal probability over permutations, and chance is exactly 1/C.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from lejepa_core.evaluation.labelled import embed_splits, labelled, probe_seed
from lejepa_core.evaluation.probes import Labels, Probe, linear_and_knn
from lejepa_core.evaluation.protocol import Measured, Subject

PERMUTATIONS: Final = 32
"""With fewer, the standard error is itself so uncertain that three of it are often passed by luck."""
LABELS_PER_CLASS: Final = 20
"""Most train images per class: labels that tell nothing are slow to fit, and more of them tell no more."""


def measure_shuffled(subject: Subject) -> Measured:
    """Probe with permuted labels of train and validation images, against the true ones of test images.

    Returns:
        check/shuffled_linear_top1 and check/shuffled_knn_top1, means over permutations; and, with `_error` in place of
        `_top1`, the standard error of each. Arrays `linear` and `knn`: test accuracy of each permutation.

    Raises:
        DataError: If there are no labels, or too few classes.
    """
    limit = min(subject.data.probe_per_class or LABELS_PER_CLASS, LABELS_PER_CLASS)
    images = labelled(subject, per_class=limit)
    embeddings = embed_splits(subject, images.splits)
    found: list[dict[str, Probe]] = []
    for permutation in range(PERMUTATIONS):
        rng = np.random.default_rng(probe_seed(subject, "shuffled", permutation))
        found.append(linear_and_knn(embeddings, _shuffled(images.labels, rng)))
    arrays = {name: np.array([probes[name].test_top1 for probes in found]) for name in ("linear", "knn")}
    means = {f"check/shuffled_{name}_top1": float(top1.mean()) for name, top1 in arrays.items()}
    errors = {
        f"check/shuffled_{name}_error": float(top1.std(ddof=1) / np.sqrt(PERMUTATIONS)) for name, top1 in arrays.items()
    }
    return Measured(metrics={**means, **errors}, arrays=arrays)


def _shuffled(labels: Mapping[str, Labels], rng: np.random.Generator) -> dict[str, Labels]:
    # The choice of a probe's setting must not see the truth either.
    return {**labels, "train": rng.permutation(labels["train"]), "val": rng.permutation(labels["val"])}
