"""A backbone as a folder that plain timm loads: `timm.create_model('local-dir:DIR', pretrained=True)`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import timm
import torch
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf
from torch import nn

from lejepa_core.errors import DataError
from lejepa_core.random import derive_seed

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
_ORIGIN: Final = ("tag", "license", "origin_url", "paper_name", "paper_ids", "notes")
"""What timm says of the weights of the hub."""


def export_backbone(
    backbone: nn.Module, folder: Path, *, size: int, mean: Sequence[float], std: Sequence[float], pretrained: bool
) -> None:
    """Write a network that timm made as `model.safetensors` and timm's `config.json`, and make sure that timm loads it.

    Args:
        backbone: From `build_backbone`, with its weights; put into evaluation mode.
        folder: That exists.
        size: Side of the images that it was trained on, in pixels.
        mean: What the channels of its images are centred on, pixels in 0..1.
        std: What they are divided by.
        pretrained: Whether its weights go back to those of the hub, whose licence is told then.

    Raises:
        DataError: If timm makes another network of it.
    """
    backbone.eval()
    # Tied tensors come once for each of their names, as timm wants them.
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in backbone.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    made_with: Mapping[str, Any] = backbone._model_args  # type: ignore[assignment]
    save_config_for_hf(
        backbone,
        str(folder / CONFIG),
        # timm leaves these out, and a network to be trained further is another one without them.
        model_args={name: value for name, value in made_with.items() if "drop" in name},
        data_config={
            "input_size": (3, size, size),
            "mean": tuple(mean),
            "std": tuple(std),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
        },
    )
    if not pretrained:
        _without_origin(folder / CONFIG)
    _check(backbone, folder, size)


def _without_origin(path: Path) -> None:
    config = json.loads(path.read_text())
    for name in _ORIGIN:
        config["pretrained_cfg"].pop(name, None)
    path.write_text(json.dumps(config, indent=2) + "\n")


@torch.inference_mode()
def _check(backbone: nn.Module, folder: Path, size: int) -> None:
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    generator = torch.Generator().manual_seed(derive_seed("export"))
    images = torch.randn(2, 3, size, size, generator=generator)
    parameter = next(backbone.parameters())
    ours = backbone(images.to(parameter.device, parameter.dtype)).float().cpu()
    theirs = loaded(images)
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4):
        raise DataError(f"timm {timm.__version__} makes another network of the export; use the version of the training")
