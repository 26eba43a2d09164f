"""An interruption between two steps of an epoch leaves no trace; nor do processes or batches in the views."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import run_on_ranks
from resuming import SETTINGS, interrupted_and_whole, views_seen
from toys import stripes

from lejepa_core.encoder import build_encoder
from lejepa_core.pretrain import pretrain

EPOCH = 1
"""The one that is looked at, from 0."""


def assert_same_bits(one: dict[str, Any], other: dict[str, Any], *, epochs: int) -> None:
    assert other["losses"] == one["losses"][-epochs:]
    assert other["metrics"] == one["metrics"][-epochs:]
    assert one["weights"].keys() == other["weights"].keys()
    assert all(torch.equal(value, other["weights"][name]) for name, value in one["weights"].items())


# An epoch has 4 steps, and a checkpoint after each but the last.
@pytest.mark.parametrize(("checkpoints", "epochs", "steps"), [(1, 0, 1), (3, 0, 3), (5, 1, 2)])
def test_interrupted_within_an_epoch_is_the_same_as_never(
    tmp_path: Path, checkpoints: int, epochs: int, steps: int
) -> None:
    found = interrupted_and_whole(stripes(tmp_path), tmp_path / "interrupted.pt", checkpoints)
    assert (found["epochs"], found["steps"]) == (epochs, steps)
    assert_same_bits(found["whole"], found["resumed"], epochs=2 - epochs)


def test_two_processes_on_streamed_images_go_on_from_the_state_of_the_first(tmp_path: Path) -> None:
    for found in run_on_ranks("resumed", 2, tmp_path, "2"):
        assert (found["epochs"], found["steps"]) == (0, 2)
        assert_same_bits(found["whole"], found["resumed"], epochs=2)


def test_a_state_from_before_there_were_states_within_epochs_goes_on(tmp_path: Path) -> None:
    data = stripes(tmp_path)
    train = torch.from_numpy(data.splits["train"])
    first = pretrain(SETTINGS, data, build_encoder(SETTINGS), train=train)
    state = next(first).state()
    old = copy.deepcopy({name: state[name] for name in ("epoch", "model", "optimiser")})
    second = list(pretrain(SETTINGS, data, build_encoder(SETTINGS), train=train, resume=old))
    assert [epoch.losses for epoch in second] == [epoch.losses for epoch in first]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An epoch of one process with batches of 64."""
    found = views_seen(tmp_path_factory.mktemp("whole"), EPOCH)
    assert [len(batch) for batch in found["images"]] == [64, 64, 64]
    return found


def assert_same_views(found: dict[str, Any], wanted: dict[str, Any], part: slice, steps: slice) -> None:
    """Draws to the bit, pixels to 1e-5; `part` are the samples of each batch that were looked at."""
    assert [b.tolist() for b in found["images"]] == [b[part].tolist() for b in wanted["images"][steps]]
    for mine, theirs in zip(found["draws"], wanted["draws"][2 * steps.start :], strict=True):
        assert all(torch.equal(value, theirs[name][:, part]) for name, value in mine.items())
    for mine, theirs in zip(found["views"], wanted["views"][steps], strict=True):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other[:, part], atol=1e-5, rtol=0)


def test_two_processes_of_32_see_what_one_of_64_sees(tmp_path: Path, whole: dict[str, Any]) -> None:
    parts = run_on_ranks("views", 2, tmp_path, str(EPOCH))
    for found, part in zip(parts, (slice(0, 32), slice(32, 64)), strict=True):
        assert_same_views(found, whole, part, slice(0, None))


def test_after_a_resume_within_an_epoch_the_rest_is_seen(tmp_path: Path, whole: dict[str, Any]) -> None:
    assert_same_views(views_seen(tmp_path, EPOCH, done=1), whole, slice(None), slice(1, None))
