"""From a study folder to one tidy table: a row per trial, nothing dropped without a note.

The ledger is the truth about trials, so this needs no tracker.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pandas as pd

from lejepa_core.methods import label_of
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import FAILURES, StudyLedger, TrialLedger
from lejepa_platform.storage import Location, folder_at_hand, read_bytes
from lejepa_platform.stored_variants import namer, planned_trials, variant_config
from lejepa_platform.trial_ledger import DOCUMENTS

PENDING: Final = "pending"
TEXTS: Final = ("key", "outcome", "reason", "variant", "architecture", "family", "dataset")
NUMBERS: Final = ("lambda", "seed", "learning_rate", "weight_decay", "seconds", "epochs_done")
METRICS: Final = (
    "train/loss",
    "train/prediction",
    "train/sigreg",
    "train/sigreg_share",
    "val/linear_top1",
    "test/linear_top1",
    "val/knn_top1",
    "test/knn_top1",
    "floor/random_init_linear_top1",
    "floor/random_init_knn_top1",
    "floor/chance",
    "geometry/effective_rank",
    "geometry/spread",
    "heldout/prediction",
    "heldout/sigreg",
    "heldout/sigreg_share",
    "heldout/retrieval_top1",
    "heldout/retrieval_projection_top1",
    "geometry/embedding_rank",
    "geometry/alpha_req",
    "geometry/lidar",
    "geometry/projection_lidar",
    "geometry/slices_outside",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A study as it stands now."""

    study: Mapping[str, Any]
    """`study.json`: name, method_version, config, planned, notes."""
    trials: pd.DataFrame
    """One row per trial; `TEXTS`, `NUMBERS` and `METRICS` are always columns. Accuracies are fractions. Statistics are
    of trials that differ in no other settings than their cell's: in a study with variants, of `only` one of them."""
    unstarted: int
    """Planned trials that have no folder yet, so that nothing but their number is known."""
    notes: tuple[str, ...]
    """What a reader should know: the study's own notes, then what this module could not read."""
    draws: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] = field(default_factory=dict)
    """Trial key -> other data set -> metric -> accuracy of each few-shot draw."""

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study.get("name", ""))

    @property
    def config(self) -> Mapping[str, Any]:
        """The study's settings, flat."""
        config: Mapping[str, Any] = self.study.get("config") or {}
        return config

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the study's variants, in order; the empty one alone if it has none."""
        return tuple(self.config.get("variants") or ("",))

    def only(self, variant: str) -> "Results":
        """One variant, as the study that it would be by itself.

        Raises:
            StudyError: If the study has no such variant.
        """
        if variant not in self.variants:
            known = " ".join(map(repr, filter(None, self.variants))) or "none"
            raise StudyError(f"study {self.name!r} has no variant {variant!r}; it has: {known}")
        if not variant:
            return self
        trials = self.trials[self.trials["variant"] == variant].reset_index(drop=True)
        keys = set(trials["key"])
        planned = planned_trials(self.config)[variant] if self.study.get("planned") else 0
        config = variant_config(self.config, variant)
        return replace(
            self,
            study={**self.study, "name": f"{self.name}@{variant}", "part_of": self.name, "config": config},
            trials=trials,
            unstarted=max(0, planned - len(trials)),
            draws={key: held for key, held in self.draws.items() if key in keys},
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """Other data sets on which encoders were evaluated."""
        return tuple(dict.fromkeys(name for held in self.draws.values() for name in held))

    @property
    def regularizer(self) -> str:
        """What to call the term beside prediction in this study, `train/sigreg`."""
        return label_of(self.config)

    @property
    def pretrained(self) -> bool:
        """Whether the backbones began with weights of the hub."""
        return bool(self.config.get("pretrained"))

    @property
    def searched(self) -> bool:
        """Whether λ was sampled adaptively (so the trials are no design) instead of on a grid."""
        return self.config.get("search", "grid") != "grid"


def read_results(study: Location) -> Results:
    """Read a study folder, finished or not.

    Args:
        study: The folder that holds `study.json`.

    Returns:
        The table and its notes. A trial without `result.json` has the outcome `pending`.

    Raises:
        StudyError: There is no readable `study.json`.
    """
    with folder_at_hand(study, _documents) as folder:
        return _read(StudyLedger(folder), study)


def _documents(names: Collection[str]) -> list[str]:
    """Of a study's files those that are read here; how far a trial is matters only until it has a result."""
    held = set(names)
    wanted = ("study.json", *DOCUMENTS)
    files = [(name, name.rpartition("/")) for name in names]
    return [
        name
        for name, (folder, _, file) in files
        if file in wanted or (file == "metrics.jsonl" and f"{folder}/result.json" not in held)
    ]


def _read(ledger: StudyLedger, study: Location) -> Results:
    if not ledger.exists():
        raise StudyError(f"no study.json in {str(study)!r}; wanted the folder of a study: STORAGE/STUDY")
    about = ledger.read()
    notes: list[str] = []
    rows = list(_rows(ledger, notes))
    trials = {row["key"]: ledger.trial(row["key"]) for row in rows}
    transfer = {key: trial.transfer() for key, trial in trials.items()}
    return tabulate(about, rows, transfer, {key: trial.measured() for key, trial in trials.items()}, notes)


def tabulate(
    about: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    transfer: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
    unread: Sequence[str],
) -> Results:
    """The results of a study, wherever its trials were read.

    Args:
        about: `study.json`.
        rows: From `trial_row`.
        transfer: Trial key -> its `transfer.json`; its metrics are in the rows already.
        measured: Trial key -> its `measured.json`, likewise; a tracker holds none, and tells of no failed protocol.
        unread: Notes on what could not be read.
    """
    notes = [str(note) for note in about.get("notes") or ()] + list(unread)
    if (about.get("config") or {}).get("variants"):
        variant_of = namer(about["config"])
        rows = [{**row, "variant": variant_of(row)} for row in rows]
    grid = (about.get("config") or {}).get("search", "grid") == "grid"
    planned = {str(key) for key in about.get("planned") or ()} if grid else set()
    kept = [row for row in rows if not planned or row["key"] in planned]
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept)} trials in the folder are not in the present plan: left out.")
    transfer = {row["key"]: transfer[row["key"]] for row in kept}
    notes += _lost("Evaluations on", transfer.values())
    notes += _lost("Measurements by", (measured[row["key"]] for row in kept if row["key"] in measured))
    return Results(
        study=about,
        trials=_table(kept),
        unstarted=len(planned - {row["key"] for row in kept}),
        notes=tuple(notes),
        draws={
            key: {name: entry["draws"] for name, entry in held.items() if entry["draws"]}
            for key, held in transfer.items()
        },
    )


def _rows(ledger: StudyLedger, notes: list[str]) -> Iterator[dict[str, Any]]:
    for trial in ledger.trials():
        if not trial.path.is_dir():
            continue
        result = trial.result()
        if result is None and (trial.path / "result.json").exists():
            notes.append(f"trials/{trial.key}/result.json cannot be read: seen as pending.")
        config = (trial.config() or {}).get("config") or (result or {}).get("config")
        if config:
            yield _row(trial, {**(result or {}), "config": config})
        else:
            notes.append(f"trials/{trial.key} has no readable config.json: left out.")


def _lost(what: str, measured: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each data set, or protocol, of which measurements failed."""
    reasons: dict[str, list[str]] = {}
    for held in measured:
        for name, entry in held.items():
            if entry["outcome"] in FAILURES:
                reasons.setdefault(name, []).append(entry["reason"])
    return [f"{what} {name} that failed: {len(lost)} ({lost[0]})." for name, lost in reasons.items()]


def _row(trial: TrialLedger, document: Mapping[str, Any]) -> dict[str, Any]:
    metrics = document.get("metrics") or {}
    if not document.get("outcome"):
        return trial_row({**document, "key": trial.key, "epochs": _epochs_done(trial.path / "metrics.jsonl")})
    return trial_row({**document, "key": trial.key, "metrics": {**metrics, **trial.later_metrics()}})


def trial_row(document: Mapping[str, Any]) -> dict[str, Any]:
    """A trial as a row of the table.

    Args:
        document: The fields of `result.json`; of an unfinished trial key, config and epochs, how many are done. Among
            the metrics are those that were measured of its encoder afterwards. A tracker knows the trial's variant too;
            what `study.json` says of it counts more.
    """
    outcome = document.get("outcome") or PENDING
    row = {**document["config"], **(document.get("metrics") or {}), "key": document["key"], "outcome": outcome}
    row |= {"reason": document.get("reason") or "", "seconds": document.get("seconds")}
    row["variant"] = document.get("variant")
    row["epochs_done"] = document.get("epochs") if outcome == PENDING else None
    # Nothing is said by a setting that is None or empty, and a tracker holds no such thing.
    return {name: value for name, value in row.items() if value is not None and value != ""}


def _epochs_done(path: Location) -> int:
    return (read_bytes(path) or b"").count(b"\n")


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows))
    known = [*TEXTS, *NUMBERS, *METRICS]
    table = table.reindex(columns=[*known, *sorted(set(table.columns) - set(known))])
    for name in (*NUMBERS, *METRICS):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
    for name in TEXTS:
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str).astype(object)
    order = ["variant", "architecture", "dataset", "lambda", "seed", "learning_rate", "weight_decay", "key"]
    return table.sort_values(order, ignore_index=True)
