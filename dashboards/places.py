"""Where the commands find studies: in the folders of a storage, or in MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashboards.remote import read_remote
from dashboards.results import Results, read_results
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Location, cache_of, study_names
from lejepa_platform.tracking import mirrored_studies, tracking_uri

Source = Literal["ledger", "mlflow"]


def tracker_cache(storage: Location) -> Path:
    """Where what was read of a tracker is kept."""
    return cache_of(storage) / "mlflow"


@dataclass(frozen=True, slots=True)
class Place:
    """A storage folder, or a tracker."""

    source: Source
    storage: Location
    """Folder of all studies; of a tracker, where reports and what was read of it are kept."""
    uri: str | None = None
    """The tracker, if it is not that of the environment or of the storage."""

    @property
    def tracker(self) -> str:
        """Address of the tracker."""
        return tracking_uri(self.uri, self.storage)

    @property
    def cache(self) -> Path:
        """Where what was read of the tracker is kept."""
        return tracker_cache(self.storage)

    def studies(self) -> list[str]:
        """Names of all studies.

        Raises:
            TrackingError: If the tracker cannot be used.
        """
        if self.source == "mlflow":
            return mirrored_studies(self.tracker)
        return study_names(self.storage)

    def folder(self, study: str) -> Location:
        """Where what is made of a study belongs, which need not exist if the study is read from a tracker.

        Raises:
            StudyError: If there is no such study, or its name is none.
        """
        if self.source == "mlflow":
            return StudyLedger.at(self.storage, study).path
        return StudyLedger.find(study, self.storage).path

    def read(self, study: str) -> Results:
        """A study as it stands now.

        Args:
            study: Its name, or, in the ledger, its path.

        Raises:
            StudyError: If there is no such study.
            TrackingError: If the tracker cannot be used.
            StorageError: If what was read of a tracker cannot be kept.
        """
        if self.source == "mlflow":
            return read_remote(study, self.tracker, self.cache)
        return read_results(self.folder(study))
