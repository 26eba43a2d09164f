"""One trial: pretrain, evaluate, write the ledger. Executors differ only in where it runs."""

import hashlib
import io
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from threadpoolctl import threadpool_limits

from lejepa_core.datasets import ImageDataset, load_dataset
from lejepa_core.distributed import rank, world_size
from lejepa_core.encoder import Encoder, build_encoder, distinct_weights
from lejepa_core.errors import DataError
from lejepa_core.evaluation.evaluate import Evaluation, evaluate
from lejepa_core.evaluation.probes import chance
from lejepa_core.methods import LEJEPA
from lejepa_core.pretrain import DivergedError, loss_metrics, pretrain
from lejepa_core.random import derive_seed
from lejepa_platform.checkpoint import Checkpoints, load_checkpoint
from lejepa_platform.config import METHOD_VERSION, Flat, TrialConfig
from lejepa_platform.early_stop import Stop, Stopper
from lejepa_platform.environment import environment
from lejepa_platform.ledger import Outcome, TrialLedger, TrialResult
from lejepa_platform.storage import node_cache, only_one, read_json, write_json
from lejepa_platform.system import sampled
from lejepa_platform.task import TrialTask

Metrics = dict[str, float | None]


def run_trial(task: TrialTask) -> TrialResult | None:
    """Run a trial to its end in this process, or this process's share of it.

    Continues from the trial's checkpoint if there is one. Rank 0 writes the ledger.

    Returns:
        The result; None on ranks other than 0.

    Raises:
        DataError: If the images are not those that the trial was made for.
        SupersededError: If a newer attempt was started meanwhile.
    """
    config, ledger = TrialConfig.from_flat(task.config), task.ledger
    with pinned(task.threads), sampled(ledger) if rank() == 0 else nullcontext():
        start = time.perf_counter()
        data = load_trial_data(task, config)
        train = training_indices(data, config.limit_train)
        encoder = build_encoder(config).to(device_of(task))
        if rank() == 0:
            ledger.write("environment.json", json.dumps(environment(task, config, encoder, data), indent=1).encode())
        # On every rank, though one suffices: the others wait at its lock, for as long as it takes. They would wait in
        # their first collective otherwise, and give up at the process group's timeout.
        metrics = objective_figures(config) | _floors(task, config, data, encoder, train)
        overhead = time.perf_counter() - start
        result = _train_and_evaluate(task, config, ledger, data, encoder, train, metrics, overhead)
        if result is not None:
            ledger.write_result(result)
        return result


def load_trial_data(task: TrialTask, config: TrialConfig) -> ImageDataset:
    """The images of a trial, from the node's cache.

    Raises:
        DataError: If they are not those that the trial was made for.
    """
    data = load_dataset(
        task.source,
        image_size=config.image_size,
        cache_dir=Path(task.cache) if task.cache else node_cache(),
        data_root=Path(task.data_root) if task.data_root else None,
        labelled=task.labelled,
        stream=task.streams.get(config.dataset, "auto"),
        workers=task.data_workers,
    )
    if data.fingerprint != config.data_fingerprint:
        raise DataError(
            f"the images of {config.dataset} have changed (fingerprint {data.fingerprint}, the study was made for "
            f"{config.data_fingerprint}); restore them, or start another study"
        )
    return data


def training_indices(data: ImageDataset, limit: int | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The training images, or a fixed random subset of them, the same for every trial."""
    train = data.splits["train"]
    if limit is None or limit >= len(train):
        return train
    generator = torch.Generator().manual_seed(derive_seed("subset"))
    return np.sort(train[torch.randperm(len(train), generator=generator)[:limit].numpy()])


def _train_and_evaluate(
    task: TrialTask,
    config: TrialConfig,
    ledger: TrialLedger,
    data: ImageDataset,
    encoder: Encoder,
    train: np.ndarray[Any, np.dtype[np.int64]],
    metrics: Metrics,
    overhead: float,
) -> TrialResult | None:
    try:
        history, stop = _pretrain(task, config, ledger, data, encoder, torch.from_numpy(train))
    except DivergedError as error:
        history = ledger.history()
        metrics |= dict.fromkeys(loss_metrics(config, (math.nan, math.nan, math.nan)))
        return _result(config, "diverged", str(error), metrics, history, overhead) if rank() == 0 else None
    if rank() != 0:
        return None
    if stop is not None:
        return _result(config, "stopped", stop.reason, metrics | stop.metrics, history, overhead)
    start = time.perf_counter()
    evaluation = evaluate(encoder, data, image_size=config.image_size, train=train)
    metrics |= _public_metrics(history[-1]) | evaluation.metrics()
    _keep(ledger, encoder, evaluation, data)
    outcome: Outcome = "collapsed" if evaluation.geometry.collapse else "ok"
    overhead += time.perf_counter() - start
    return _result(config, outcome, evaluation.geometry.collapse, metrics, history, overhead)


def _result(
    config: TrialConfig, outcome: Outcome, reason: str, metrics: Metrics, history: list[Flat], overhead: float
) -> TrialResult:
    seconds = overhead + sum(row["seconds"] for row in history)
    return TrialResult(
        key=config.key, outcome=outcome, reason=reason, config=config.flat(), metrics=metrics, seconds=seconds
    )


def _pretrain(
    task: TrialTask,
    config: TrialConfig,
    ledger: TrialLedger,
    data: ImageDataset,
    encoder: Encoder,
    train: torch.Tensor,
) -> tuple[list[Flat], Stop | None]:
    """Train to the end, keeping metrics and checkpoints; returns one row per epoch, and why it ended early if so."""
    saved = load_checkpoint(ledger)
    history: list[Flat] = json.loads(saved["history"]) if saved else []
    checkpoints = Checkpoints(ledger, history, task.checkpoint_seconds) if rank() == 0 else None
    stopper = Stopper(task, config, data, encoder)
    if stop := stopper.found_before(history):
        return history, stop
    within = checkpoints.within_epoch if checkpoints else None
    for epoch in pretrain(config, data, encoder, train=train, resume=saved, checkpoint=within,
                          micro_batch=task.micro_batch):  # fmt: skip
        history.append({"epoch": epoch.epoch, "step": epoch.step, **epoch.metrics, "seconds": round(epoch.seconds, 4)})
        if checkpoints:
            ledger.write_metrics(history)
            checkpoints.after_epoch(epoch.state)
        if stop := stopper.after(history[-1]):
            if checkpoints:
                checkpoints.save(epoch.state)
            return history, stop
    return history, None


def _keep(ledger: TrialLedger, encoder: Encoder, evaluation: Evaluation, data: ImageDataset) -> None:
    ledger.write("encoder.safetensors", save_tensors(distinct_weights(encoder.backbone)))
    ledger.write("projector.safetensors", save_tensors(distinct_weights(encoder.projector)))
    if evaluation.linear is None or evaluation.knn is None or data.labels is None:
        return
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        index=data.splits["test"],
        label=data.labels[data.splits["test"]],
        linear=evaluation.linear.test_predictions,
        knn=evaluation.knn.test_predictions,
    )
    ledger.write("predictions.npz", buffer.getvalue())


def _floors(
    task: TrialTask,
    config: TrialConfig,
    data: ImageDataset,
    encoder: Encoder,
    train: np.ndarray[Any, np.dtype[np.int64]],
) -> Metrics:
    """Chance, and the probes of the untrained backbone: measured once per architecture, data set and seed."""
    if not task.labelled:
        return {}
    path = task.floor(f"{floor_key(config)}.json")
    with only_one(path):
        floors: Metrics | None = read_json(path)
        if floors is None:
            untrained = evaluate(encoder, data, image_size=config.image_size, train=train).metrics()
            floors = {
                "floor/chance": chance(data),
                "floor/random_init_linear_top1": untrained["test/linear_top1"],
                "floor/random_init_knn_top1": untrained["test/knn_top1"],
            }
            write_json(path, floors)
    return dict(floors)


def floor_key(config: TrialConfig) -> str:
    """Identity of the untrained backbone of a trial and of the images that it is probed on."""
    parts = (METHOD_VERSION, config.architecture, config.data_fingerprint, config.seed, config.image_size,
             config.local_size, config.limit_train, config.precision,
             *(["pretrained", config.weights_revision] if config.pretrained else []),
             *(["registers", config.register_tokens] if config.register_tokens else []),
             *(["embedding", config.embedding_dim] if config.embedding_dim else []))  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def objective_figures(config: TrialConfig) -> Metrics:
    """What turns λ of this trial's objective into that of another convention, beside the terms of the loss.

    Returns:
        Samples N of the global batch, dims D, views V, knots K, slices M, and ranks W of the present process group.
        Knots are of no consequence to a regularizer other than epps-pulley, nor slices to one that is not sliced;
        objectives other than LeJEPA's have neither.
    """
    sigreg = {"objective/knots": config.knots, "objective/slices": config.slices}
    return {
        "objective/samples": config.batch_size,
        "objective/dims": config.projector_dim,
        "objective/views": config.views_global + config.views_local,
        **(sigreg if config.objective == LEJEPA else {}),
        "objective/ranks": world_size(),
    }


def _public_metrics(row: Flat) -> Metrics:
    return {name: value for name, value in row.items() if name.startswith(("train/", "online/"))}


def device_of(task: TrialTask) -> torch.device:
    """Where a task's encoder lives."""
    return torch.device("cuda" if task.gpus and torch.cuda.is_available() else "cpu")


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Compute in so many threads."""
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        yield
