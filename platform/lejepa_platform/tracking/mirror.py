"""Makes MLflow hold exactly what the ledger says, whatever it held before.

    experiment             the study
    └── run, role=study    what belongs to the whole of it: the report
        └── run, role=cell     (variant, architecture, data set)
            └── run, role=trial    one per trial key

One process writes at a time. A run is made together with the tags that it is found by, so that a process
killed between any two calls leaves nothing that its successor cannot go on with. Points cannot be taken back
from a run: where one contradicts the ledger, as after a trial was run again, it is deleted and made anew.

Reading ten thousand runs takes MLflow half a minute, so what a process knew of them at its end is kept, and the next
asks for what was written or deleted since. It may miss what others wrote at the same time; `sync` reads everything.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lejepa_platform.config import Flat
from lejepa_platform.errors import StorageError, StudyError
from lejepa_platform.ledger import StudyLedger, TrialLedger
from lejepa_platform.storage import Location, at_hand, cache_of, is_file, read_json
from lejepa_platform.stored_variants import namer
from lejepa_platform.tracking.address import check_tracking, sqlite_path
from lejepa_platform.tracking.asking import MIRRORED_AT, OVERLAP, STAMP
from lejepa_platform.tracking.cache import Held, cache_path, load_runs, save_runs
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.inputs import dataset_input
from lejepa_platform.tracking.record import (
    VARIANT,
    Point,
    Record,
    Stamp,
    common_tags,
    later_digest,
    result_digest,
    versions_text,
)
from lejepa_platform.tracking.runs import PARENT, SAMPLES, Run, kept, read_runs

_METRICS_PER_BATCH: Final = 800
"""MLflow takes 1000 metrics, parameters and tags in all at once."""


@dataclass(slots=True)
class Index:
    """What a study's experiment holds."""

    client: Any
    experiment_id: str
    several_optimisers: frozenset[str]
    """Architectures whose trials differ in learning rate or weight decay."""
    common_tags: dict[str, str]
    """What the runs of the study and of its cells say about the method."""
    variants: Collection[str]
    """Names of the study's variants; the empty one alone if it has none."""
    variant_of: Callable[[Flat], str]
    """From a trial's settings to its variant."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Data set name -> where its images are."""
    newest: int = 0
    """When a trial was last written to, in seconds since 1970."""
    study: Run | None = None
    cells: dict[tuple[str, str, str], Run] = field(default_factory=dict)
    trials: dict[str, Run] = field(default_factory=dict)


class Mirror:
    """Writes a study to MLflow; any call may raise whatever MLflow raises, and may then be repeated."""

    def __init__(self, study: StudyLedger, uri: str, artifacts: Path | None, *, afresh: bool = False) -> None:
        """Nothing is contacted yet.

        Args:
            study: What to mirror.
            uri: The tracker.
            artifacts: Root of the artifacts of a tracker that is a database; beside an SQLite file if None.
            afresh: Whether nothing is believed that an earlier process knew.
        """
        self._study, self._uri, self._artifacts = study, uri, artifacts
        self._afresh = afresh
        self._cache: Path | None = None
        self._index: Index | None = None

    def open(self) -> Index:
        """Find or make the experiment, and read what it holds; at once if that is known.

        Raises:
            TrackingError: If the tracker cannot be used.
        """
        if self._index is None:
            check_tracking(self._uri)
            client = connect(self._uri)
            study = read_json(self._study.path / "study.json") or {}
            config, sources = study.get("config", {}), study.get("sources", {})
            experiment = self._experiment(client)
            folder = cache_of(self._study.path.parent) / "mirror"
            self._cache = cache_path(folder, self._uri, experiment.experiment_id, experiment.creation_time)
            index = Index(
                client,
                str(experiment.experiment_id),
                several_optimisers=_several_optimisers(config),
                common_tags=common_tags(config),
                variants=config.get("variants") or ("",),
                variant_of=namer(config),
                sources=sources,
            )
            held = Held({}) if self._afresh else load_runs(self._cache)
            for run in read_runs(client, index.experiment_id, held):
                self._file(index, run)
            self._index = index
        return self._index

    @property
    def opened(self) -> bool:
        """Whether it is known what the tracker holds."""
        return self._index is not None

    def forget(self) -> None:
        """Believe nothing about the tracker any more; the next call reads it again."""
        self._index, self._afresh = None, True

    def save(self) -> None:
        """Keep what is known of the tracker, for the next process; that it cannot be kept harms nothing."""
        if self._index is None or self._cache is None:
            return
        runs = {run.run_id: run.cached() for run in self._index.trials.values()}
        with suppress(StorageError, OSError):
            save_runs(self._cache, Held(runs, min(self._index.newest, int(time.time()) - OVERLAP)))

    def running(self) -> list[str]:
        """Keys of the trials that were mirrored before they ended."""
        runs = self._index.trials if self._index else {}
        return [key for key, run in runs.items() if run.status == "RUNNING"]

    def trial(self, ledger: TrialLedger) -> bool:
        """Mirror a trial.

        Returns:
            Whether there is such a trial: False before its first start.

        Raises:
            StudyError: If a file of the trial is damaged.
        """
        index = self.open()
        run = index.trials.get(ledger.key)
        if run is not None and self._complete(index, run, ledger):
            return True
        record = Record.read(ledger, index.variant_of)
        if record is None:
            return False
        parent = self._cell(index, record)
        if run is not None and run.stamp is not None and _contradicts(run.stamp, record):
            index.client.delete_run(run.run_id)
            run = None
        if run is None:
            run = index.trials[record.key] = self._create(
                index,
                {**record.tags(), PARENT: parent.run_id},
                name=record.name(optimiser=record.config["architecture"] in index.several_optimisers),
                created=record.created,
            )
        self._send(index, run, record, parent)
        return True

    def attach(self, path: Location) -> None:
        """Keep a file with the study's own run.

        Raises:
            StudyError: If there is no such file.
        """
        if not is_file(path):
            raise StudyError(f"{path} came, a file was wanted")
        index = self.open()
        run = self._study_run(index, created=int(time.time() * 1000))
        with at_hand(path) as file:
            index.client.log_artifact(run.run_id, str(file))

    def _experiment(self, client: Any) -> Any:
        found = client.get_experiment_by_name(self._study.name)
        if found is None:
            made = client.create_experiment(self._study.name, artifact_location=self._artifact_location())
            return client.get_experiment(made)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found

    def _artifact_location(self) -> str | None:
        if self._uri.startswith("http"):
            return None
        database = sqlite_path(self._uri)
        root = self._artifacts or (database.parent / "mlartifacts" if database else None)
        return (root.absolute() / self._study.name).as_uri() if root else None

    def _file(self, index: Index, run: Run) -> None:
        """Enter a run into the index; of two for the same thing, as two writers would make, one goes."""
        tags = run.tags
        match run.role:
            case "study":
                rival, index.study = index.study, run
            case "cell" if run.variant not in index.variants:
                # Of the time before the study had variants: its trials go to another.
                rival = run
            case "cell":
                rival, index.cells[run.cell] = index.cells.get(run.cell), run
            case "trial":
                key = tags.get("trial_key", "")
                index.newest = max(index.newest, int(tags.get(MIRRORED_AT, 0)))
                rival, index.trials[key] = index.trials.get(key), run
            case _:
                return
        if rival is not None:
            index.client.delete_run(rival.run_id)

    def _complete(self, index: Index, run: Run, ledger: TrialLedger) -> bool:
        result = ledger.result()
        if result is None or run.stamp is None or run.status == "RUNNING":
            return False
        later = later_digest(ledger.later_metrics(), ledger.transfer()), versions_text(ledger.versions())
        if (run.stamp.later, run.stamp.versions) != later:
            return False
        if run.variant != index.variant_of(result["config"]):
            return False
        cell = index.cells.get(run.cell)
        return run.stamp.result == result_digest(result) and cell is not None and run.parent == cell.run_id

    def _create(self, index: Index, tags: dict[str, str], *, name: str, created: int) -> Run:
        tags = {"study": self._study.name, **tags}
        made = index.client.create_run(index.experiment_id, start_time=created, tags=tags, run_name=name)
        return Run(made.info.run_id, tags["role"], "RUNNING", tags)

    def _study_run(self, index: Index, *, created: int) -> Run:
        if index.study is None:
            tags = {"role": "study", **index.common_tags}
            index.study = self._create(index, tags, name=self._study.name, created=created)
        return _folder(index.client, index.study, created)

    def _cell(self, index: Index, record: Record) -> Run:
        self._study_run(index, created=record.created)
        run = index.cells.get(record.cell)
        if run is None:
            tags = {name: record.tags().get(name, "") for name in (VARIANT, "architecture", "dataset", "family")}
            # Beside the study's run, not below it: MLflow's table would open with a single row.
            tags |= {"role": "cell", **index.common_tags}
            tags = {name: text for name, text in tags.items() if text}
            name = " / ".join(part for part in record.cell if part)
            run = self._create(index, tags, name=name, created=record.created)
            index.cells[record.cell] = run
        if not run.params:
            params = record.cell_params(optimiser=record.config["architecture"] in index.several_optimisers)
            _log(index.client, run.run_id, [], params, {})
            run.params = frozenset(params)
        return _folder(index.client, run, record.created)

    def _send(self, index: Index, run: Run, record: Record, parent: Run) -> None:
        client = index.client
        stamp, held = record.stamp, run.stamp
        if held is not None and held.epochs > stamp.epochs:
            # A trial that went back to its checkpoint; its epochs come again, and are the same.
            return
        if run.parent != parent.run_id:
            _set_parent(client, run, parent)
        if held is None:
            # Before the stamp: what a killed process has not written comes again, and is the same.
            client.log_inputs(run.run_id, datasets=[dataset_input(record.config, index.sources)])
        if stamp != held or run.variant != record.variant:
            # Never before what is held, however wrong a clock: a reader asks for what is not older than it knows.
            index.newest = max(index.newest, int(time.time()))
            samples = {SAMPLES: str(len(record.system))} if record.system else {}
            tags = {**record.tags(), **samples, STAMP: str(stamp), MIRRORED_AT: str(index.newest)}
            tags = {name: text for name, text in tags.items() if run.tags.get(name) != text}
            params = {name: text for name, text in record.params().items() if name not in run.params}
            points = record.points(held) + record.system_points(run.samples)
            _log(client, run.run_id, points, params, tags)
            run.stamp, run.params, run.samples = stamp, run.params | params.keys(), len(record.system)
            run.tags |= {**tags, VARIANT: record.variant}
        if record.result is not None and run.status != record.status:
            client.set_terminated(run.run_id, record.status, end_time=record.ended)
            run.status = record.status
            run.tags = kept(run.tags)


def _contradicts(held: Stamp, record: Record) -> bool:
    """Whether MLflow holds points that the ledger does not have, and will not have."""
    if held.result:
        return held.result != result_digest(record.result) or held.disowns(record.stamp)
    if held.epochs > len(record.rows):
        return record.result is not None
    return held.rows != record.rows_digest(held.epochs)


def _log(client: Any, run_id: str, points: list[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Log in batches, the tags last: what the stamp among them says is there is there."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(point.key, point.value, point.timestamp, point.step) for point in points]
    while len(metrics) > _METRICS_PER_BATCH:
        client.log_batch(run_id, metrics=metrics[:_METRICS_PER_BATCH])
        metrics = metrics[_METRICS_PER_BATCH:]
    client.log_batch(
        run_id,
        metrics=metrics,
        params=[Param(name, text) for name, text in params.items()],
        tags=[RunTag(name, text) for name, text in tags.items()],
    )


def _set_parent(client: Any, run: Run, parent: Run) -> None:
    client.set_tag(run.run_id, PARENT, parent.run_id)
    run.tags[PARENT] = parent.run_id


def _folder(client: Any, run: Run, created: int) -> Run:
    """A run that only holds others is never seen as running, whoever is killed when."""
    if run.status == "RUNNING":
        client.set_terminated(run.run_id, "FINISHED", end_time=created)
        run.status = "FINISHED"
    return run


def _several_optimisers(config: Flat) -> frozenset[str]:
    optimisers = config.get("optimisers", {})
    return frozenset(architecture for architecture, pairs in optimisers.items() if len(pairs) > 1)
