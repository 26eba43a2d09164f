"""Probes of frozen embeddings: a linear one and weighted k-NN, their settings chosen on the validation split."""

# N samples, F features
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lejepa_core.datasets import ImageDataset

Labels = NDArray[np.int64]
REGULARISATION: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths C that the linear probe chooses from on the validation split."""
NEIGHBOURS: Final = 20
TEMPERATURE: Final = 0.07
"""Of the weighted k-NN probe (Wu et al., arXiv 1805.01978)."""
_CHUNK: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One probe's answer."""

    val_top1: float
    test_top1: float
    test_predictions: Labels
    chosen: float
    """The setting chosen on the validation split."""


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


def linear_and_knn(features: Mapping[str, Tensor], labels: Mapping[str, Labels]) -> dict[str, Probe]:
    """Both probes, "linear" and "knn".

    Args:
        features: (N, F) for each of "train", "val" and "test".
        labels: (N,) for each.
    """
    arrays = {name: x.float().numpy() for name, x in features.items()}
    return {"linear": linear_probe(arrays, labels), "knn": knn_probe(features, labels)}


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
        model = LogisticRegression(C=c, max_iter=400, tol=1e-4)
        with warnings.catch_warnings():
            # Weak regularisation may need more steps than it is worth; validation judges what came out.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # One label per class is what scikit-learn takes for a regression.
            warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
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
