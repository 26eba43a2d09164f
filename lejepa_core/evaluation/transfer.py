"""What a frozen encoder is worth on images that it was not pretrained on, for many and for few labels.

Protocol: each split is embedded once; the probes of `lejepa_core.evaluation.probes` learn from so many train images
per class, their setting is chosen on the whole validation split, and the test split is reported. Few-shot draws belong
to the data set, not to the encoder: all encoders learn from the same images, so that they are compared in pairs. After
tables 2 and 3 of LeJEPA, arXiv 2511.08544.
"""

# N samples, F features
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.errors import DataError
from lejepa_core.evaluation.embedding import embed
from lejepa_core.evaluation.probes import Labels, Probe, chance, few_per_class, linear_and_knn
from lejepa_core.random import derive_seed

SHOTS: Final = (1, 2, 5, 10, 100)
"""Labelled train images per class, besides all of them."""
DRAWS: Final = 5
"""Draws of so few images that the luck of the draw matters."""
LARGEST_REPEATED: Final = 10
"""Images per class above which one draw is enough."""

Embeddings = Mapping[str, Float[Tensor, "n f"]]
Probes = dict[str, Probe]


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """Accuracies on another data set, as fractions.

    Names are `linear_top1` and `knn_top1` for all labels, `linear_top1_at_5` for five per class; with `val/` before
    them, the same on the validation split.
    """

    metrics: dict[str, float]
    """Means over draws."""
    draws: dict[str, list[float]]
    """Test accuracy of each draw; a single one where there is nothing to draw."""
    chance: float
    """Test accuracy of always naming the commonest class."""


def measure_transfer(encoder: Encoder, data: ImageDataset, *, image_size: int) -> Transfer:
    """Probe an encoder on a data set at every number of labels.

    Args:
        encoder: Left in evaluation mode.
        data: Labelled images; its `probe_per_class` is of no consequence here.
        image_size: Side of the images that the encoder sees, in pixels.

    Raises:
        DataError: If the images have no labels.
    """
    floor = chance(data)
    if data.labels is None or floor is None:
        raise DataError(f"{data.name} has no labels, and transfer is measured with them; name another data set")
    encoder.eval()
    embeddings = {name: embed(encoder, data, indices, image_size) for name, indices in data.splits.items()}
    labels = {name: data.labels[indices] for name, indices in data.splits.items()}
    metrics: dict[str, float] = {}
    draws: dict[str, list[float]] = {}
    for shots, probes in probes_by_shots(embeddings, labels, data.fingerprint, (None, *SHOTS)):
        suffix = shots_suffix(shots)
        for name in ("linear", "knn"):
            draws[f"{name}_top1{suffix}"] = test = [drawn[name].test_top1 for drawn in probes]
            metrics[f"{name}_top1{suffix}"] = float(np.mean(test))
            metrics[f"val/{name}_top1{suffix}"] = float(np.mean([drawn[name].val_top1 for drawn in probes]))
    return Transfer(metrics=metrics, draws=draws, chance=floor)


def few_shot(labels: Labels, shots: int, *, fingerprint: str, draw: int) -> Labels:
    """Draw so many images of each class, or all of a class that has fewer.

    Within a draw the larger set contains the smaller one.

    Args:
        labels: (N,) of the train images.
        shots: Images per class.
        fingerprint: Of the data set.
        draw: Number of the draw.

    Returns:
        Ascending positions in `labels`.
    """
    generator = torch.Generator().manual_seed(derive_seed("few-shot", fingerprint, draw))
    order: Labels = torch.randperm(len(labels), generator=generator).numpy()
    return few_per_class(order, labels[order], shots)


def shots_suffix(shots: int | None) -> str:
    """The end of a metric's name; None stands for all labels."""
    return "" if shots is None else f"_at_{shots}"


def probes_by_shots(
    embeddings: Embeddings, labels: Mapping[str, Labels], fingerprint: str, shots: Iterable[int | None]
) -> Iterator[tuple[int | None, list[Probes]]]:
    """Probes at several numbers of labels.

    Args:
        embeddings: Of each split.
        labels: Of each split.
        fingerprint: Of the data set, to which the draws belong.
        shots: Train images per class, None for all of them.

    Yields:
        Each number and the probes of each of its draws; those of all images where no class has more.
    """
    everything = cache(lambda: [linear_and_knn(embeddings, labels)])
    largest = int(np.bincount(labels["train"]).max())
    for count in shots:
        if count is None or count >= largest:
            yield count, everything()
            continue
        drawn = [
            few_shot(labels["train"], count, fingerprint=fingerprint, draw=draw)
            for draw in range(DRAWS if count <= LARGEST_REPEATED else 1)
        ]
        yield count, [linear_and_knn(*_only(positions, embeddings, labels)) for positions in drawn]


def _only(
    positions: Labels, embeddings: Embeddings, labels: Mapping[str, Labels]
) -> tuple[Embeddings, Mapping[str, Labels]]:
    """The same with fewer train images."""
    fewer = {**embeddings, "train": embeddings["train"][torch.from_numpy(positions)]}
    return fewer, {**labels, "train": labels["train"][positions]}
