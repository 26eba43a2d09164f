"""Micro-batches and bfloat16 from the command line: a study with each beside one without."""

import json
from pathlib import Path
from typing import Any

import pytest
from studies import results, run
from toys import write_folder

pytestmark = pytest.mark.slow
SHORT = ["--architectures", "vit_nano_p8", "--lambdas", "0.05", "--epochs", "1", "--views-local", "0"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images") / "stripes")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, images: Path) -> dict[str, Any]:
    storage = tmp_path_factory.mktemp("plain") / "studies"
    run(storage, images, *SHORT)
    ((key, result),) = results(storage).items()
    return {"key": key, **result}


def test_micro_batches_change_neither_key_nor_result(tmp_path: Path, images: Path, plain: dict[str, Any]) -> None:
    run(tmp_path / "studies", images, *SHORT, "--micro-batch", "6")
    ((key, result),) = results(tmp_path / "studies").items()
    assert (key, result["outcome"], result["config"]) == (plain["key"], plain["outcome"], plain["config"])
    assert result["metrics"] == pytest.approx(plain["metrics"], rel=1e-3)
    environment = json.loads((tmp_path / "studies" / "s" / "trials" / key / "environment.json").read_text())
    assert environment["micro_batch"] == 6


def test_bfloat16_is_another_trial_that_ends_well(tmp_path: Path, images: Path, plain: dict[str, Any]) -> None:
    run(tmp_path / "studies", images, *SHORT, "--precision", "bfloat16")
    ((key, result),) = results(tmp_path / "studies").items()
    assert key != plain["key"]
    assert (result["outcome"], result["config"]["precision"]) == ("ok", "bfloat16")
    assert result["metrics"]["train/loss"] == pytest.approx(plain["metrics"]["train/loss"], rel=0.05)
