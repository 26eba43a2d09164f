import numpy as np
import pandas as pd
import pytest

from dashboards.statistics.images import align, read_correct
from dashboards.statistics.regret import make_grid
from lejepa_platform.errors import StudyError


def keep(study, key, index, linear, label):
    (study / "trials" / key).mkdir(parents=True)
    np.savez_compressed(
        study / "trials" / key / "predictions.npz",
        index=index,
        label=label,
        linear=linear,
        knn=np.zeros(len(index), int),
    )


@pytest.fixture
def study(tmp_path):
    keep(tmp_path, "k1", [7, 3, 5], linear=[1, 2, 9], label=[1, 2, 0])
    keep(tmp_path, "k2", [3, 5, 8], linear=[0, 0, 1], label=[2, 0, 1])
    keep(tmp_path, "k3", [1, 2], linear=[1, 1], label=[1, 0])
    return tmp_path


DATASETS = {"k1": "digits", "k2": "digits", "k3": "patches", "gone": "digits"}


def test_trials_of_a_data_set_are_cut_to_common_images_in_one_order(study):
    found = read_correct(study, DATASETS)
    assert found["k1"].to_dict() == {3: True, 5: False}
    assert found["k2"].to_dict() == {3: False, 5: True}
    assert found["k3"].to_dict() == {1: True, 2: False}
    assert set(found) == {"k1", "k2", "k3"}


def test_the_other_probe_and_no_probe(study):
    assert read_correct(study, DATASETS, "knn")["k3"].to_dict() == {1: False, 2: True}
    with pytest.raises(StudyError, match=r"unknown probe 'svm'.*linear, knn"):
        read_correct(study, DATASETS, "svm")


def test_a_broken_file_is_a_trial_without_predictions(study):
    (study / "trials" / "k2" / "predictions.npz").write_bytes(b"PK\x03\x04 cut off")
    assert set(read_correct(study, DATASETS)) == {"k1", "k3"}


def test_scores_lie_where_the_grid_has_the_trial(study):
    points = pd.DataFrame({
        "architecture": ["vit", "vit"], "dataset": ["digits", "digits"], "lambda": [0.1, 0.2], "seed": [4, 5],
        "val": 0.5, "test": 0.5, "floor": 0.1, "key": ["k1", "k2"],
    })  # fmt: skip
    scores = align(make_grid(points), points, read_correct(study, DATASETS)).scores["digits"]
    assert scores.shape == (1, 2, 2, 2)
    np.testing.assert_array_equal(scores[0, 0, 0], [1, 0])
    np.testing.assert_array_equal(scores[0, 1, 1], [0, 1])
    assert np.isnan(scores[0, 0, 1]).all() and np.isnan(scores[0, 1, 0]).all()
