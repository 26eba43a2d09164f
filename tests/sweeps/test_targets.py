"""Names of data sets: which mean the same images, and which share some."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toys import STUDY

from lejepa_core.datasets import DATASETS
from lejepa_core.errors import SettingError
from sweeps.planning import DataSettings, Plan, absolute, check_distinct
from sweeps.targets import with_targets


def noted(monkeypatch: pytest.MonkeyPatch, own: str, target: str) -> list[str]:
    """Notes of a study on one set that is evaluated on another."""

    def load(source: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(name=source, fingerprint="c" * 16, skipped=())

    monkeypatch.setattr("sweeps.planning.load_dataset", load)
    config = replace(STUDY, datasets=(own,), fingerprints={own: "a" * 16})
    plan = Plan(config=config, sources={own: own}, notes=[], images={})
    data = DataSettings(cache=Path(), root=None, labelled=True)
    sources: Mapping[str, str] = {target: target}
    return with_targets(plan, sources, data).notes


@pytest.mark.parametrize(("own", "target"), [("imagenet1k", "imagenette"), ("stl10", "imagenet100")])
def test_a_target_of_the_same_collection_is_noted(monkeypatch: pytest.MonkeyPatch, own: str, target: str) -> None:
    (note,) = noted(monkeypatch, own, target)
    assert note.startswith(f"accuracy on {target} may count images that {own} was pretrained on")


@pytest.mark.parametrize("own", ["cifar10", "folder:pets"])
def test_a_target_of_another_collection_is_not(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    assert noted(monkeypatch, own, "cifar100") == noted(monkeypatch, own, "imagenette") == []


def test_collections_are_known() -> None:
    made = {name for name, spec in DATASETS.items() if spec.made_of == "imagenet"}
    assert made == {"imagenet1k", "imagenet100", "imagenet100-first", "imagenette", "imagenet10", "stl10"}


def test_an_alias_is_the_set_itself() -> None:
    assert absolute("imagenet10") == "imagenette"
    with pytest.raises(SettingError, match="imagenette and imagenet10 are the same images"):
        check_distinct(["digits", "imagenette", "imagenet10"])
