"""Exported encoders: what plain timm makes of them, in a process that has never heard of us."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from toys import stripes_study

from lejepa_core.architectures import ARCHITECTURES
from lejepa_core.architectures.build import build_backbone
from lejepa_core.export import export_backbone
from lejepa_platform.cli import main
from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.task import TrialTask
from lejepa_platform.transfer import load_encoder
from lejepa_platform.trial import pinned

PLAIN = """
import sys, timm, torch
torch.set_num_threads(1)
encoder = timm.create_model(f"local-dir:{sys.argv[1]}", pretrained=True).eval()
seen = timm.data.resolve_model_data_config(encoder)
images = torch.load(sys.argv[2], weights_only=True)
layout = encoder.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    found = {"plain": encoder.to(memory_format=torch.contiguous_format)(images)}
    found["channels_last"] = encoder.to(memory_format=torch.channels_last)(layout[1])
assert not [name for name in sys.modules if name.startswith(("lejepa", "sweeps", "dashboards"))]
torch.save({"embeddings": found, "size": seen["input_size"], "mean": seen["mean"], "std": seen["std"]}, sys.argv[3])
"""
NARROW = {"epochs": 1, "projector_hidden": 16}


def in_plain_timm(folder: Path, images: torch.Tensor, scratch: Path) -> dict[str, object]:
    torch.save(images, scratch / "images.pt")
    paths = [str(folder), str(scratch / "images.pt"), str(scratch / "found.pt")]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", PLAIN, *paths], check=True, cwd=scratch, env=environment)
    found: dict[str, object] = torch.load(scratch / "found.pt", weights_only=True)
    return found


def ours(study: StudyLedger, task: TrialTask, images: torch.Tensor) -> torch.Tensor:
    encoder = load_encoder(study.trial(task.ledger.key), TrialConfig.from_flat(task.config))
    with torch.inference_mode(), pinned(1):
        return encoder.embed(images)


@pytest.mark.parametrize(
    ("architecture", "size", "layout", "changes"),
    [
        ("resnet10t_w32", 48, "channels_last", {}),
        ("vit_mini_p4", 24, "plain", {"register_tokens": 2, "weight_average": 0.5, "predictor_depth": 1}),
        ("swin_nano", 32, "plain", {}),
    ],
)
def test_plain_timm_gives_the_same_embeddings(
    architecture: str, size: int, layout: str, changes: dict, tmp_path: Path
) -> None:
    study, task = stripes_study(tmp_path, architecture=architecture, image_size=size, **NARROW, **changes)
    key, to = task.ledger.key, tmp_path / "exported"
    assert main(["export", key, "--to", str(to), "--storage", str(tmp_path)]) == 0
    images = torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = in_plain_timm(to, images, tmp_path)
    embeddings = found["embeddings"]
    assert isinstance(embeddings, dict)
    wanted = ours(study, task, images)
    assert wanted.std() > 0
    assert torch.equal(embeddings[layout], wanted)
    assert torch.allclose(embeddings["plain"], wanted, rtol=1e-4, atol=1e-5)
    noted = task.ledger.environment()["preprocessing"]
    assert (found["size"], list(found["mean"]), list(found["std"])) == ((3, size, size), noted["mean"], noted["std"])  # type: ignore[call-overload]


def test_the_card_says_what_was_measured_and_what_the_images_allow(tmp_path: Path) -> None:
    study, task = stripes_study(tmp_path, **NARROW)
    (tmp_path / "study" / "trials" / task.ledger.key / "environment.json").unlink()  # as trials of before have none
    assert main(["export", task.ledger.key, "--study", str(study.path), "--to", str(tmp_path / "out")]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    result = task.ledger.result()
    assert result is not None
    assert "# resnet10t_w32 pretrained on folder:stripes with LeJEPA, λ = 0.05" in card
    assert f"| test/linear_top1 | {result['metrics']['test/linear_top1']:.4f} |" in card
    assert "made from folder:stripes; whatever its owner allows" in card
    assert json.loads((tmp_path / "out" / "trial.json").read_text()) == result
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == [".cache"], "nothing is left behind"


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, told in (("nonsense", "16 hexadecimal digits"), ("0" * 16, "holds no trial")):
        assert main(["export", name, "--to", str(tmp_path / "out"), "--storage", str(tmp_path)]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_export_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, task = stripes_study(tmp_path, **NARROW)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(["export", task.ledger.key, "--to", str(tmp_path / "out"), "--storage", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.architectures
@pytest.mark.parametrize("name", [name for name, spec in ARCHITECTURES.items() if spec.parameters < 25e6])
def test_every_architecture_can_be_exported(name: str, tmp_path: Path) -> None:
    spec = ARCHITECTURES[name]
    size = -(-max(48, spec.min_size) // spec.multiple) * spec.multiple
    backbone = build_backbone(spec, size)
    export_backbone(backbone, tmp_path, size=size, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), pretrained=False)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert loaded.state_dict().keys() == backbone.state_dict().keys()
