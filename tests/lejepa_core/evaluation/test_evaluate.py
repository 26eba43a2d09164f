"""Probes against scikit-learn on the same embeddings, and what an evaluation must leave as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toys import stripes

from lejepa_core.encoder import build_encoder
from lejepa_core.evaluation.evaluate import evaluate
from lejepa_core.evaluation.probes import (
    NEIGHBOURS,
    REGULARISATION,
    TEMPERATURE,
    chance,
    few_per_class,
    knn_probe,
    linear_probe,
)
from lejepa_core.settings import PretrainSettings

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=0.0, image_size=32, local_size=32,
    views_local=0, projector_hidden=16, projector_dim=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    parts = dict(zip(("train", "val", "test"), np.split(order, [300, 700]), strict=True))
    pixels = bunch.data.astype(np.float32)
    return {k: pixels[i] for k, i in parts.items()}, {k: bunch.target[i].astype(np.int64) for k, i in parts.items()}


def test_linear_probe_is_the_pipeline_that_validation_prefers(digits) -> None:
    x, y = digits
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000)).fit(x["train"], y["train"])
        for c in REGULARISATION
    ]
    best = max(models, key=lambda model: model.score(x["val"], y["val"]))
    probe = linear_probe(x, y)
    assert probe.val_top1 == pytest.approx(best.score(x["val"], y["val"]), abs=0.01)
    assert probe.test_top1 == pytest.approx(best.score(x["test"], y["test"]), abs=0.01)
    assert probe.test_top1 == (probe.test_predictions == y["test"]).mean()


def test_knn_probe_is_scikit_learns_with_the_same_weights(digits) -> None:
    x, y = digits
    unit = {k: v / np.linalg.norm(v, axis=1, keepdims=True) for k, v in x.items()}
    # For unit vectors the squared distance is 2 - 2 cosine.
    weights = lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE)  # noqa: E731
    reference = KNeighborsClassifier(NEIGHBOURS, weights=weights).fit(unit["train"].astype(np.float64), y["train"])
    probe = knn_probe({k: torch.from_numpy(v) for k, v in x.items()}, y)
    agreement = (probe.test_predictions == reference.predict(unit["test"].astype(np.float64))).mean()
    assert agreement > 0.998
    assert probe.val_top1 == pytest.approx(reference.score(unit["val"].astype(np.float64), y["val"]), abs=0.005)


def test_shuffled_labels_stay_at_chance(digits) -> None:
    x, y = digits
    rng = np.random.default_rng(1)
    shuffled = {k: rng.permutation(v) for k, v in y.items()}
    error = 3 * np.sqrt(0.1 * 0.9 / len(y["test"]))
    assert linear_probe(x, shuffled).test_top1 == pytest.approx(0.1, abs=error)


def test_few_per_class_takes_so_many_of_each() -> None:
    indices, labels = np.arange(10, 20), np.array([0, 1, 0, 1, 0, 1, 2, 2, 2, 0])
    assert few_per_class(indices, labels, 2).tolist() == [10, 11, 12, 13, 16, 17]
    assert few_per_class(indices, labels, None) is indices


def test_evaluation_changes_nothing_of_the_encoder(tmp_path: Path) -> None:
    data, encoder = stripes(tmp_path), build_encoder(SETTINGS)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    first = evaluate(encoder, data, image_size=32, train=data.splits["train"])
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not encoder.training
    assert evaluate(encoder, data, image_size=32, train=data.splits["train"]).metrics() == first.metrics()
    assert chance(data) == pytest.approx(1 / 3)


@pytest.mark.parametrize("images", [1, 2, 9, 257])
def test_any_number_of_validation_images_can_be_measured(tmp_path: Path, images: int) -> None:
    data, encoder = stripes(tmp_path), build_encoder(replace(SETTINGS, architecture="resnet10t_w32"))
    splits = {**data.splits, "val": np.resize(data.splits["train"], images)}
    geometry = evaluate(encoder, replace(data, splits=splits), image_size=32, train=data.splits["train"]).geometry
    assert geometry.samples == images
    assert (geometry.collapse == "") or images > 8
