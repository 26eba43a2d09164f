"""What a driver tells its trials, and why it refuses a study that exists."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from toys import STUDY

from lejepa_core.errors import SettingError
from lejepa_platform.errors import StudyError
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.study import open_study
from lejepa_platform.task import TrialTask
from lejepa_platform.watch import Watch

CHANGED = replace(STUDY, fingerprints={**STUDY.fingerprints, "folder:cats": "c" * 16})


@pytest.mark.parametrize("given", [None, Path("data")])
def test_a_trial_is_told_the_whole_path_of_the_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Path | None
) -> None:
    monkeypatch.setenv("LEJEPA_DATA_ROOT", "data")
    monkeypatch.chdir(tmp_path)
    sources = {name: name for name in STUDY.datasets}
    execution = Execution(storage=tmp_path, sources=sources, tracking_uri="", data_root=given)
    watch = Watch(STUDY, StudyLedger.at(tmp_path, "s"), execution, Mock(), Mock())
    task = TrialTask.from_json(watch.begin(STUDY.grid()[0]))
    assert task.data_root == str(tmp_path / "data")


def test_other_images_are_named_with_what_may_have_changed_them(tmp_path: Path) -> None:
    StudyLedger.at(tmp_path, "s").save(STUDY, sources={}, planned=[])
    with pytest.raises(StudyError, match=r"exists with other images of folder:cats; .*--stream"):
        open_study(CHANGED, tmp_path)
    with pytest.raises(SettingError, match=r"has other images of folder:cats .*--stream"):
        open_study(CHANGED, tmp_path, extend=True)
