"""Few-shot draws, and what an encoder is said to be worth on other images, against scikit-learn."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toys import stripes

from lejepa_core.encoder import build_encoder
from lejepa_core.errors import DataError
from lejepa_core.evaluation.probes import REGULARISATION
from lejepa_core.evaluation.transfer import DRAWS, SHOTS, few_shot, measure_transfer
from lejepa_core.settings import PretrainSettings
from lejepa_core.views import plain_view

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=0.0, image_size=32, local_size=32,
    views_local=0, projector_hidden=16, projector_dim=8,
)  # fmt: skip
LABELS = np.repeat([0, 1, 2, 7], [40, 3, 60, 12])
"""Classes of unequal size, one of which is missing in between."""


def drawn(shots: int, *, fingerprint: str = "f00d", draw: int = 0) -> list[int]:
    return few_shot(LABELS, shots, fingerprint=fingerprint, draw=draw).tolist()


@pytest.mark.parametrize("shots", SHOTS)
def test_a_draw_takes_so_many_of_each_class_or_all_there_are(shots: int) -> None:
    counts = Counter(LABELS[drawn(shots)].tolist())
    assert counts == {label: min(shots, size) for label, size in Counter(LABELS.tolist()).items()}


def test_a_larger_set_contains_the_smaller_one() -> None:
    for draw in range(DRAWS):
        sets = [set(drawn(shots, draw=draw)) for shots in SHOTS]
        assert all(small < large for small, large in pairwise(sets))


def test_a_draw_is_a_function_of_the_images_and_its_number() -> None:
    assert drawn(5) == drawn(5)
    assert len({tuple(drawn(5, draw=draw)) for draw in range(DRAWS)}) == DRAWS
    assert drawn(5) != drawn(5, fingerprint="beef")


def test_every_image_is_as_likely_as_the_others_of_its_class() -> None:
    times = 600
    counts = Counter(i for draw in range(times) for i in drawn(10, draw=draw) if LABELS[i] == 0)
    # Each of the 40 is taken with probability 1/4; 5 standard deviations.
    assert len(counts) == 40
    assert all(abs(n - times / 4) < 5 * np.sqrt(times * 3 / 16) for n in counts.values())


def test_few_labels_are_probed_as_scikit_learn_would(tmp_path: Path) -> None:
    data, encoder = stripes(tmp_path, classes=4, per_class=24), build_encoder(SETTINGS).eval()
    found = measure_transfer(encoder, data, image_size=32)
    images = plain_view(*data.batch(np.arange(len(data))), size=32, mean=data.mean, std=data.std)
    with torch.inference_mode():
        x = encoder.backbone(images).numpy()
    labels, splits = data.labels, data.splits
    accuracies = []
    for draw in range(DRAWS):
        positions = few_shot(labels[splits["train"]], 5, fingerprint=data.fingerprint, draw=draw)
        train = splits["train"][positions]
        models = [
            make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000)).fit(x[train], labels[train])
            for c in REGULARISATION
        ]
        best = max(models, key=lambda model: model.score(x[splits["val"]], labels[splits["val"]]))
        accuracies.append(best.score(x[splits["test"]], labels[splits["test"]]))
    assert found.draws["linear_top1_at_5"] == pytest.approx(accuracies, abs=1 / len(splits["test"]) + 1e-9)
    assert found.metrics["linear_top1_at_5"] == np.mean(found.draws["linear_top1_at_5"])


def test_more_shots_than_there_are_images_are_all_of_them(tmp_path: Path) -> None:
    found = measure_transfer(build_encoder(SETTINGS), stripes(tmp_path, per_class=20), image_size=32)
    for probe in ("linear_top1", "knn_top1"):
        assert found.draws[f"{probe}_at_100"] == found.draws[probe]
        assert [len(found.draws[f"{probe}_at_{shots}"]) for shots in SHOTS] == [DRAWS] * 4 + [1]


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    data = replace(stripes(tmp_path, per_class=20), labels=None)
    with pytest.raises(DataError, match="name another data set"):
        measure_transfer(build_encoder(SETTINGS), data, image_size=32)
