"""What the one trial function leaves in a result, run as it is on small images."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ranks import run_on_ranks
from toys import stripes_study, stripes_task, write_folder

from lejepa_core.datasets import load_dataset
from lejepa_core.encoder import build_encoder
from lejepa_core.methods import METHODS, Objective, objective_form
from lejepa_core.settings import Regularizer
from lejepa_platform.child import _attempt
from lejepa_platform.config import TrialConfig
from lejepa_platform.environment import environment
from lejepa_platform.model_card import model_card
from lejepa_platform.trial import load_trial_data, run_trial

FIGURES = {
    "objective/samples": 16, "objective/dims": 8,
    "objective/views": 3, "objective/knots": 9, "objective/slices": 24, "objective/ranks": 1,
}  # fmt: skip
EXPLODING = {"learning_rate": 1e30, "warmup": 0.0, "epochs": 2}


def outcome_and_metrics(folder: Path, **changes: Any) -> tuple[str, dict[str, float | None]]:
    task = stripes_task(folder, **changes)
    run_trial(task)
    result = task.ledger.result()
    assert result is not None
    return result["outcome"], result["metrics"]


def test_a_result_holds_the_figures_of_its_objective(tmp_path: Path) -> None:
    _, metrics = outcome_and_metrics(tmp_path)
    assert {name: value for name, value in metrics.items() if name.startswith("objective/")} == FIGURES


def test_a_diverged_trial_holds_the_figures_of_its_objective(tmp_path: Path) -> None:
    outcome, metrics = outcome_and_metrics(tmp_path, **EXPLODING)
    assert outcome == "diverged"
    assert {name: value for name, value in metrics.items() if name.startswith("objective/")} == FIGURES


def test_samples_are_of_all_ranks_and_ranks_those_that_trained(tmp_path: Path) -> None:
    (metrics, other) = run_on_ranks("trial", 2, tmp_path)
    assert (metrics["objective/samples"], metrics["objective/ranks"]) == (16, 2)
    assert other is None


@pytest.mark.slow
def test_ranks_wait_for_floors_longer_than_for_each_other(tmp_path: Path) -> None:
    source = f"folder:{write_folder(tmp_path / 'stripes', per_class=20)}"
    data = load_dataset(source, image_size=32, cache_dir=tmp_path / "cache")
    task = replace(stripes_task(tmp_path, data_fingerprint=data.fingerprint), labelled=True)
    (tmp_path / "task").write_text(task.to_json())
    metrics, other = run_on_ranks("floors", 2, tmp_path, "task", "5")
    assert metrics["floor/random_init_linear_top1"] > metrics["floor/chance"]
    assert other is None


def test_the_environment_says_which_weights_of_the_hub_a_trial_began_from(tmp_path: Path) -> None:
    task = stripes_task(tmp_path)
    config = TrialConfig.from_flat(task.config)
    encoder, data = build_encoder(config), load_trial_data(task, config)
    begun = replace(config, pretrained=True, weights_revision="1" * 40)
    assert environment(task, begun, encoder, data)["weights_revision"] == "1" * 40
    assert environment(task, config, encoder, data)["weights_revision"] == ""


def test_the_last_epochs_share_is_in_the_result(tmp_path: Path) -> None:
    task = stripes_task(tmp_path, epochs=2)
    result = run_trial(task)
    assert result is not None
    assert result.metrics["train/sigreg_share"] == task.ledger.history()[-1]["train/sigreg_share"]


@pytest.mark.parametrize("objective", ["vicreg", "simclr"])
def test_a_comparator_is_a_trial_like_any_other(tmp_path: Path, objective: Objective) -> None:
    _, task = stripes_study(tmp_path, objective=objective, lambda_=0.5, projector_hidden=16)
    result = task.ledger.result()
    assert result is not None and result["outcome"] == "ok"
    assert result["config"]["objective"] == objective
    figures = {name for name in FIGURES if name not in ("objective/knots", "objective/slices")}
    metrics = result["metrics"]
    assert {name for name in metrics if name.startswith("objective/")} == figures
    assert "train/sigreg_share" not in metrics
    prediction, other = metrics["train/prediction"], metrics["train/sigreg"]
    weighed = (prediction + other) / 2 if objective == "vicreg" else prediction + other
    assert metrics["train/loss"] == pytest.approx(weighed, rel=1e-5)
    noted = task.ledger.environment()
    assert (noted["kernels"], noted["versions"]["lightly"]) == ("eager", version("lightly"))
    title = {"vicreg": "VICReg", "simclr": "SimCLR"}[objective]
    card = model_card(result, {}, {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}, {})
    assert f"with {title}, λ = 0.5" in card
    assert f"the loss `{objective_form(result['config'])}` ([arXiv {METHODS[objective].arxiv}]" in card


@pytest.mark.parametrize(
    ("regularizer", "cleared"),
    [
        ("epps-pulley", {"train/loss", "train/prediction", "train/sigreg", "train/sigreg_share"}),
        ("watson", {"train/loss", "train/prediction", "train/sigreg"}),
    ],
)
def test_divergence_clears_the_terms_of_the_loss(tmp_path: Path, regularizer: Regularizer, cleared: set[str]) -> None:
    outcome, metrics = outcome_and_metrics(tmp_path, regularizer=regularizer, **EXPLODING)
    assert outcome == "diverged"
    assert {name for name, value in metrics.items() if value is None} == cleared


def test_a_streamed_file_that_cannot_be_read_ends_the_trial_as_an_error_with_its_name(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / "stripes" / split, per_class=20)
    broken = tmp_path / "stripes" / "val" / "stripes_1" / "3.png"
    broken.write_bytes(broken.read_bytes()[:-600])
    source, cache = f"folder:{tmp_path / 'stripes'}", tmp_path / "cache"
    data = load_dataset(source, image_size=32, cache_dir=cache, labelled=False, stream="always")
    task = stripes_task(tmp_path / "decoded", data_fingerprint=data.fingerprint)
    task = replace(task, source=source, cache=str(cache), streams={data.name: "always"})
    answer = _attempt(run_trial, task)
    assert answer["outcome"] == "error"
    assert answer["reason"].startswith("DataError: folder:stripes: val/stripes_1/3.png cannot be read (")
    assert len(task.ledger.history()) == 1, "training itself met no damage"
