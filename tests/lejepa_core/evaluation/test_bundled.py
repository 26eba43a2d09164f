"""Probes of real encoders on the bundled sets: the figures of scikit-learn, and chance with shuffled labels."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lejepa_core.datasets import load_dataset
from lejepa_core.encoder import build_encoder
from lejepa_core.evaluation.evaluate import evaluate
from lejepa_core.evaluation.labelled import Features, Labelled, embed_splits, labelled
from lejepa_core.evaluation.probes import NEIGHBOURS, REGULARISATION, TEMPERATURE
from lejepa_core.evaluation.projection import measure_projection
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.evaluation.shuffled import measure_shuffled
from lejepa_core.pretrain import pretrain
from lejepa_core.settings import PretrainSettings

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=2e-3, weight_decay=1e-2, epochs=1, batch_size=64,
    image_size=32, views_global=2, views_local=0, projector_hidden=32, projector_dim=16, slices=32,
)  # fmt: skip
BUNDLED = pytest.mark.parametrize("name", ["digits", pytest.param("patches", marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory):
    """By name: a bundled set and an encoder that was pretrained on it for a few steps."""

    @cache
    def subject(name: str) -> Subject:
        data = load_dataset(name, image_size=32, cache_dir=tmp_path_factory.mktemp(name))
        encoder, train = build_encoder(SETTINGS), torch.from_numpy(data.splits["train"])
        some = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:512]]
        list(pretrain(SETTINGS, data, encoder, train=some))
        return Subject(encoder=encoder.eval(), data=data, settings=SETTINGS, train=data.splits["train"])

    return subject


def by_scikit_learn(features: Features, images: Labelled) -> dict[str, tuple[float, float]]:
    """Validation and test accuracy of pipelines of scikit-learn alone."""
    x, y = {name: values.double().numpy() for name, values in features.items()}, images.labels
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = PredefinedSplit([-1] * len(y["train"]) + [0] * len(y["val"]))
    search = GridSearchCV(pipeline, {"logisticregression__C": REGULARISATION}, cv=folds, refit=False)
    search.fit(np.concatenate([x["train"], x["val"]]), np.concatenate([y["train"], y["val"]]))
    linear = pipeline.set_params(**search.best_params_).fit(x["train"], y["train"])
    unit = {name: values / np.linalg.norm(values, axis=1, keepdims=True) for name, values in x.items()}
    # For unit vectors the squared distance is 2 - 2 cosine.
    neighbours = KNeighborsClassifier(NEIGHBOURS, weights=lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE))
    neighbours.fit(unit["train"], y["train"])
    return {
        "linear": (search.best_score_, linear.score(x["test"], y["test"])),
        "knn": (neighbours.score(unit["val"], y["val"]), neighbours.score(unit["test"], y["test"])),
    }


@BUNDLED
def test_probes_of_embeddings_are_within_a_point_of_scikit_learn(subjects, name: str) -> None:
    subject = subjects(name)
    images = labelled(subject, per_class=subject.data.probe_per_class)
    found = evaluate(subject.encoder, subject.data, image_size=32, train=subject.train).metrics()
    for probe, (val, test) in by_scikit_learn(embed_splits(subject, images.splits), images).items():
        assert found[f"val/{probe}_top1"] == pytest.approx(val, abs=0.01)
        assert found[f"test/{probe}_top1"] == pytest.approx(test, abs=0.01)


@BUNDLED
def test_probes_of_projections_are_within_a_point_of_scikit_learn(subjects, name: str) -> None:
    subject = subjects(name)
    images = labelled(subject, per_class=subject.data.probe_per_class)
    with torch.no_grad():
        embeddings = embed_splits(subject, images.splits)
        features = {split: subject.encoder.projector(x.clone()) for split, x in embeddings.items()}
    found = measure_projection(subject).metrics
    for probe, (val, test) in by_scikit_learn(features, images).items():
        assert found[f"val/projection_{probe}_top1"] == pytest.approx(val, abs=0.01)
        assert found[f"test/projection_{probe}_top1"] == pytest.approx(test, abs=0.01)


@BUNDLED
def test_shuffled_labels_stay_at_chance(subjects, name: str) -> None:
    subject = subjects(name)
    found, chance = measure_shuffled(subject).metrics, 1 / len(subject.data.classes)
    for probe in ("linear", "knn"):
        error = found[f"check/shuffled_{probe}_error"]
        assert 0 < error < 0.01
        assert found[f"check/shuffled_{probe}_top1"] == pytest.approx(chance, abs=3 * error)
