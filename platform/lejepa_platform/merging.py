"""`lejepa merge`: one study of the trials of two; what is finished in either is never trained again."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import tyro

from lejepa_core.errors import SettingError
from lejepa_platform.config import Flat, StudyConfig, union
from lejepa_platform.errors import StorageError, StudyError
from lejepa_platform.ledger import FAILURES, StudyLedger, TrialLedger
from lejepa_platform.storage import Storage, read_json, write_json

_ENDED: Final = 3
"""Standing of a trial whose outcome says something of λ."""
_IGNORED: Final = shutil.ignore_patterns(".*", "*.lock")


@dataclass(frozen=True, kw_only=True, slots=True)
class Merge:
    """Make one study of two: the union of their axes, and the trials of both."""

    studies: tyro.conf.Positional[tuple[str, str]]
    """Names under the storage, or paths; where both hold a result of the same trial, the first is believed."""
    into: str
    """Name of the new study."""
    storage: Storage = Path("studies")
    """Folder of all studies."""

    def run(self) -> int:
        """Merge, and say what there is now and what the union of the axes lacks."""
        first, second = (StudyLedger.find(study, self.storage) for study in self.studies)
        merged = StudyLedger.at(self.storage, self.into)
        notes = merge_studies(first, second, merged)
        finished = {trial.key for trial in merged.trials() if trial.finished()}
        lacking = set(merged.read()["planned"]) - finished
        print("\n".join([*notes, f"study {merged.name} holds {len(finished)} finished trials"]))
        if lacking:
            command = f"python sweeps/lambda_stability.py --study {merged.name} --extend --storage {self.storage}"
            print(f"{len(lacking)} trials of the union of the axes are in neither study: {command}")
        print(f"MLflow   lejepa sync {merged.name} --storage {self.storage}")
        return 0


def merge_studies(first: StudyLedger, second: StudyLedger, into: StudyLedger) -> list[str]:
    """Make a study of two, all of it at once or nothing; the two stay as they are.

    Args:
        first: Where both hold a result of the same trial, this one's is kept.
        second: Its data sets that hold images of the first under another name get that name.
        into: Must not exist.

    Returns:
        Lines on what a reader should know.

    Raises:
        StudyError: If the studies differ in more than their axes, were made by another version of the method, or are
            being run.
        StorageError: If the disk refuses.
    """
    # Here, not at the top: the other commands start without Ray.
    from lejepa_platform.study import stored_config

    for study in (first, second, into):
        _folder(study)
    if into.path.exists():
        raise StudyError(f"study {into.name!r} exists already; name another with --into")
    if first.path == second.path:
        raise StudyError(f"study {first.name!r} came twice, two studies were wanted")
    with first.driver_lock(), second.driver_lock():
        names = _names(stored_config(first), stored_config(second))
        config = _union(stored_config(first), _renamed(stored_config(second), names))
        into.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix=".merging-", dir=_folder(into).parent) as folder:
                made = StudyLedger(Path(folder) / into.name)
                notes = _copy(first, second, made, names)
                _save(made, replace(config, name=into.name), first.read(), second.read(), names, notes)
                _folder(made).rename(_folder(into))
        except (OSError, shutil.Error) as error:
            raise StorageError(f"cannot write {into.path}: {error}") from error
    return notes


def _folder(of: StudyLedger | TrialLedger) -> Path:
    if isinstance(of.path, Path):
        return of.path
    raise StudyError(f"{of.path} came, and only studies in folders can be merged; copy it into one first")


def _names(first: StudyConfig, second: StudyConfig) -> dict[str, str]:
    """Data sets of the second study -> what the first one calls their images."""
    known = {fingerprint: name for name, fingerprint in first.fingerprints.items()}
    return {name: known.get(fingerprint, name) for name, fingerprint in second.fingerprints.items()}


def _renamed(config: StudyConfig, names: Mapping[str, str]) -> StudyConfig:
    fingerprints: dict[str, str] = {}
    for name, fingerprint in config.fingerprints.items():
        if fingerprints.setdefault(names[name], fingerprint) != fingerprint:
            raise StudyError(f"two data sets of study {config.name!r} would both be called {names[name]}")
    return replace(config, datasets=union([names[name] for name in config.datasets]), fingerprints=fingerprints)


def _union(first: StudyConfig, second: StudyConfig) -> StudyConfig:
    if different := first.conflicts(second):
        raise StudyError(
            f"studies {first.name!r} and {second.name!r} have other {', '.join(different)}; studies can be merged "
            "that differ in their axes alone: architectures, data sets, λ, optimisers, seeds, variants"
        )
    try:
        return first.extended(second)
    except SettingError as error:
        raise StudyError(f"studies {first.name!r} and {second.name!r} cannot be merged: {error}") from error


def _copy(first: StudyLedger, second: StudyLedger, made: StudyLedger, names: Mapping[str, str]) -> list[str]:
    """Copy the trials of both studies and what they share; returns lines on what a reader should know."""
    for name in ("floors", "rungs"):
        for study in (second, first):
            if (study.path / name).is_dir():
                shutil.copytree(_folder(study) / name, _folder(made) / name, ignore=_IGNORED, dirs_exist_ok=True)
    ours = {trial.key: trial for trial in first.trials()}
    theirs = {trial.key: trial for trial in second.trials()}
    differing = [
        key
        for key in union(list(ours), list(theirs))
        if not _copy_trial(ours.get(key), theirs.get(key), made.trial(key), names)
    ]
    if not differing:
        return []
    what = f"{len(differing)} trials ended otherwise in {second.name} than in {first.name}"
    return [f"{what}, whose results are kept: {' '.join(differing)}"]


def _copy_trial(
    ours: TrialLedger | None, theirs: TrialLedger | None, copy: TrialLedger, names: Mapping[str, str]
) -> bool:
    """Copy whichever came further, ours if neither did; False where both ended, and not alike."""
    if ours is None or (theirs is not None and _standing(theirs) > _standing(ours)):
        assert theirs is not None
        shutil.copytree(_folder(theirs), _folder(copy), ignore=_IGNORED)
        _rename_dataset(copy, names)
        return True
    shutil.copytree(_folder(ours), _folder(copy), ignore=_IGNORED)
    if theirs is None or not _standing(theirs)[0] == _standing(ours)[0] == _ENDED:
        return True
    if _found(ours) != _found(theirs):
        return False
    _add_measurements(copy, theirs)
    return True


def _standing(trial: TrialLedger) -> tuple[int, int]:
    """How much a trial's folder is worth: an end that says something of λ most, then how far it came."""
    result = trial.result()
    outcome = None if result is None else result["outcome"]
    if outcome is not None and outcome not in (*FAILURES, "stopped"):
        return _ENDED, 0
    return (0 if outcome is None else 1 if outcome in FAILURES else 2), len(trial.history())


def _found(trial: TrialLedger) -> tuple[Any, Any]:
    result = trial.result()
    assert result is not None
    return result["outcome"], result["metrics"]


def _rename_dataset(trial: TrialLedger, names: Mapping[str, str]) -> None:
    for file in ("config.json", "result.json"):
        document = read_json(trial.path / file)
        if document is not None and names.get(name := document["config"]["dataset"], name) != name:
            document["config"]["dataset"] = names[name]
            write_json(trial.path / file, document)


def _add_measurements(trial: TrialLedger, other: TrialLedger) -> None:
    """Add what was measured of the same encoder in another study, and here was not, or failed."""
    for file, here, there in (
        ("transfer.json", trial.transfer(), other.transfer()),
        ("measured.json", trial.measured(), other.measured()),
    ):
        added = {n: e for n, e in there.items() if n not in here or here[n]["outcome"] in FAILURES}
        for arrays in (_folder(other) / f"{name}.npz" for name in added if file == "measured.json"):
            if arrays.is_file():
                shutil.copy2(arrays, _folder(trial))
        if added:
            write_json(trial.path / file, here | added)


def _save(
    made: StudyLedger, config: StudyConfig, first: Flat, second: Flat, names: Mapping[str, str], notes: list[str]
) -> None:
    def joined(field: str) -> dict[str, Any]:
        theirs = {names.get(name, name): value for name, value in second.get(field, {}).items()}
        return theirs | first.get(field, {})

    made.save(
        config,
        sources=joined("sources"),
        planned=config.grid() if config.search == "grid" else [],
        notes=union(first["notes"], second["notes"], [f"Merged of the studies {first['name']} and {second['name']}."],
                    notes),
        streams=joined("streams"),
    )  # fmt: skip
