"""Averaged weights and the predictor: closed forms, exact resume, and one process against two."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranks import run_on_ranks
from resuming import SETTINGS, interrupted_and_whole
from toys import stripes

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import build_encoder
from lejepa_core.pretrain import State, pretrain

AVERAGED = replace(SETTINGS, weight_average=0.9, predictor_depth=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return stripes(tmp_path_factory.mktemp("stripes"))


def assert_same_bits(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name, value in wanted.items() if not torch.equal(found[name], value)] == []


def test_the_encoder_holds_the_exponential_average_of_the_weights_after_each_step(data: ImageDataset) -> None:
    settings = replace(AVERAGED, precision="float64")
    encoder, train = build_encoder(settings), torch.from_numpy(data.splits["train"])
    name = "backbone.conv1.0.weight"
    first, steps = encoder.state_dict()[name].numpy().copy(), []

    def keep(state: State) -> None:
        steps.append(state["model"][name].numpy().copy())

    for epoch in pretrain(settings, data, encoder, train=train, checkpoint=lambda state: keep(state())):
        keep(epoch.state())
    count = len(steps)
    shares = [0.9**count, *(0.1 * 0.9 ** (count - 1 - step) for step in range(count))]
    wanted = sum(share * weights for share, weights in zip(shares, [first, *steps], strict=True))
    assert sum(shares) == pytest.approx(1)
    np.testing.assert_allclose(encoder.state_dict()[name].numpy(), wanted, rtol=1e-10, atol=1e-14)
    assert not np.allclose(wanted, steps[-1], rtol=1e-3)


def test_batchnorm_of_the_averaged_encoder_is_of_its_own_activations_on_global_views(data: ImageDataset) -> None:
    # With such a decay it stays what it was, so that a plain encoder can be shown what it has seen.
    settings = replace(SETTINGS, weight_average=1 - 1e-15, precision="float64", epochs=1)
    encoder, train = build_encoder(settings), torch.from_numpy(data.splits["train"])
    seen: list[torch.Tensor] = []
    hook = encoder.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].clone()))
    (epoch,) = pretrain(settings, data, encoder, train=train)
    hook.remove()
    wanted = build_encoder(settings).train()
    # In each step the averaged encoder on the global views, then the trained one on these and on the local ones.
    assert [x.shape[-1] for x in seen[:6]] == [32, 32, 16, 32, 32, 16]
    for images in seen[::3]:
        wanted.project(wanted.embed(images), settings.batch_size)
    for name, value in wanted.named_buffers():
        torch.testing.assert_close(dict(encoder.named_buffers())[name], value, rtol=1e-9, atol=1e-12)
    trained = epoch.state()["model"]
    assert not torch.allclose(trained["backbone.bn1.running_mean"], wanted.state_dict()["backbone.bn1.running_mean"])


@pytest.mark.parametrize(("checkpoints", "epochs", "steps"), [(2, 0, 2), (5, 1, 2)])
def test_it_goes_on_from_a_state_within_an_epoch_bit_for_bit(
    data: ImageDataset, tmp_path: Path, checkpoints: int, epochs: int, steps: int
) -> None:
    found = interrupted_and_whole(data, tmp_path / "state.pt", checkpoints, settings=AVERAGED)
    assert (found["epochs"], found["steps"]) == (epochs, steps)
    assert found["resumed"]["losses"] == found["whole"]["losses"][epochs:]
    assert found["resumed"]["metrics"] == found["whole"]["metrics"][epochs:]
    assert_same_bits(found["resumed"]["weights"], found["whole"]["weights"])


def test_it_takes_micro_batches_and_goes_on_with_them(data: ImageDataset, tmp_path: Path) -> None:
    settings = replace(AVERAGED, architecture="vit_nano_p8", local_size=32)
    found = interrupted_and_whole(data, tmp_path / "state.pt", 3, settings=settings, micro_batch=6)
    assert found["resumed"]["losses"] == found["whole"]["losses"]
    assert_same_bits(found["resumed"]["weights"], found["whole"]["weights"])


def test_the_state_of_the_end_brings_the_averages_back(data: ImageDataset, tmp_path: Path) -> None:
    encoder, train = build_encoder(AVERAGED), torch.from_numpy(data.splits["train"])
    *_, last = pretrain(AVERAGED, data, encoder, train=train)
    torch.save(last.state(), tmp_path / "state.pt")
    again = build_encoder(AVERAGED)
    resume = torch.load(tmp_path / "state.pt", weights_only=True)
    assert list(pretrain(AVERAGED, data, again, train=train, resume=resume)) == []
    assert_same_bits(again.state_dict(), encoder.state_dict())


def trained(data: ImageDataset, **changes: Any) -> tuple[list[float], State]:
    settings = replace(SETTINGS, epochs=1, **changes)
    encoder, train = build_encoder(settings), torch.from_numpy(data.splits["train"])
    (epoch,) = pretrain(settings, data, encoder, train=train)
    return epoch.losses, epoch.state()


def test_neither_changes_the_first_step_of_the_encoder_but_both_change_the_training(data: ImageDataset) -> None:
    plain, state = trained(data, views_local=0)
    averaged, _ = trained(data, views_local=0, weight_average=0.9)
    predicted, learned = trained(data, views_local=0, predictor_depth=2)
    # At first the averaged weights are those of the encoder, and make the same centre of the same views.
    assert averaged[0] == pytest.approx(plain[0], rel=1e-6)
    assert averaged[-1] != plain[-1]
    assert predicted[0] != plain[0]
    assert state.keys() == {"epoch", "terms", "seconds", "model", "optimiser", "online"}
    assert any("predictor" in name for name in learned["loss"])


def test_two_processes_compute_what_one_does_in_float64(tmp_path: Path) -> None:
    arguments = ("resnet10t_w32", "float64", "18", "", "2", "0.9")
    one = run_on_ranks("pretrain", 1, tmp_path, *arguments)[0]
    for part in run_on_ranks("pretrain", 2, tmp_path, *arguments):
        torch.testing.assert_close(part["losses"], one["losses"], rtol=1e-8, atol=0)
        torch.testing.assert_close(part["weights"], one["weights"], rtol=0, atol=1e-7)
        torch.testing.assert_close(part["buffers"], one["buffers"], rtol=1e-6, atol=1e-8)
