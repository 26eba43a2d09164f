"""A linear layer on the backbone: its output is the embedding, and goes with the backbone wherever that goes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import TRIAL

from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.export import export_backbone

NAMES = ("vit_nano_p8", "resnet10t_w32", "convnext_mini_p1")


def encoder_of(name: str) -> Encoder:
    settings = replace(TRIAL, architecture=name, image_size=32, local_size=32, embedding_dim=24, projector_hidden=16,
                       projector_dim=4)  # fmt: skip
    return build_encoder(settings).eval()


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_embeddings_are_a_linear_function_of_what_the_backbone_had(name: str) -> None:
    encoder = encoder_of(name)
    backbone = encoder.backbone
    before = backbone.forward_head(backbone.forward_features(images()), pre_logits=True)
    head = backbone.get_classifier()
    expected = before.double() @ head.weight.double().T + head.bias.double()
    torch.testing.assert_close(encoder.embed(images()).double(), expected, rtol=1e-4, atol=1e-5)
    assert encoder.features == 24
    assert encoder.projector[0].in_features == 24


@pytest.mark.parametrize("name", NAMES)
def test_plain_timm_loads_it_with_the_backbone(name: str, tmp_path: Path) -> None:
    # Compares embeddings by itself, and raises if they differ.
    export_backbone(encoder_of(name).backbone, tmp_path, size=32, mean=(0.5,) * 3, std=(0.2,) * 3, pretrained=False)
    assert (tmp_path / "model.safetensors").exists()
