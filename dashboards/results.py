"""From a study folder to one tidy table: a row per trial, nothing dropped without a note.

The ledger is the truth about trials, so this needs no tracker.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from lejepa_core.settings import SIGREG, regularizer_label
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import FAILURES, StudyLedger, TrialLedger

PENDING: Final = "pending"
TEXTS: Final = ("key", "outcome", "reason", "architecture", "family", "dataset")
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
    """One row per trial; `TEXTS`, `NUMBERS` and `METRICS` are always columns. Accuracies are fractions."""
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
    def targets(self) -> tuple[str, ...]:
        """Other data sets on which encoders were evaluated."""
        return tuple(dict.fromkeys(name for held in self.draws.values() for name in held))

    @property
    def regularizer(self) -> str:
        """What to call the term that λ weighs in this study, `train/sigreg`."""
        return regularizer_label(str(self.config.get("regularizer", SIGREG)))

    @property
    def pretrained(self) -> bool:
        """Whether the backbones began with weights of the hub."""
        return bool(self.config.get("pretrained"))

    @property
    def searched(self) -> bool:
        """Whether λ was sampled adaptively (so the trials are no design) instead of on a grid."""
        return self.config.get("search", "grid") != "grid"


def read_results(study: Path) -> Results:
    """Read a study folder, finished or not.

    Args:
        study: The folder that holds `study.json`.

    Returns:
        The table and its notes. A trial without `result.json` has the outcome `pending`.

    Raises:
        StudyError: There is no readable `study.json`.
    """
    ledger = StudyLedger(study)
    if not ledger.exists():
        raise StudyError(f"no study.json in {str(study)!r}; wanted the folder of a study: STORAGE/STUDY")
    about = ledger.read()
    notes = [str(note) for note in about.get("notes") or ()]
    rows = list(_rows(ledger, notes))
    grid = (about.get("config") or {}).get("search", "grid") == "grid"
    planned = {str(key) for key in about.get("planned") or ()} if grid else set()
    kept = [row for row in rows if not planned or row["key"] in planned]
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept)} trials in the folder are not in the present plan: left out.")
    transfer = {row["key"]: ledger.trial(row["key"]).transfer() for row in kept}
    notes += _lost("Evaluations on", transfer.values())
    notes += _lost("Measurements by", (ledger.trial(row["key"]).measured() for row in kept))
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
            yield _row(trial, config, result or {})
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


def _row(trial: TrialLedger, config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    row = {**config, **(result.get("metrics") or {})}
    if result:
        row |= trial.later_metrics()
    row |= {"key": trial.key, "outcome": result.get("outcome") or PENDING}
    row |= {"reason": result.get("reason") or "", "seconds": result.get("seconds")}
    row["epochs_done"] = None if result else _epochs_done(trial.path / "metrics.jsonl")
    return row


def _epochs_done(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n") if path.is_file() else 0


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows))
    known = [*TEXTS, *NUMBERS, *METRICS]
    table = table.reindex(columns=[*known, *(name for name in table.columns if name not in known)])
    for name in (*NUMBERS, *METRICS):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
    for name in TEXTS:
        table[name] = table[name].fillna("").astype(str).astype(object)
    order = ["architecture", "dataset", "lambda", "seed", "learning_rate", "weight_decay", "key"]
    return table.sort_values(order, ignore_index=True)
