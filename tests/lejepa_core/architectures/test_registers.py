"""Register tokens: as many as were asked for, out of the way of embeddings, and a refusal where there are none."""

from dataclasses import replace

import pytest
import torch
from toys import TRIAL

from lejepa_core.architectures import ARCHITECTURES, check_registers, find_architecture
from lejepa_core.architectures.build import build_backbone
from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.evaluation.layers import last_layers

SETTINGS = replace(TRIAL, image_size=32, local_size=16, views_local=2, projector_hidden=16, projector_dim=4)
TAKING = [name for name, spec in ARCHITECTURES.items() if spec.registers and spec.parameters < 1e9]


def encoder_with(architecture: str, registers: int) -> Encoder:
    settings = replace(SETTINGS, architecture=architecture, register_tokens=registers, local_size=32)
    return build_encoder(settings).eval()


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", TAKING)
def test_whoever_takes_them_has_as_many(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(ARCHITECTURES[name], 224, registers=3)
    without = int(backbone.cls_token is not None)
    assert backbone.num_prefix_tokens == without + 3
    assert tuple(backbone.reg_token.shape)[:2] == (1, 3)
    assert "reg_token" in backbone.no_weight_decay()


@pytest.mark.parametrize("name", ["vit_nano_p8", "vit_mini_p4", "timm:vit_tiny_patch16_224"])
def test_embeddings_and_the_last_layers_are_of_class_token_or_patches_alone(name: str) -> None:
    encoder = encoder_with(name, 2)
    backbone, outputs = encoder.backbone, []
    for block in backbone.blocks[-2:]:
        block.register_forward_hook(lambda _, __, x: outputs.append(x))
    with torch.no_grad():
        embeddings = encoder.embed(images())
        tokens, with_class = [backbone.norm(x) for x in outputs], backbone.cls_token is not None
        layers = last_layers(encoder, images())
    assert tokens[-1].shape[1] == with_class + 2 + (32 // backbone.patch_embed.patch_size[0]) ** 2
    wanted = [x[:, 0] if with_class else x[:, 2:].mean(1) for x in tokens]
    torch.testing.assert_close(layers, torch.cat(wanted, 1))
    pooled = outputs[1][:, 2:].mean(1) if not with_class else tokens[1][:, 0]
    torch.testing.assert_close(embeddings, pooled if with_class else backbone.fc_norm(pooled))


def test_they_take_part_in_attention() -> None:
    encoder = encoder_with("vit_nano_p8", 2)
    with torch.no_grad():
        before = encoder.embed(images())
        encoder.backbone.reg_token += 1
        assert not torch.allclose(encoder.embed(images()), before)


def test_none_asked_for_is_the_network_as_it_was() -> None:
    assert encoder_with("vit_nano_p8", 0).backbone.reg_token is None
    with torch.device("meta"):
        assert build_backbone(find_architecture("vit_wee_patch16_reg1_gap_256"), 224).num_prefix_tokens == 1


@pytest.mark.parametrize(
    ("name", "closest"), [("resnet18", ""), ("deit_tiny_patch16_224", "vit_tiny_patch16_224"), ("timm:resnet10t", "")]
)
def test_an_architecture_without_is_refused_with_those_that_have(name: str, closest: str) -> None:
    check_registers(name, 0)
    with pytest.raises(SettingError, match=rf"--register-tokens 2 came with {name}, .*closest .*{closest}.*: choose"):
        encoder_with(name, 2)
