"""Encoders of finished trials on other data sets: measured from what is stored, and never by training again."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faults
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toys import TRIAL, stripes_task, write_folder

from lejepa_core.architectures import ARCHITECTURES
from lejepa_core.datasets import ImageDataset, load_dataset
from lejepa_core.errors import DataError
from lejepa_core.evaluation.probes import NEIGHBOURS, REGULARISATION, TEMPERATURE
from lejepa_core.views import plain_view
from lejepa_platform.config import TrialConfig
from lejepa_platform.executors import Child, Placement
from lejepa_platform.ledger import StudyLedger, TransferResult, TrialLedger
from lejepa_platform.run import run_task
from lejepa_platform.task import TrialTask
from lejepa_platform.transfer import load_encoder
from lejepa_platform.trial import run_trial

SIZE = 16


def load(source: str, folder: Path) -> ImageDataset:
    return load_dataset(source, image_size=SIZE, cache_dir=folder / "cache")


def begin(folder: Path, *sources: str) -> TrialTask:
    """An attempt at a short trial on patches, to be evaluated on other sets."""
    own = load("patches", folder)
    config = replace(
        TRIAL, dataset="patches", data_fingerprint=own.fingerprint, epochs=1, batch_size=32, image_size=SIZE,
        local_size=SIZE, views_global=2, views_local=0, projector_hidden=16, projector_dim=8, slices=16,
        limit_train=128,
    )  # fmt: skip
    study = StudyLedger(folder / "study")
    others = {data.name: (data.fingerprint, source) for source in sources if (data := load(source, folder))}
    return TrialTask(
        config=config.flat(), study=str(study.path), attempt=study.trial(config.key).begin(config).attempt,
        source="patches", cache=str(folder / "cache"), evaluate_on={n: f for n, (f, _) in others.items()},
        target_sources={n: s for n, (_, s) in others.items()},
    )  # fmt: skip


def files(ledger: TrialLedger) -> dict[str, int]:
    """When each file of a trial was written, but for those that an attempt and an evaluation write."""
    return {p.name: p.stat().st_mtime_ns for p in ledger.path.iterdir()
            if p.name not in ("attempt.json", "transfer.json")}  # fmt: skip


def without_seconds(transfer: dict[str, Any]) -> dict[str, Any]:
    return {name: {**entry, "seconds": 0} for name, entry in transfer.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a finished trial on patches that was evaluated on digits."""
    folder = tmp_path_factory.mktemp("transfer")
    run_task(begin(folder, "digits"))
    return folder


@pytest.fixture
def stripes(folder: Path) -> Iterator[str]:
    """Another data set; what is measured on it is forgotten afterwards."""
    ledger = begin(folder).ledger
    before = ledger.transfer()
    yield f"folder:{write_folder(folder / 'stripes', per_class=20)}"
    begin(folder).ledger.forget_measured()
    for name, entry in before.items():
        begin(folder).ledger.write_transfer(name, TransferResult(**entry))


def by_hand(folder: Path, ledger: TrialLedger) -> dict[str, float]:
    """Test accuracies on digits: timm's own model with the stored weights, probed by scikit-learn."""
    data, spec = load("digits", folder), ARCHITECTURES["resnet10t_w32"]
    backbone = timm.create_model(spec.timm_name, num_classes=0, **spec.options).eval()
    backbone.load_state_dict(load_file(ledger.path / "encoder.safetensors"))
    images = plain_view(*data.batch(np.arange(len(data))), size=SIZE, mean=data.mean, std=data.std)
    with torch.inference_mode():
        x = backbone(images).numpy().astype(np.float64)
    assert data.labels is not None
    parts = {name: (x[indices], data.labels[indices]) for name, indices in data.splits.items()}
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)) for c in REGULARISATION]
    best = max(models, key=lambda model: model.fit(*parts["train"]).score(*parts["val"]))
    weights = lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE)  # noqa: E731
    unit = {name: (v / np.linalg.norm(v, axis=1, keepdims=True), y) for name, (v, y) in parts.items()}
    knn = KNeighborsClassifier(NEIGHBOURS, weights=weights).fit(*unit["train"])
    return {"linear_top1": best.score(*parts["test"]), "knn_top1": knn.score(*unit["test"])}


def test_accuracies_are_what_scikit_learn_gets_from_the_stored_backbone(folder: Path) -> None:
    ledger = begin(folder).ledger
    entry = ledger.transfer()["digits"]
    expected = by_hand(folder, ledger)
    assert entry["outcome"] == "ok"
    assert {name: entry["metrics"][name] for name in expected} == pytest.approx(expected, abs=0.005)
    assert entry["metrics"]["floor/chance"] == pytest.approx(0.1, abs=0.02)
    assert (
        0.2 < entry["metrics"]["floor/random_init_linear_top1_at_1"] < entry["metrics"]["floor/random_init_linear_top1"]
    )


def test_a_set_that_is_added_later_is_evaluated_without_training(folder: Path, stripes: str) -> None:
    task = begin(folder, "digits", stripes)
    before, held = files(task.ledger), task.ledger.transfer()
    assert not task.done
    assert run_task(task) is None
    assert task.done
    assert files(task.ledger) == before
    assert task.ledger.transfer().keys() == {"digits", "folder:stripes"}
    assert task.ledger.transfer()["digits"] == held["digits"]


def test_what_was_lost_is_measured_again_and_the_same(folder: Path, stripes: str) -> None:
    run_task(begin(folder, stripes))
    task = begin(folder, stripes)
    before, held = files(task.ledger), task.ledger.transfer()["folder:stripes"]
    task.ledger.forget_measured()
    run_task(task)
    assert files(task.ledger) == before
    assert without_seconds(task.ledger.transfer()) == without_seconds({"folder:stripes": held})


def test_the_set_that_a_trial_was_pretrained_on_is_no_other_set(folder: Path) -> None:
    assert begin(folder, "digits", "patches").done


def test_a_set_that_fails_says_why_and_the_others_are_measured(folder: Path, stripes: str) -> None:
    task = begin(folder, stripes)
    task = replace(task, evaluate_on={"gone": "f" * 16, **task.evaluate_on},
                   target_sources={"gone": "digits", **task.target_sources})  # fmt: skip
    with pytest.raises(DataError, match="the images of gone have changed"):
        run_task(task)
    held = task.ledger.transfer()
    assert (held["gone"]["outcome"], held["folder:stripes"]["outcome"]) == ("error", "ok")
    assert "have changed" in held["gone"]["reason"]
    task.ledger.forget_failures()
    assert list(task.ledger.lacks(task.wanted).evaluate_on) == ["gone"]
    assert task.ledger.finished()


def test_a_damaged_encoder_is_named(folder: Path, tmp_path: Path) -> None:
    task = begin(folder, "digits")
    trials = tmp_path / "study" / "trials" / task.ledger.key
    trials.mkdir(parents=True)
    for name in ("attempt.json", "result.json"):
        (trials / name).write_bytes((task.ledger.path / name).read_bytes())
    (trials / "encoder.safetensors").write_bytes(b"none")
    with pytest.raises(DataError, match="remove the trial's folder to train it again"):
        run_task(replace(task, study=str(tmp_path / "study")))


def test_an_encoder_with_tied_weights_is_kept_and_loaded_and_still_refused_when_others_lack(tmp_path: Path) -> None:
    task = stripes_task(tmp_path, architecture="coat_lite_tiny", family="coat")
    run_trial(task)
    config, path = TrialConfig.from_flat(task.config), task.ledger.path / "encoder.safetensors"
    weights, state = load_file(path), load_encoder(task.ledger, config).backbone.state_dict()
    assert len(weights) < len(state)
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    save_file({name: tensor for name, tensor in weights.items() if name != min(weights)}, path)
    with pytest.raises(DataError, match="missing or damaged"):
        load_encoder(task.ledger, config)


def test_an_encoder_that_began_with_weights_of_the_hub_is_loaded_without_the_hub(folder: Path) -> None:
    # resnet10t_w32 has no weights there: asking for them would be refused.
    task = begin(folder)
    config = replace(TrialConfig.from_flat(task.config), pretrained=True)
    encoder = load_encoder(task.ledger, config)
    for part, file in ((encoder.backbone, "encoder"), (encoder.projector, "projector")):
        held, found = load_file(task.ledger.path / f"{file}.safetensors"), part.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in held.items())


@pytest.mark.parametrize(("seed", "outcome"), [(faults.KILLED, "oom"), (faults.HUNG, "timeout")])
def test_a_process_that_dies_while_evaluating_costs_the_evaluation_and_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, outcome: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(faults.__file__).parent), prepend=":")
    child = Child(Placement(executor="inline", time_limit=12, trial_function="faults:after_training"))
    tasks = []
    for number in (seed, faults.OK):
        config = replace(TRIAL, seed=number)
        attempt = StudyLedger(tmp_path).trial(config.key).begin(config).attempt
        tasks.append(TrialTask(config=config.flat(), study=str(tmp_path), attempt=attempt, source="digits",
                               cache="none", evaluate_on={"patches": "a" * 16}))  # fmt: skip
    assert child.run(tasks[0]) == "ok"
    assert tasks[0].done
    assert tasks[0].ledger.transfer()["patches"]["outcome"] == outcome
    assert child.run(tasks[1]) == "ok"
    child.stop()


def test_one_label_per_class_of_many_is_no_reason_to_warn(tmp_path: Path) -> None:
    images = write_folder(tmp_path / "many", classes=24, per_class=8, size=(SIZE, SIZE))
    task = begin(tmp_path, f"folder:{images}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run_task(task)
    (entry,) = task.ledger.transfer().values()
    assert entry["outcome"] == "ok" and entry["seconds"] > 0
