"""Probes of real encoders on the bundled sets: the figures of scikit-learn, and chance with shuffled labels."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
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


TIE = 0.005
"""Validation accuracies this near, 2 of some 400 images, do not tell two strengths apart: rounding may take either."""


def by_scikit_learn(features: Features, images: Labelled) -> dict[str, tuple[float, list[float]]]:
    """Validation accuracy of pipelines of scikit-learn alone, and test accuracies of all settings that are as good."""
    x, y = {name: values.double().numpy() for name, values in features.items()}, images.labels
    pipelines = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000)) for c in REGULARISATION]
    scores = [
        (fitted.score(x["val"], y["val"]), fitted.score(x["test"], y["test"]))
        for fitted in (pipeline.fit(x["train"], y["train"]) for pipeline in pipelines)
    ]
    best = max(val for val, _ in scores)
    unit = {name: values / np.linalg.norm(values, axis=1, keepdims=True) for name, values in x.items()}
    # For unit vectors the squared distance is 2 - 2 cosine.
    neighbours = KNeighborsClassifier(NEIGHBOURS, weights=lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE))
    neighbours.fit(unit["train"], y["train"])
    return {
        "linear": (best, [test for val, test in scores if val >= best - TIE]),
        "knn": (neighbours.score(unit["val"], y["val"]), [neighbours.score(unit["test"], y["test"])]),
    }


@BUNDLED
def test_probes_of_embeddings_are_within_a_point_of_scikit_learn(subjects, name: str) -> None:
    subject = subjects(name)
    images = labelled(subject, per_class=subject.data.probe_per_class)
    found = evaluate(subject.encoder, subject.data, image_size=32, train=subject.train).metrics()
    for probe, (val, test) in by_scikit_learn(embed_splits(subject, images.splits), images).items():
        assert found[f"val/{probe}_top1"] == pytest.approx(val, abs=0.01)
        assert any(found[f"test/{probe}_top1"] == pytest.approx(one, abs=0.01) for one in test)


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
        assert any(found[f"test/projection_{probe}_top1"] == pytest.approx(one, abs=0.01) for one in test)


@BUNDLED
def test_shuffled_labels_stay_at_chance(subjects, name: str) -> None:
    subject = subjects(name)
    found, chance = measure_shuffled(subject).metrics, 1 / len(subject.data.classes)
    for probe in ("linear", "knn"):
        error = found[f"check/shuffled_{probe}_error"]
        assert 0 < error < 0.01
        assert found[f"check/shuffled_{probe}_top1"] == pytest.approx(chance, abs=3 * error)
