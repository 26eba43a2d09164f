"""What protocols with labels have in common: the images that they learn from and are judged on, and their seed."""

# N samples, F features
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lejepa_core.errors import DataError
from lejepa_core.evaluation.embedding import embed
from lejepa_core.evaluation.probes import Labels, few_per_class
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.random import derive_seed

Features = Mapping[str, Float[Tensor, "n f"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Images with labels, for each of "train", "val" and "test"."""

    splits: Mapping[str, Labels]
    """Indices of the images."""
    labels: Mapping[str, Labels]
    """Their classes."""


def labelled(subject: Subject, *, per_class: int | None) -> Labelled:
    """The images that a protocol learns from, chooses on and reports.

    Args:
        subject: Whose training images they are.
        per_class: Train images per class, None for all that pretraining saw.

    Raises:
        DataError: If the images have no labels, or the training images fewer than two classes.
    """
    data = subject.data
    if data.labels is None:
        raise DataError(f"{data.name} has no labels, this protocol learns from labels; leave it out")
    if len(classes := np.unique(data.labels[subject.train])) < 2:
        raise DataError(
            f"the {len(subject.train)} training images of {data.name} are of {len(classes)} class, two or more were "
            "wanted; raise --limit-train"
        )
    train = few_per_class(subject.train, data.labels[subject.train], per_class)
    splits = {"train": train, "val": data.splits["val"], "test": data.splits["test"]}
    return Labelled(splits=splits, labels={name: data.labels[indices] for name, indices in splits.items()})


def embed_splits(subject: Subject, splits: Mapping[str, Labels], *, projected: bool = False) -> Features:
    """Embeddings, or projections, of each split."""
    size = subject.settings.image_size
    return {
        name: embed(subject.encoder, subject.data, indices, size, projected=projected)
        for name, indices in splits.items()
    }


def probe_seed(subject: Subject, protocol: str, *parts: int) -> int:
    """A seed that belongs to a protocol and a data set, never to the training: all trials draw alike."""
    return derive_seed("probe", protocol, subject.data.fingerprint, *parts)
