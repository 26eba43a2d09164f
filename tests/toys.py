"""Small things that several tests use: image folders written on the spot, a trial, a study."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lejepa_core.datasets import ImageDataset, load_dataset
from lejepa_platform.config import METHOD_VERSION, StudyConfig, TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import write_json
from lejepa_platform.task import TrialTask
from lejepa_platform.trial import run_trial

TRIAL = TrialConfig(
    architecture="resnet10t_w32", family="resnet", dataset="digits", data_fingerprint="0123456789abcdef",
    lambda_=0.05, learning_rate=2e-3, weight_decay=1e-2,
)  # fmt: skip
STUDY = StudyConfig(
    name="s", preset="quick", architectures=("resnet10t_w32", "vit_nano_p8"), datasets=("digits", "folder:cats"),
    fingerprints={"digits": "a" * 16, "folder:cats": "b" * 16}, lambdas=(0.01, 0.1),
    optimisers={"resnet10t_w32": ((2e-3, 1e-2),), "vit_nano_p8": ((1e-3, 5e-2), (3e-3, 5e-2))},
    families={"resnet10t_w32": "resnet", "vit_nano_p8": "vision_transformer"},
    local_sizes={"resnet10t_w32": 16, "vit_nano_p8": 32}, seeds=(0, 1, 2),
    shared={"epochs": 3, "batch_size": 64, "image_size": 32, "global_scale": (0.3, 1.0)},
)  # fmt: skip


def write_folder(root: Path, *, classes: int = 3, per_class: int = 30, size: tuple[int, int] = (24, 24)) -> Path:
    """Stripes of a class's own frequency and direction, at random phase and colour."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]]
    for label in range(classes):
        folder = root / f"stripes_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            angle, period = np.pi * label / classes, 4 + 3 * label
            wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 6.28))
            colour = rng.uniform(60, 120, 3)
            pixels = 128 + wave[..., None] * colour + rng.normal(0, 8, (*size, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


def stripes(folder: Path, **options: int) -> ImageDataset:
    """A labelled data set of stripes, cached below the folder."""
    images = write_folder(folder / "stripes", **options)  # type: ignore[arg-type]
    return load_dataset(f"folder:{images}", image_size=32, cache_dir=folder / "cache")


def stripes_task(folder: Path, **changes: Any) -> TrialTask:
    """A begun trial of one short epoch on stripes, without probes; `changes` are settings of the trial."""
    source, cache = f"folder:{write_folder(folder / 'stripes', per_class=20)}", folder / "cache"
    data = load_dataset(source, image_size=32, cache_dir=cache, labelled=False)
    config = replace(
        TRIAL, dataset=data.name, data_fingerprint=data.fingerprint, epochs=1, batch_size=16, image_size=32,
        local_size=32, views_global=2, views_local=1, projector_hidden=32, projector_dim=8, slices=24, knots=9,
    )  # fmt: skip
    config = replace(config, **changes)
    study = StudyLedger(folder / "study")
    return TrialTask(
        config=config.flat(),
        study=str(study.path),
        attempt=study.trial(config.key).begin(config).attempt,
        source=source,
        cache=str(cache),
        labelled=False,
    )


def stripes_study(
    folder: Path, *, train: Callable[[TrialTask], object] = run_trial, **changes: Any
) -> tuple[StudyLedger, TrialTask]:
    """A study of one trial on stripes with labels, trained by `train`; `changes` are settings of the trial."""
    source, cache = f"folder:{write_folder(folder / 'stripes', per_class=20)}", folder / ".cache"
    size = changes.get("image_size", 32)
    data = load_dataset(source, image_size=size, cache_dir=cache)
    task = stripes_task(folder, data_fingerprint=data.fingerprint, local_size=size, **changes)
    task = replace(task, labelled=True, source=source, cache=str(cache))
    write_json(Path(task.study) / "study.json", {
        "name": "study", "method_version": METHOD_VERSION, "config": {"labelled": True, "optimisers": {}},
        "sources": {data.name: source}, "streams": {}, "planned": [], "notes": [],
    })  # fmt: skip
    train(task)
    return StudyLedger(Path(task.study)), task
