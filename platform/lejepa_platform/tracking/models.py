"""The best encoders of each cell as models of MLflow: `mlflow.pytorch.load_model("models:/ID")` embeds images.

They are kept as exported graphs (pt2), which MLflow loads without unpickling anything; its other format is a pickle,
and runs whatever code whoever may write to the artifacts put into it.
"""

import logging
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from lejepa_core.encoder import Encoder
from lejepa_core.precision import weight_dtype
from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.stored_variants import namer
from lejepa_platform.tracking.address import masked, reason
from lejepa_platform.tracking.client import load
from lejepa_platform.tracking.mirror import Index, Mirror
from lejepa_platform.tracking.runs import Run
from lejepa_platform.transfer import load_encoder

LOG = logging.getLogger("lejepa")
CHOSEN_BY: Final = ("val/linear_top1", "heldout/retrieval_top1")
"""What the best is told by, the largest: the first that a cell's trials have. The second needs no labels."""


def keep_models(study: StudyLedger, uri: str, count: int, *, artifacts: Path | None = None) -> int:
    """Have MLflow keep the best encoders of each cell; those that it has are left alone.

    Args:
        study: Whose trials are mirrored.
        uri: The tracker.
        count: How many of each cell.
        artifacts: As in `Mirror`.

    Returns:
        How many were added. What cannot be kept is a warning: nothing depends on it.
    """
    chosen = list(best_trials(study, count)) if count else []
    if not chosen:
        return 0
    try:
        index = Mirror(study, uri, artifacts).open()
        held = _held(index)
        wanted = [(trial, run) for trial in chosen if (run := index.trials.get(trial.key)) and run.run_id not in held]
        return sum(_keep(index, run, trial, uri) for trial, run in wanted)
    except Exception as error:
        # Whatever the tracker raises: the study is done.
        LOG.warning("no models in %s: %s; the same command tries again", masked(uri), reason(error, uri))
        return 0


def best_trials(study: StudyLedger, count: int) -> Iterator[TrialLedger]:
    """The best trials of each (variant, architecture, data set), those that collapsed only where there is no other.

    Args:
        study: With finished trials.
        count: Most of each cell.
    """
    cells: dict[tuple[str, str, str], list[tuple[tuple[bool, float], TrialLedger]]] = defaultdict(list)
    variant_of = namer(study.read()["config"])
    for trial in study.trials():
        result = trial.result()
        if result is None or result["outcome"] not in ("ok", "collapsed"):
            continue
        score = _score({**trial.later_metrics(), **result["metrics"]})
        if score is not None:
            config = result["config"]
            cell = variant_of(config), str(config["architecture"]), str(config["dataset"])
            cells[cell].append(((result["outcome"] == "ok", score), trial))
    for scored in cells.values():
        scored.sort(key=lambda entry: entry[0], reverse=True)
        yield from (trial for _, trial in scored[:count])


def _score(metrics: dict[str, Any]) -> float | None:
    return next((float(value) for name in CHOSEN_BY if (value := metrics.get(name)) is not None), None)


def _held(index: Index) -> set[str]:
    """Runs that have their model. One that was not finished, by a process that was killed, goes."""
    found, token = set(), None
    while True:
        page = index.client.search_logged_models([index.experiment_id], page_token=token)
        for model in page:
            if "trial_key" not in model.tags:
                continue
            if str(model.status) == "READY":
                found.add(str(model.source_run_id))
            else:
                index.client.delete_logged_model(model.model_id)
        token = page.token
        if not token:
            return found


def _keep(index: Index, run: Run, trial: TrialLedger, uri: str) -> bool:
    try:
        config = TrialConfig.from_flat((trial.result() or {})["config"])
        _log(index, run, trial, config, load_encoder(trial, config))
    except Exception as error:
        # Not every network can be exported as a graph, and no other model shall go without.
        LOG.warning("no model of trial %s: %s", trial.key, reason(error, uri))
        return False
    return True


class _Embedding(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.encoder.embed(images)


def _save(encoder: Encoder, config: TrialConfig, folder: Path, run: Run, model: Any) -> None:
    load()
    from mlflow import pytorch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    example = torch.zeros(2, 3, config.image_size, config.image_size, dtype=weight_dtype(config.precision)).numpy()
    # Without names: MLflow hands named inputs over as a dictionary.
    inputs = TensorSpec(example.dtype, (-1, *example.shape[1:]))
    outputs = TensorSpec(example.dtype, (-1, encoder.features))
    with warnings.catch_warnings():
        # torch.export's and MLflow's own.
        warnings.simplefilter("ignore")
        pytorch.save_model(
            _Embedding(encoder).eval().requires_grad_(False),
            folder,
            mlflow_model=Model(artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run.run_id),
            input_example=example,
            signature=ModelSignature(inputs=Schema([inputs]), outputs=Schema([outputs])),
            serialization_format="pt2",
            # Named, or MLflow would load the model in a process of its own to find out.
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "numpy")],
        )


def _log(index: Index, run: Run, trial: TrialLedger, config: TrialConfig, encoder: Encoder) -> None:
    from mlflow.entities import LoggedModelOutput

    name = f"{config.architecture}-{config.dataset}-{trial.key}".translate(str.maketrans("/:.%\"'", "______"))
    params = {"architecture": config.architecture, "dataset": config.dataset, "lambda": f"{config.lambda_:g}"}
    model = index.client.create_logged_model(
        index.experiment_id, name, run.run_id, {"trial_key": trial.key}, params, "encoder"
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            _save(encoder, config, Path(folder) / "model", run, model)
            index.client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    except Exception:
        index.client.delete_logged_model(model.model_id)
        raise
    index.client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, config.epochs)])
    index.client.finalize_logged_model(model.model_id, "READY")
