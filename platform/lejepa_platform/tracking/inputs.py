"""The data set of a trial, as MLflow's pages show it: name, fingerprint, where it is, what it is for."""

import json
from collections.abc import Mapping
from typing import Any

from lejepa_platform.config import Flat
from lejepa_platform.tracking.record import LONGEST_TEXT

_KINDS = {"folder": "local", "hf": "hugging_face"}
"""MLflow's words for where images are; ours is `named`, for what a study names without a place."""


def dataset_input(config: Flat, sources: Mapping[str, str]) -> Any:
    """What a trial was trained on, as an entity of MLflow; the same for all trials of a data set.

    Args:
        config: Of the trial.
        sources: Data set name -> where its images are, as `load_dataset` takes it.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = str(config["dataset"])
    kind, _, place = sources.get(name, name).partition(":")
    source = {"uri" if kind == "folder" else "path": place} if place else {"name": kind}
    dataset = Dataset(
        name=name[:500],
        # MLflow takes 36 characters; our fingerprints have 16.
        digest=str(config["data_fingerprint"])[:36],
        source_type=_KINDS.get(kind, "named"),
        source=json.dumps(source)[:LONGEST_TEXT],
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])
