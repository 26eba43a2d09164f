"""Trainings that are interrupted between two steps of an epoch, in this process or as one rank of several."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from toys import stripes

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import build_encoder
from lejepa_core.pretrain import State, epoch_batches, pretrain, view_settings
from lejepa_core.settings import PretrainSettings
from lejepa_core.views import Draws, draw_views

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=1e-2, epochs=2, batch_size=16,
    image_size=32, local_size=16, views_global=2, views_local=2, projector_hidden=32, projector_dim=8, slices=32,
)  # fmt: skip


class Interrupted(Exception):
    """A training ended between two steps."""


def train_to_checkpoint(
    settings: PretrainSettings, data: ImageDataset, train: torch.Tensor, count: int, micro_batch: int | None = None
) -> bytes:
    """The state at so many calls of `checkpoint`, as it goes to disk; training ends there."""
    saved = io.BytesIO()
    left = [count]

    def interrupt(state: Callable[[], State]) -> None:
        left[0] -= 1
        if left[0] == 0:
            torch.save(state(), saved)
            raise Interrupted

    with suppress(Interrupted):
        list(
            pretrain(
                settings, data, build_encoder(settings), train=train, checkpoint=interrupt, micro_batch=micro_batch
            )
        )
    return saved.getvalue()


def interrupted_and_whole(
    data: ImageDataset,
    saved: Path,
    count: int,
    rank: int = 0,
    settings: PretrainSettings = SETTINGS,
    micro_batch: int | None = None,
) -> dict[str, Any]:
    """A training in one go, and one that is interrupted at a checkpoint and goes on from rank 0's state."""
    train = torch.from_numpy(data.splits["train"])
    state = train_to_checkpoint(settings, data, train, count, micro_batch)
    if rank == 0:
        saved.write_bytes(state)
    if dist.is_initialized():
        dist.barrier()
    resume = torch.load(saved, weights_only=True)
    return {
        "epochs": resume["epoch"],
        "steps": len(resume["terms"]),
        "whole": _trained(settings, data, train, None, micro_batch),
        "resumed": _trained(settings, data, train, resume, micro_batch),
    }


def _trained(
    settings: PretrainSettings, data: ImageDataset, train: torch.Tensor, resume: State | None, micro_batch: int | None
) -> dict[str, Any]:
    encoder = build_encoder(settings)
    epochs = list(pretrain(settings, data, encoder, train=train, resume=resume, micro_batch=micro_batch))
    return {
        "losses": [epoch.losses for epoch in epochs],
        "metrics": [epoch.metrics for epoch in epochs],
        "weights": encoder.state_dict(),
    }


def views_seen(folder: Path, epoch: int, done: int = 0) -> dict[str, Any]:
    """This rank's images, draws and views in the last epoch of a training, or in its rest after so many steps."""
    data = stripes(folder, per_class=96)
    settings, train = replace(SETTINGS, batch_size=64, epochs=epoch + 1), torch.from_numpy(data.splits["train"])
    resume = None
    if done:
        calls = epoch * (len(train) // settings.batch_size - 1) + done
        resume = torch.load(io.BytesIO(train_to_checkpoint(settings, data, train, calls)), weights_only=True)
        assert (resume["epoch"], len(resume["terms"])) == (epoch, done)
    encoder, views = build_encoder(settings), []
    encoder.register_forward_pre_hook(lambda _, arguments: views.append([v.clone() for v in arguments[0]]))
    list(pretrain(settings, data, encoder, train=train, resume=resume))
    batches = epoch_batches(settings, train, epoch)[done:]
    draws = [draw for batch in batches for draw in _draws(settings, data, batch, epoch)]
    return {"images": batches, "draws": draws, "views": views[-len(batches) :]}


def _draws(
    settings: PretrainSettings, data: ImageDataset, batch: torch.Tensor, epoch: int
) -> list[dict[str, torch.Tensor]]:
    """Parameters of a batch's global views and of its local ones."""
    _, sizes = data.batch(batch.numpy())
    views = view_settings(settings, data)
    drawn = [draw_views(sizes, batch, views, seed=settings.seed, epoch=epoch, local=local) for local in (False, True)]
    return [{field: getattr(draws, field) for field in Draws.__slots__} for draws in drawn]
