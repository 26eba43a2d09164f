"""From MLflow to the same `Results` as from a study folder, for whoever has a tracker but not the folder."""

from pathlib import Path

from dashboards.results import Results, tabulate, trial_row
from lejepa_platform.tracking import read_mirrored, without_gc

_NO_DOCUMENT = (
    "The tracker holds no study.json that can be read from here: settings of the study are not shown, and trials that "
    "were not started are not counted. `lejepa sync` adds it."
)


def read_remote(name: str, uri: str, cache: Path | None = None) -> Results:
    """Read a study from a tracker.

    Args:
        name: The study's name.
        uri: The tracker.
        cache: Folder to keep what was read in, so that next time only what is new is asked for.

    Returns:
        What `read_results` gives of the study's folder, as far as the tracker is up to date. A failure's reason is cut
        after 5000 characters.

    Raises:
        TrackingError: If the tracker cannot be used.
        StudyError: If it does not know the study.
        StorageError: If the cache cannot be written.
    """
    with without_gc():
        study = read_mirrored(name, uri, cache)
        documents = [trial.document for trial in study.trials]
        return tabulate(
            study.document or {"name": name, "config": {}},
            [trial_row(document) for document in documents],
            {document["key"]: document["transfer"] for document in documents},
            {},
            () if study.document else (_NO_DOCUMENT,),
        )
