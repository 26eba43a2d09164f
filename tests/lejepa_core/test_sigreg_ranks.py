"""SIGReg on real gloo processes that hold unequal parts of the batch, against one process that holds all of it."""

from pathlib import Path

import pytest
import torch
from ranks import compiled_case, run_on_ranks, sigreg_bits, sigreg_case
from torch import Tensor

Found = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    return run_on_ranks("sigreg", 2, tmp_path_factory.mktemp("ranks"), "5,11")


def assert_near(name: str, found: Tensor, expected: Tensor) -> None:
    rtol = 1e-6 if name.startswith("float32") else 1e-10
    assert found.shape == expected.shape, name
    assert (found - expected).norm() <= rtol * expected.norm(), name


def assert_as_in_one_process(parts: list[Found], counts: str) -> None:
    sizes, whole = [int(n) for n in counts.split(",")], sigreg_case(0, 1, counts)
    del whole["bits"]
    assert len(whole) == 6
    for name, expected in whole.items():
        for part in parts:
            for what in ("terms", "gradient", "statistic"):
                assert_near(f"{name} {what}", part[name][what], expected[what])
        slopes = [part[name]["sample gradient"] for part in parts]
        assert [slope.shape[2] for slope in slopes] == sizes
        # Every rank's loss is the whole batch's, so a sample's gradient is that of their sum.
        assert_near(f"{name} sample gradient", torch.cat(slopes, 2) / len(sizes), expected["sample gradient"])


def test_two_unequal_ranks_give_the_loss_and_gradients_of_the_whole_batch(two_ranks: list[Found]) -> None:
    assert_as_in_one_process(two_ranks, "5,11")


def test_three_unequal_ranks_give_the_loss_and_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    assert_as_in_one_process(run_on_ranks("sigreg", 3, tmp_path, "4,7,9"), "4,7,9")


def test_a_rank_without_samples_gets_the_loss_and_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    assert_as_in_one_process(run_on_ranks("sigreg", 2, tmp_path, "0,9"), "0,9")


@pytest.mark.parametrize("built", ["before", "after"])
def test_a_compiled_step_has_the_loss_and_gradient_of_the_whole_batch(tmp_path: Path, built: str) -> None:
    whole = compiled_case(0, 1, "5,11", built)
    for part in run_on_ranks("compiled", 2, tmp_path, "5,11", built):
        assert_near("float32 value", part["value"], whole["value"])
        assert_near("float32 gradient", part["gradient"], whole["gradient"])


def test_another_process_finds_the_same_bits(two_ranks: list[Found]) -> None:
    here = sigreg_bits()
    for part in two_ranks:
        assert part["bits"].keys() == here.keys()
        for name, bits in here.items():
            assert torch.equal(part["bits"][name], bits), name
