"""The probe beside the training: what it says, and that the encoder never hears of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import run_on_ranks
from resuming import SETTINGS
from torch import nn
from toys import stripes

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import build_encoder
from lejepa_core.pretrain import epoch_batches, pretrain


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return stripes(tmp_path_factory.mktemp("stripes"))


def train(data: ImageDataset, **changes: Any) -> dict[str, Any]:
    """Epochs, weights, torch's generator and what the backbone gave for global views, of a whole training."""
    settings, seen = replace(SETTINGS, **changes), []
    encoder = build_encoder(settings)
    encoder.backbone.register_forward_hook(lambda _, __, x: seen.append(x.detach().clone()))
    epochs = list(pretrain(settings, data, encoder, train=torch.from_numpy(data.splits["train"])))
    return {
        "epochs": epochs,
        "weights": encoder.state_dict(),
        "generator": torch.get_rng_state(),
        "seen": seen[::2],
        "hooks": len(encoder.projector._forward_pre_hooks),
    }


def test_the_encoder_is_the_same_with_and_without_labels_bit_for_bit(data: ImageDataset) -> None:
    with_labels, without = train(data), train(replace(data, labels=None))
    assert [epoch.losses for epoch in with_labels["epochs"]] == [epoch.losses for epoch in without["epochs"]]
    assert all(torch.equal(value, without["weights"][name]) for name, value in with_labels["weights"].items())
    assert torch.equal(with_labels["generator"], without["generator"])
    assert with_labels["hooks"] == 0
    assert "online/top1" not in without["epochs"][-1].metrics


def judged_before_learned(seen: list[torch.Tensor], labels: Iterator[torch.Tensor]) -> list[float]:
    """Accuracies of a head of torch's modules, which keeps to the reference's recipe."""
    head = nn.Sequential(nn.LayerNorm(seen[0].shape[1]), nn.Linear(seen[0].shape[1], 3))
    nn.init.zeros_(head[1].weight)
    nn.init.zeros_(head[1].bias)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-7)
    found = []
    for x, y in zip(seen, labels, strict=True):
        logits = head(x)
        found.append(float((logits.argmax(1) == y).double().mean()))
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, y).backward()
        optimiser.step()
    return found


def test_it_is_a_linear_head_that_judges_each_batch_before_it_learns_it(data: ImageDataset) -> None:
    found = train(data, epochs=6)
    indices = torch.from_numpy(data.splits["train"])
    batches = [batch for epoch in range(6) for batch in epoch_batches(SETTINGS, indices, epoch)]
    labels = (torch.from_numpy(data.labels[batch.numpy()]).repeat(2) for batch in batches)
    wanted = torch.tensor(judged_before_learned(found["seen"], labels)).view(6, -1).mean(1)
    top1 = [epoch.metrics["online/top1"] for epoch in found["epochs"]]
    assert top1 == pytest.approx(wanted.tolist(), abs=1e-6)
    assert top1[-1] > top1[0]


def test_two_processes_say_what_one_does_in_float64(tmp_path: Path) -> None:
    one = run_on_ranks("pretrain", 1, tmp_path, "resnet10t_w32", "float64", "18")[0]["online"]
    assert len(set(one.tolist())) > 1
    for part in run_on_ranks("pretrain", 2, tmp_path, "resnet10t_w32", "float64", "18"):
        torch.testing.assert_close(part["online"], one, rtol=0, atol=1e-12)


def test_a_state_goes_on_with_images_that_have_no_labels(data: ImageDataset) -> None:
    first = next(pretrain(SETTINGS, data, build_encoder(SETTINGS), train=torch.from_numpy(data.splits["train"])))
    bare = replace(data, labels=None)
    rest = pretrain(
        SETTINGS, bare, build_encoder(SETTINGS), train=torch.from_numpy(data.splits["train"]), resume=first.state()
    )
    assert [epoch.epoch for epoch in rest] == [2]
