"""`lejepa export`: a trial's encoder as a folder that plain timm loads."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.errors import StorageError, StudyError
from lejepa_platform.finding import find_trial, is_run_id
from lejepa_platform.ledger import MEASURED, StudyLedger, TrialLedger


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Write a trial's encoder as safetensors and timm's config.json, with a model card."""

    trial: tyro.conf.Positional[str]
    """The trial's key, or the id of its run in MLflow."""
    to: Annotated[Path, tyro.conf.arg(name="to")]
    """Folder to make."""
    study: str | None = None
    """Name under the storage, or path; by default any study there that holds the trial."""
    storage: Path = Path("studies")
    """Folder of all studies."""
    data_root: Path | None = None
    """Folder of downloaded data sets; read only for trials that did not note how their images were normalised."""
    tracking_uri: str | None = None
    """MLflow tracking store that knows the run; by default MLFLOW_TRACKING_URI, or mlflow.db in the storage."""

    def run(self) -> int:
        """Export, and say how the encoder is loaded."""
        study, trial = located(self.trial, self.storage, self.study, self.tracking_uri)
        export_trial(study, trial, self.to, data_root=self.data_root)
        print(f"timm.create_model('local-dir:{self.to}', pretrained=True) loads it; see {self.to / 'README.md'}")
        return 0


def located(name: str, storage: Path, study: str | None, tracking_uri: str | None) -> tuple[StudyLedger, TrialLedger]:
    """A trial of the storage, by its key or by its run in MLflow.

    Raises:
        StudyError: If the storage does not hold it.
        TrackingError: If the tracker is wanted and cannot be used.
    """
    key = name
    if is_run_id(name):
        # Here, not at the top: MLflow takes seconds, and a key needs none of it.
        from lejepa_platform import tracking

        run = tracking.read_run(name, tracking.tracking_uri(tracking_uri, storage))
        key, study = run.document["key"], study or run.study
    held = find_trial(key, storage, study)
    if held is None:
        raise StudyError(f"{storage} holds no trial {key}; name another folder of studies with --storage")
    return held, held.trial(key)


def export_trial(study: StudyLedger, trial: TrialLedger, folder: Path, *, data_root: Path | None = None) -> None:
    """Write the encoder of a finished trial: `model.safetensors`, `config.json`, `README.md`.

    Args:
        study: That holds the trial.
        trial: It.
        folder: To be made; it appears whole or not at all.
        data_root: Folder of downloaded data sets, for trials that did not note how their images were normalised.

    Raises:
        StudyError: If the trial has no encoder.
        StorageError: If the folder holds something, or cannot be written.
        DataError: If a file is damaged, or if the installed timm makes another network of the export.
    """
    result = trial.result()
    if result is None or result["outcome"] not in MEASURED:
        how = f"ended as {result['outcome']}" if result else "is not finished"
        raise StudyError(f"trial {trial.key} {how} and left no encoder; choose another of `lejepa report {study.name}`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} exists and is not empty; name another folder with --to")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            made = Path(scratch) / "export"
            made.mkdir()
            _fill(made, study, trial, result, data_root)
            if folder.exists():
                folder.rmdir()
            shutil.move(made, folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}; name another folder with --to") from error


def _fill(folder: Path, study: StudyLedger, trial: TrialLedger, result: Flat, data_root: Path | None) -> None:
    from lejepa_core.export import export_backbone
    from lejepa_platform.model_card import model_card
    from lejepa_platform.transfer import load_encoder

    config = TrialConfig.from_flat(result["config"])
    seen = preprocessing(study, trial, config, data_root)
    export_backbone(
        load_encoder(trial, config).backbone,
        folder,
        size=config.image_size,
        mean=seen["mean"],
        std=seen["std"],
        pretrained=config.pretrained,
    )
    (folder / "README.md").write_text(model_card(result, trial.later_metrics(), seen, trial.environment()))
    (folder / "trial.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def preprocessing(study: StudyLedger, trial: TrialLedger, config: TrialConfig, data_root: Path | None) -> Any:
    """How a trial's images were normalised: `size`, `mean`, `std`.

    Raises:
        DataError: If the trial did not note it, and its images are gone or have changed.
    """
    noted = trial.environment().get("preprocessing")
    if noted is not None:
        return noted
    from lejepa_platform.rerunning import task_of
    from lejepa_platform.trial import load_trial_data

    data = load_trial_data(task_of(study, config, study.path, data_root=data_root), config)
    return {"size": config.image_size, "mean": list(data.mean), "std": list(data.std)}
