"""Micro-batches: the numbers of the whole batch, from any cut of it, in one process and in two; or a refusal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import run_on_ranks
from resuming import SETTINGS, interrupted_and_whole
from timm.layers import DropPath, EvoNorm2dB0
from torch import Tensor, nn
from toys import stripes

from lejepa_core.accumulation import backward_in_parts, check_micro_batches
from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.objective import LeJEPALoss, LossTerms
from lejepa_core.pretrain import pretrain
from lejepa_core.sigreg import SIGReg

SAMPLES = 12
WITHOUT_BATCHNORM = ("vit_nano_p8", "convnextv2_micro_p2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return stripes(tmp_path_factory.mktemp("stripes"))


def encoder_and_views(architecture: str) -> tuple[Encoder, list[Tensor]]:
    encoder = build_encoder(replace(SETTINGS, architecture=architecture, precision="float64", local_size=32)).train()
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(v, SAMPLES, 3, 32, 32, generator=generator, dtype=torch.float64) for v in (2, 1)]
    return encoder, views


def total(z: Tensor) -> LossTerms:
    return LeJEPALoss(0.3, sigreg=SIGReg(slices=16))(z, views_global=2, step=3)


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], atol: float) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not torch.allclose(found[name], wanted[name], rtol=0, atol=atol)] == []


def gradients(encoder: Encoder) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro_batch", [1, 5, 12, 40])
@pytest.mark.parametrize("architecture", WITHOUT_BATCHNORM)
def test_every_gradient_is_that_of_the_whole_batch(architecture: str, micro_batch: int) -> None:
    encoder, views = encoder_and_views(architecture)
    whole = total(encoder(views))
    whole.total.backward()
    wanted, statistics = gradients(encoder), {name: b.clone() for name, b in encoder.named_buffers()}
    encoder, views = encoder_and_views(architecture)
    terms = backward_in_parts(encoder, total, views, micro_batch=micro_batch, precision="float64")
    torch.testing.assert_close(torch.stack(terms), torch.stack(whole), rtol=0, atol=1e-12)
    assert max(float(g.abs().max()) for g in wanted.values()) > 1e-3
    assert_same(gradients(encoder), wanted, 1e-10)
    assert_same(dict(encoder.named_buffers()), statistics, 1e-12)


def trained(data: ImageDataset, micro_batch: int | None, **changes: Any) -> dict[str, Any]:
    settings = replace(SETTINGS, architecture="vit_nano_p8", local_size=32, **changes)
    encoder = build_encoder(settings)
    train = torch.from_numpy(data.splits["train"])
    epochs = list(pretrain(settings, data, encoder, train=train, micro_batch=micro_batch))
    return {
        "losses": torch.tensor([epoch.losses for epoch in epochs]),
        "metrics": [epoch.metrics for epoch in epochs],
        "weights": encoder.state_dict(),
    }


@pytest.mark.parametrize("changes", [{}, {"objective": "vicreg", "lambda_": 0.5, "epochs": 1}])
def test_a_training_keeps_its_losses_its_metrics_and_its_online_probe(data: ImageDataset, changes: dict) -> None:
    whole, parts = (trained(data, micro_batch, precision="float64", **changes) for micro_batch in (None, 5))
    torch.testing.assert_close(parts["losses"], whole["losses"], rtol=1e-7, atol=0)
    for found, wanted in zip(parts["metrics"], whole["metrics"], strict=True):
        assert found == pytest.approx(wanted, rel=1e-7)
        assert found["online/top1"] == pytest.approx(wanted["online/top1"], abs=1e-12)


def test_bfloat16_takes_micro_batches_too(data: ImageDataset) -> None:
    whole, parts = (trained(data, micro_batch, precision="bfloat16", epochs=1) for micro_batch in (None, 5))
    torch.testing.assert_close(parts["losses"][0, 0], whole["losses"][0, 0], rtol=2e-2, atol=0)
    torch.testing.assert_close(parts["losses"], whole["losses"], rtol=0.1, atol=0)


def test_two_processes_with_micro_batches_compute_what_one_does_without(tmp_path: Path) -> None:
    one = run_on_ranks("pretrain", 1, tmp_path, "vit_nano_p8", "float64", "18")[0]
    for part in run_on_ranks("pretrain", 2, tmp_path, "vit_nano_p8", "float64", "18", "4"):
        torch.testing.assert_close(part["losses"], one["losses"], rtol=1e-8, atol=0)
        torch.testing.assert_close(part["gradients"], one["gradients"], rtol=0, atol=1e-7)
        torch.testing.assert_close(part["buffers"], one["buffers"], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(part["online"], one["online"], rtol=0, atol=1e-12)


def test_batchnorm_is_refused_by_name(data: ImageDataset) -> None:
    encoder = build_encoder(SETTINGS)
    before = [p.clone() for p in encoder.parameters()]
    epochs = pretrain(SETTINGS, data, encoder, train=torch.from_numpy(data.splits["train"]), micro_batch=8)
    with pytest.raises(SettingError, match="resnet10t_w32, whose BatchNorm"):
        next(epochs)
    assert all(torch.equal(p, q) for p, q in zip(before, encoder.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "layer"), [("evonorm", EvoNorm2dB0(8)), ("drop path", DropPath(0.1)), ("dropout", nn.Dropout(0.1))]
)
def test_whatever_ties_images_together_or_is_left_to_chance_is_refused(name: str, layer: nn.Module) -> None:
    with pytest.raises(SettingError, match=f"--micro-batch came with {name}, whose {type(layer).__name__}"):
        check_micro_batches(nn.Sequential(nn.Conv2d(3, 8, 1), layer), name)


def test_it_goes_on_from_a_state_within_an_epoch_bit_for_bit(data: ImageDataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, architecture="vit_nano_p8", local_size=32)
    found = interrupted_and_whole(data, tmp_path / "state.pt", 3, settings=settings, micro_batch=6)
    assert found["resumed"]["losses"] == found["whole"]["losses"]
    assert_same(found["resumed"]["weights"], found["whole"]["weights"], 0)
