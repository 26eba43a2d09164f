"""Asynchronous successive halving: who passes a rung, and that what was decided stays so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import TRIAL

from lejepa_platform.rungs import Rung, rung_epochs


def rung(folder: Path, **changes: str) -> Rung:
    return Rung.of(folder, "label_free", replace(TRIAL, **changes), 3)


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, []), (2, [1]), (3, [1]), (8, [1, 3]), (9, [1, 3]), (30, [4, 12]), (100, [12, 36])]
)
def test_rungs_are_a_ninth_and_a_third_of_the_epochs_and_none_is_the_last(epochs: int, rungs: list[int]) -> None:
    assert rung_epochs(epochs) == rungs


def test_of_many_trials_the_third_that_is_best_so_far_passes(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).permutation(60) / 60
    here = rung(tmp_path)
    for count, score in enumerate(scores, start=1):
        place = 1 + int((scores[: count - 1] > score).sum())
        assert here.decide(f"{count}", float(score)) is (place > max(1, count // 3))


def test_as_good_as_the_last_to_pass_passes(tmp_path: Path) -> None:
    assert [rung(tmp_path).decide(key, 0.5) for key in "abcd"] == [False] * 4


def test_a_decision_stays_whatever_comes_later(tmp_path: Path) -> None:
    here = rung(tmp_path)
    assert not here.decide("first", 0.1)
    for n in range(9):
        here.decide(f"later-{n}", 0.9)
    assert here.decided("first") == (0.1, False)


def test_a_trial_that_was_interrupted_before_its_decision_is_no_rival_of_itself(tmp_path: Path) -> None:
    here = rung(tmp_path)
    here.decide("first", 0.9)
    (here.folder / "first.json").write_text('{"score": 0.9, "stopped": null}')
    assert here.decided("first") is None
    assert not here.decide("first", 0.1)


@pytest.mark.parametrize("other", [{"architecture": "vit_nano_p8"}, {"data_fingerprint": "f" * 16}])
def test_trials_of_other_cells_are_no_rivals(tmp_path: Path, other: dict[str, str]) -> None:
    rung(tmp_path).decide("rival", 0.9)
    assert not rung(tmp_path, **other).decide("first", 0.1)
