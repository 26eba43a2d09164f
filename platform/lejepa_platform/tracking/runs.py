"""What is known of a study's runs in MLflow, and how a process that knows an earlier state reads the present one."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from lejepa_platform.tracking.asking import MIRRORED_AT, STAMP, deleted, pages, written_since
from lejepa_platform.tracking.cache import CachedRun, Held
from lejepa_platform.tracking.record import VARIANT, Stamp

PARENT: Final = "mlflow.parentRunId"
SAMPLES: Final = "mirrored_samples"
"""Tag of a trial's run: how many samples of its machine it holds."""
_KEPT: Final = ("trial_key", "architecture", "dataset", VARIANT, PARENT, MIRRORED_AT)


@dataclass(slots=True)
class Run:
    """What is known of a run in MLflow."""

    run_id: str
    role: str
    status: str
    tags: dict[str, str]
    """Those in `_KEPT`; of a run made by this process all, as long as more are to come."""
    params: frozenset[str] = frozenset()
    stamp: Stamp | None = None
    samples: int = 0
    """Of the machine."""

    @classmethod
    def read(cls, run: Any) -> Self:
        """From MLflow's entity."""
        tags = run.data.tags
        return cls(
            run.info.run_id,
            tags.get("role", ""),
            run.info.status,
            kept(tags),
            frozenset(run.data.params),
            Stamp.parse(tags.get(STAMP, "")),
            int(tags.get(SAMPLES, 0)),
        )

    @classmethod
    def known(cls, cached: CachedRun) -> Self:
        """Back from `cached()`."""
        held = dict(cached.document)
        params, stamp = frozenset(held.pop("params")), Stamp.parse(held.pop("stamp"))
        return cls(cached.run_id, "trial", params=params, stamp=stamp, **held)

    def cached(self) -> CachedRun:
        """What the next process should know; of a trial's run."""
        document = {
            "status": self.status,
            "tags": kept(self.tags),
            "params": sorted(self.params),
            "stamp": str(self.stamp or ""),
            "samples": self.samples,
        }
        return CachedRun(self.run_id, int(self.tags.get(MIRRORED_AT, 0)), document)

    @property
    def parent(self) -> str | None:
        """Id of the run above."""
        return self.tags.get(PARENT)

    @property
    def variant(self) -> str:
        """Of the study, that it belongs to; empty if it was written when the study had none."""
        return self.tags.get(VARIANT, "")

    @property
    def cell(self) -> tuple[str, str, str]:
        """(variant, architecture, data set)."""
        return self.variant, self.tags.get("architecture", ""), self.tags.get("dataset", "")


def kept(tags: Mapping[str, str]) -> dict[str, str]:
    """What is remembered of a run's tags."""
    return {name: tags[name] for name in _KEPT if name in tags}


def read_runs(client: Any, experiment_id: str, held: Held) -> Iterable[Run]:
    """Every run of an experiment that was not deleted.

    Args:
        client: Of MLflow.
        experiment_id: The study's.
        held: What was known of its trials, from `Run.cached`; what is in MLflow since is asked for.
    """
    if not held.since > 0:
        return map(Run.read, pages(client, experiment_id))
    gone = deleted(client, experiment_id)
    runs = {run_id: Run.known(cached) for run_id, cached in held.runs.items() if run_id not in gone}
    return {**runs, **{run.run_id: run for run in _news(client, experiment_id, held)}}.values()


def _news(client: Any, experiment_id: str, held: Held) -> Iterator[Run]:
    # Runs that a killed process has made and written nothing to, and those that it had yet to end, are running.
    for text in ("tags.role = 'study'", "tags.role = 'cell'", "attributes.status = 'RUNNING'"):
        yield from map(Run.read, pages(client, experiment_id, text))
    yield from map(Run.read, written_since(client, experiment_id, held.since, int(time.time())))
