"""Which protocols a study wants, and what one of them finds of a trial's stored encoder: at any later time too."""

import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lejepa_core.encoder import build_encoder
from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.evaluation.protocol import Protocol, Subject
from lejepa_core.evaluation.protocols import ALWAYS, PROTOCOLS
from lejepa_platform.config import METHOD_VERSION, StudyConfig, TrialConfig
from lejepa_platform.outcomes import ProtocolResult, Wanted
from lejepa_platform.storage import only_one, read_bytes, read_json, write_bytes, write_json
from lejepa_platform.task import TrialTask
from lejepa_platform.transfer import load_encoder
from lejepa_platform.trial import device_of, load_trial_data, training_indices

OF_PRETRAINING_ALONE: Final = (
    "lambda", "regularizer", "slices", "sampler", "knots", "t_max", "learning_rate", "weight_decay", "warmup",
    "objective", "predictor_depth", "weight_average",
    "projector_hidden", "projector_depth", "projector_dim", "pretrained", "weights_revision",
    "views_global", "views_local", "local_size", "local_scale",
)  # fmt: skip
"""Settings of a trial that a shared protocol does not read, see `Protocol.shared`."""


def check_protocols(names: Sequence[str], *, labelled: bool) -> None:
    """Refuse protocols that do not exist, or that cannot be.

    Args:
        names: What a person asks for.
        labelled: Whether the images of the study have classes.

    Raises:
        UnknownNameError: If there is no such protocol.
        SettingError: If one needs labels and there are none.
    """
    for name in names:
        if name not in PROTOCOLS:
            raise UnknownNameError("protocol", name, PROTOCOLS, " ".join(PROTOCOLS))
        if PROTOCOLS[name].needs_labels and not labelled:
            raise SettingError(
                f"--protocols {name} came with images that have no classes, which it needs; leave it out"
            )


def wanted_of(config: StudyConfig) -> Wanted:
    """What is to be measured of the encoders of a study.

    Raises:
        UnknownNameError: If the study asks for a protocol that this version does not know.
        SettingError: If it has no classes and asks for a protocol that needs them.
    """
    check_protocols(config.protocols, labelled=config.labelled)
    names = dict.fromkeys((*ALWAYS, *config.protocols))
    return Wanted(protocols={name: PROTOCOLS[name].version for name in names}, evaluate_on=config.evaluate_on)


def measure_protocol(task: TrialTask, config: TrialConfig, name: str) -> None:
    """Measure a trial's stored encoder by a protocol, and keep what was found.

    Raises:
        Exception: Whatever goes wrong; nothing is kept then.
    """
    start = time.perf_counter()
    protocol = PROTOCOLS[name]
    metrics, arrays = _shared(task, config, name) if protocol.shared else _measure(task, config, protocol)
    seconds = round(time.perf_counter() - start, 3)
    result = ProtocolResult(version=task.protocols[name], metrics=dict(metrics), seconds=seconds)
    task.ledger.write_measured(name, result, arrays)


def _measure(task: TrialTask, config: TrialConfig, protocol: Protocol) -> tuple[Mapping[str, float], bytes]:
    data = load_trial_data(task, config)
    encoder = build_encoder(replace(config, pretrained=False)) if protocol.shared else load_encoder(task.ledger, config)
    found = protocol.measure(
        Subject(
            encoder=encoder.to(device_of(task)).eval(),
            data=data,
            settings=config,
            train=training_indices(data, config.limit_train),
        )
    )
    return found.metrics, _packed(found.arrays)


def _shared(task: TrialTask, config: TrialConfig, name: str) -> tuple[Mapping[str, float], bytes]:
    """What one of the trials that share it has measured, or measures now while the others wait."""
    path = task.floor(f"{name}-{task.protocols[name]}-{_shared_key(config)}.json")
    with only_one(path):
        held = read_json(path)
        if held is None:
            metrics, arrays = _measure(task, config, PROTOCOLS[name])
            # The arrays first: what the other file tells of is there.
            write_bytes(path.with_suffix(".npz"), arrays)
            write_json(path, metrics)
            return metrics, arrays
        return held, read_bytes(path.with_suffix(".npz")) or b""


def _shared_key(config: TrialConfig) -> str:
    """Identity of an untrained backbone, its images and their global views, and how long it is trained."""
    settings = {name: value for name, value in config.flat().items() if name not in OF_PRETRAINING_ALONE}
    for name in ("register_tokens", "embedding_dim"):
        if not settings[name]:
            # As it was before there was such a setting.
            del settings[name]
    text = json.dumps({"method_version": METHOD_VERSION, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    if not arrays:
        return b""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
