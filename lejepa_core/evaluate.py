"""What a frozen backbone is worth: probes on its embeddings, λ-free and the same for every trial."""

# N samples, F features, C classes
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.geometry import MIN_SAMPLES, Geometry, measure_geometry
from lejepa_core.random import derive_seed
from lejepa_core.views import plain_view

Labels = NDArray[np.int64]
REGULARISATION = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths C that the linear probe chooses from on the validation split."""
NEIGHBOURS, TEMPERATURE = 20, 0.07
"""Of the weighted k-NN probe (Wu et al., arXiv 1805.01978)."""
_CHUNK = 256
_GEOMETRY_SAMPLES = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One probe's answer."""

    val_top1: float
    test_top1: float
    test_predictions: Labels
    chosen: float
    """The setting chosen on the validation split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All that is measured on a frozen encoder; the probes are None for images without classes."""

    linear: Probe | None
    knn: Probe | None
    geometry: Geometry

    def metrics(self) -> dict[str, float]:
        """Under their public names; accuracies as fractions."""
        metrics = {
            "geometry/effective_rank": self.geometry.effective_rank,
            "geometry/spread": self.geometry.spread,
        }
        for name, probe in (("linear", self.linear), ("knn", self.knn)):
            if probe is not None:
                metrics |= {f"val/{name}_top1": probe.val_top1, f"test/{name}_top1": probe.test_top1}
        if self.linear is not None:
            metrics["probe/linear_c"] = self.linear.chosen
        return metrics


def evaluate(encoder: Encoder, data: ImageDataset, *, image_size: int, train: Labels) -> Evaluation:
    """Probe an encoder's embeddings, and measure its projections on the validation split.

    Args:
        encoder: Left in evaluation mode.
        data: The images.
        image_size: Side of the images that the encoder sees, in pixels.
        train: Indices of the images that the probes learn from.
    """
    encoder.eval()
    splits = {"train": train, "val": data.splits["val"], "test": data.splits["test"]}
    held_out = _sample(splits["val"], _GEOMETRY_SAMPLES)
    with _batch_statistics(encoder) if len(held_out) >= MIN_SAMPLES else nullcontext():
        geometry = measure_geometry(embed(encoder, data, held_out, image_size, projected=True))
    if data.labels is None:
        return Evaluation(linear=None, knn=None, geometry=geometry)
    splits["train"] = few_per_class(train, data.labels[train], data.probe_per_class)
    embeddings = {name: embed(encoder, data, indices, image_size) for name, indices in splits.items()}
    labels = {name: data.labels[indices] for name, indices in splits.items()}
    return Evaluation(
        linear=linear_probe({name: x.float().numpy() for name, x in embeddings.items()}, labels),
        knn=knn_probe(embeddings, labels),
        geometry=geometry,
    )


def few_per_class(indices: Labels, labels: Labels, count: int | None) -> Labels:
    """The first so many indices of each class; all of them for None."""
    if count is None:
        return indices
    return np.sort(np.concatenate([indices[labels == label][:count] for label in np.unique(labels)]))


def chance(data: ImageDataset) -> float | None:
    """Test accuracy of always naming the class that training saw most; None for images without classes."""
    if data.labels is None:
        return None
    commonest = np.bincount(data.labels[data.splits["train"]]).argmax()
    return float((data.labels[data.splits["test"]] == commonest).mean())


def linear_probe(embeddings: Mapping[str, NDArray[np.float32]], labels: Mapping[str, Labels]) -> Probe:
    """Multinomial logistic regression on standardised embeddings, its strength chosen on the validation split.

    Args:
        embeddings: (N, F) for each of "train", "val" and "test".
        labels: (N,) for each.
    """
    scaler = StandardScaler().fit(embeddings["train"])
    x = {name: np.nan_to_num(scaler.transform(values)) for name, values in embeddings.items()}
    best: tuple[float, float, LogisticRegression] | None = None
    for c in REGULARISATION:
        model = LogisticRegression(C=c, max_iter=200, tol=1e-3)
        with warnings.catch_warnings():
            # Weak regularisation may need more steps than it is worth; validation judges what came out.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x["train"], labels["train"])
        accuracy = float(model.score(x["val"], labels["val"]))
        if best is None or accuracy > best[0]:
            best = accuracy, c, model
    assert best is not None
    predictions = best[2].predict(x["test"]).astype(np.int64)
    return Probe(
        val_top1=best[0],
        test_top1=float((predictions == labels["test"]).mean()),
        test_predictions=predictions,
        chosen=best[1],
    )


def knn_probe(embeddings: Mapping[str, Tensor], labels: Mapping[str, Labels]) -> Probe:
    """K nearest training images by cosine, voting with weight exp(cosine / temperature).

    Args:
        embeddings: (N, F) for each of "train", "val" and "test".
        labels: (N,) for each.
    """
    bank = nn.functional.normalize(embeddings["train"].double())
    classes = torch.from_numpy(labels["train"])
    k = min(NEIGHBOURS, len(bank))
    predictions = {
        name: _vote(nn.functional.normalize(embeddings[name].double()), bank, classes, k) for name in ("val", "test")
    }
    top1 = {name: float((predictions[name] == labels[name]).mean()) for name in predictions}
    return Probe(val_top1=top1["val"], test_top1=top1["test"], test_predictions=predictions["test"], chosen=float(k))


def _vote(queries: Float[Tensor, "q f"], bank: Float[Tensor, "n f"], classes: Int[Tensor, " n"], k: int) -> Labels:
    votes = []
    for chunk in queries.split(_CHUNK):
        cosine, nearest = (chunk @ bank.T).topk(k, dim=1)
        weight = torch.exp((cosine - 1) / TEMPERATURE)
        tally = torch.zeros(len(chunk), int(classes.max()) + 1, dtype=torch.float64)
        votes.append(tally.scatter_add_(1, classes[nearest], weight).argmax(1))
    predicted: Labels = torch.cat(votes).numpy()
    return predicted


def _sample(indices: Labels, count: int) -> Labels:
    """A fixed random sample in random order: indices come sorted by class, and a batch should hold all classes."""
    generator = torch.Generator().manual_seed(derive_seed("held-out"))
    order: Labels = indices[torch.randperm(len(indices), generator=generator).numpy()]
    return order[:count]


@contextmanager
def _batch_statistics(encoder: Encoder) -> Iterator[None]:
    """BatchNorm as the loss saw it: after few steps its running averages lag behind, and would look like collapse."""
    layers = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    averages = [(layer.running_mean, layer.running_var) for layer in layers]
    for layer in layers:
        # Without averages the batch's own are taken. In training mode other processes would have to take part.
        layer.running_mean = layer.running_var = None
    try:
        yield
    finally:
        for layer, (mean, variance) in zip(layers, averages, strict=True):
            layer.running_mean, layer.running_var = mean, variance


@torch.inference_mode()
def embed(encoder: Encoder, data: ImageDataset, indices: Labels, image_size: int, *, projected: bool = False) -> Tensor:
    """Embeddings, or projections, of plain images.

    Args:
        encoder: As it is: in evaluation mode, or the embeddings depend on the batch.
        data: The images.
        indices: Which of them, in which order.
        image_size: Side of the images that the encoder sees, in pixels.
        projected: Whether to return projections.

    Returns:
        (N, F) on the CPU, in the encoder's precision.
    """
    parameter = next(encoder.parameters())
    parts = []
    # Equal chunks: a last one of a single image would have no batch statistics.
    chunks = np.array_split(indices, -(-len(indices) // _CHUNK))
    for images, sizes in data.batches(chunks, pinned=parameter.is_cuda):
        view = plain_view(
            images.to(parameter.device),
            sizes.to(parameter.device),
            size=image_size,
            mean=data.mean,
            std=data.std,
        ).to(parameter.dtype)
        parts.append((encoder([view[None]])[0] if projected else encoder.embed(view)).cpu())
    return torch.cat(parts)
