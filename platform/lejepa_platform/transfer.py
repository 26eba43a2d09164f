"""A finished trial's encoder on data sets that it was not pretrained on: from its file, so at any later time too."""

import time
from dataclasses import asdict, replace

from safetensors import SafetensorError
from safetensors.torch import load_file

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder, build_encoder, load_distinct_weights
from lejepa_core.errors import DataError
from lejepa_core.evaluation.transfer import Transfer, measure_transfer
from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import TransferResult, TrialLedger
from lejepa_platform.storage import at_hand, only_one, read_json, write_json
from lejepa_platform.task import TrialTask
from lejepa_platform.trial import device_of, floor_key, load_trial_data


def evaluate_elsewhere(task: TrialTask, config: TrialConfig, name: str) -> None:
    """Evaluate a trial's stored encoder on another data set, and keep what was found.

    Raises:
        Exception: Whatever goes wrong; nothing is kept then.
    """
    start = time.perf_counter()
    data = _load(task, config, name)
    encoder = load_encoder(task.ledger, config).to(device_of(task))
    found = measure_transfer(encoder, data, image_size=config.image_size)
    floor = _floor(task, config, data)
    result = TransferResult(
        fingerprint=data.fingerprint,
        metrics=found.metrics | _public(floor),
        draws=found.draws,
        seconds=round(time.perf_counter() - start, 3),
    )
    task.ledger.write_transfer(name, result)


def load_encoder(ledger: TrialLedger, config: TrialConfig) -> Encoder:
    """The encoder of a finished trial, backbone and projector.

    Raises:
        DataError: If a file is missing or damaged.
    """
    # Weights of the hub would be overwritten, and the hub may be out of reach by now.
    encoder = build_encoder(replace(config, pretrained=False))
    for module, name in ((encoder.backbone, "encoder.safetensors"), (encoder.projector, "projector.safetensors")):
        path = ledger.path / name
        try:
            with at_hand(path) as file:
                load_distinct_weights(module, load_file(file))
        except (OSError, SafetensorError, RuntimeError) as error:
            why = str(error).splitlines()[0]
            raise DataError(
                f"{path} is missing or damaged ({why}); remove the trial's folder to train it again"
            ) from error
    return encoder.eval()


def _load(task: TrialTask, config: TrialConfig, name: str) -> ImageDataset:
    """The images of another data set; they need classes, whatever the trial's own have."""
    other = replace(task, source=task.target_sources[name], labelled=True)
    return load_trial_data(other, replace(config, dataset=name, data_fingerprint=task.evaluate_on[name]))


def _floor(task: TrialTask, config: TrialConfig, data: ImageDataset) -> Transfer:
    """The untrained encoder on the same images: measured once per architecture, data set and seed."""
    # The limit is on pretraining images.
    other = replace(config, data_fingerprint=data.fingerprint, limit_train=None)
    path = task.floor(f"transfer-{floor_key(other)}.json")
    with only_one(path):
        held = read_json(path)
        if held is not None:
            return Transfer(**held)
        untrained = build_encoder(config).to(device_of(task))
        floor = measure_transfer(untrained, data, image_size=config.image_size)
        write_json(path, asdict(floor))
    return floor


def _public(floor: Transfer) -> dict[str, float]:
    test = {f"floor/random_init_{name}": value for name, value in floor.metrics.items() if "/" not in name}
    return {"floor/chance": floor.chance, **test}
