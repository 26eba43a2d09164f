"""The best encoders as models of MLflow, loaded as anybody would."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from toys import stripes_study
from trackers import add_trial, finish, make_store, make_study, rows, trial

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.tracking import default_uri, sync
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.models import best_trials, keep_models
from lejepa_platform.transfer import load_encoder


def scored(study: StudyLedger, config: TrialConfig, **metrics: Any) -> str:
    ledger = study.trial(config.key).begin(config)
    ledger.write_metrics(rows(1))
    finish(ledger, config, metrics=metrics)
    return config.key


def models(uri: str, study: str) -> list[Any]:
    client = connect(uri)
    experiment = client.get_experiment_by_name(study)
    return list(client.search_logged_models([experiment.experiment_id]))


@pytest.mark.parametrize("architecture", ["resnet10t_w32", "vit_mini_p4"])
def test_a_model_loads_by_its_id_and_gives_the_same_embeddings(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(tmp_path)
    uri = default_uri(tmp_path)
    study, task = stripes_study(tmp_path, architecture=architecture)
    sync(study, uri)
    assert keep_models(study, uri, 1) == 1
    assert keep_models(study, uri, 1) == 0, "the same again adds nothing"
    (kept,) = models(uri, "study")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    loaded = mlflow.pytorch.load_model(f"models:/{kept.model_id}")
    images = torch.randn(7, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    encoder = load_encoder(study.trial(task.ledger.key), TrialConfig.from_flat(task.config))
    with torch.inference_mode():
        assert torch.allclose(loaded(images), encoder.embed(images), rtol=1e-5, atol=1e-6)
    uri = f"models:/{kept.model_id}"
    info = mlflow.models.get_model_info(uri)
    assert info.signature.inputs.inputs[0].shape == (-1, 3, 32, 32)
    example = np.asarray(mlflow.models.Model.load(uri).load_input_example(uri))
    assert example.shape == (2, 3, 32, 32)
    served = mlflow.pyfunc.load_model(uri).predict(images.numpy())
    assert np.allclose(served, loaded(images).detach(), rtol=1e-5, atol=1e-6)


def test_the_best_is_told_by_validation_and_by_retrieval_without_labels(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    scored(study, trial(seed=0), **{"val/linear_top1": 0.6, "test/linear_top1": 0.9})
    best = scored(study, trial(seed=1), **{"val/linear_top1": 0.7, "test/linear_top1": 0.5})
    scored(study, trial(seed=0, architecture="vit_tiny"), **{"heldout/retrieval_top1": 0.2})
    unlabelled = scored(study, trial(seed=1, architecture="vit_tiny"), **{"heldout/retrieval_top1": 0.3})
    assert {held.key for held in best_trials(study, 1)} == {best, unlabelled}


def test_without_a_tracker_there_is_a_warning_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = make_study(tmp_path)
    add_trial(study, trial())
    scored(study, trial(seed=5), **{"val/linear_top1": 0.7})
    assert keep_models(study, "http://user:hidden@127.0.0.1:1", 1) == 0
    assert "connection refused" in caplog.text
    assert "hidden" not in caplog.text
