"""Continued pretraining: weights of the hub, from a cache folder that the test writes as Hugging Face lays it out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from lejepa_core.encoder import build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.settings import PretrainSettings

BUILD = """
import json, sys
from safetensors.torch import save_file
from lejepa_core.encoder import build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.settings import PretrainSettings
settings = dict(lambda_=0.1, learning_rate=1e-3, weight_decay=0.0, image_size=64, views_local=0, projector_hidden=16)
if len(sys.argv) > 3:
    settings["weights_revision"] = sys.argv[3]
try:
    encoder = build_encoder(PretrainSettings(architecture=sys.argv[1], pretrained=True, **settings))
except SettingError as error:
    print(json.dumps(str(error)))
else:
    save_file({n: t.contiguous() for n, t in encoder.backbone.state_dict().items()}, sys.argv[2])
"""


def build(architecture: str, home: Path, *revision: str) -> Any:
    """Build an encoder in a process that is offline; returns its weights, or the line that refuses it."""
    out = home / "out.safetensors"
    command = [sys.executable, "-c", BUILD, architecture, str(out), *revision]
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else load_file(out)


def cached(timm_name: str, home: Path, revision: str = "0" * 40) -> dict[str, torch.Tensor]:
    """Weights of a model with its 1000 classes, in the cache as if the hub's client had put them there."""
    torch.manual_seed(int(revision, 16) % 97)
    weights = {name: tensor.contiguous() for name, tensor in timm.create_model(timm_name).state_dict().items()}
    config = timm.get_pretrained_cfg(timm_name)
    folder = home / "hub" / f"models--timm--{config.architecture}.{config.tag}"
    for part in ("refs", f"snapshots/{revision}"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    save_file(weights, folder / "snapshots" / revision / "model.safetensors")
    return weights


def test_the_backbone_begins_with_the_weights_of_the_hub(tmp_path: Path) -> None:
    wanted = cached("test_efficientnet", tmp_path)
    found = build("efficientnet_micro", tmp_path)
    assert found.keys() == {name for name in wanted if not name.startswith("classifier")}
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())


def test_weights_are_those_of_the_revision_whatever_the_newest_are(tmp_path: Path) -> None:
    older = cached("test_efficientnet", tmp_path, "1" * 40)
    newer = cached("test_efficientnet", tmp_path, "2" * 40)
    for revision, wanted in ((("1" * 40,), older), (("2" * 40,), newer), ((), newer)):
        found = build("efficientnet_micro", tmp_path, *revision)
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())
    line = build("efficientnet_micro", tmp_path, "3" * 40)
    assert "the weights of test_efficientnet cannot be had" in line


def test_position_embeddings_are_resampled_to_the_size_of_the_study(tmp_path: Path) -> None:
    wanted = cached("vit_tiny_patch16_224", tmp_path)
    found = build("vit_tiny_p16", tmp_path)
    assert found.pop("pos_embed").shape == (1, 1 + 4 * 4, 192)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())


def test_weights_out_of_reach_are_one_line(tmp_path: Path) -> None:
    line = build("efficientnet_micro", tmp_path)
    assert "the weights of test_efficientnet cannot be had" in line and "HF_HOME" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["resnet10t_w32", "vit_tiny_p8", "efficientnet_b0_gn"])
def test_what_has_no_weights_is_refused(name: str) -> None:
    settings = PretrainSettings(
        architecture=name, lambda_=0.1, learning_rate=1e-3, weight_decay=0.0, image_size=64, local_size=64,
        pretrained=True,
    )  # fmt: skip
    with pytest.raises(SettingError, match="has no weights"):
        build_encoder(settings)
