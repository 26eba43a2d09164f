"""What a run says of where its trial came from: code, machine, data."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from trackers import add_trial, finish, make_store, make_study, rows, stored, trial, trials_of

from lejepa_platform.environment import COMMIT_VARIABLE, code
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import read_json, write_json
from lejepa_platform.tracking import default_uri, read_run, sync
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.reader import read_mirrored

ENVIRONMENT = {
    "versions": {"torch": "2.14.1", "timm": "1.0.31", "numpy": "2.4.6"},
    "code": {"commit": "c0ffee" * 6 + "abcd", "dirty": True},
    "hardware": {"processor": "Some CPU @ 3 GHz", "cores": 2, "memory_gb": 8.2, "gpus": ["A", "B"]},
    "threads": 1,
}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> StudyLedger:
    make_store(tmp_path)
    study = make_study(tmp_path)
    write_json(
        study.path / "study.json", {**(read_json(study.path / "study.json") or {}), "sources": {"digits": "digits"}}
    )
    return study


def mirrored(study: StudyLedger, storage: Path) -> dict[str, Any]:
    sync(study, default_uri(storage))
    (run,) = trials_of(stored(storage / "mlflow.db")).values()
    return run


def test_a_run_says_which_code_packages_and_machine(study: StudyLedger, tmp_path: Path) -> None:
    config = trial()
    ledger = study.trial(config.key).begin(config)
    write_json(ledger.path / "environment.json", ENVIRONMENT)
    ledger.write_metrics(rows(1))
    finish(ledger, config)
    tags = mirrored(study, tmp_path)["tags"]
    wanted = {"mlflow.source.git.commit": ENVIRONMENT["code"]["commit"], "git_dirty": "true", "gpus": "A, B",
              "processor": "Some CPU @ 3 GHz", "version.torch": "2.14.1", "version.timm": "1.0.31"}  # fmt: skip
    assert wanted.items() <= tags.items()
    assert json.loads(tags["environment"]) == ENVIRONMENT
    assert json.loads(tags["config"]) == config.flat()


def test_a_run_read_back_has_its_configuration_and_environment(study: StudyLedger, tmp_path: Path) -> None:
    config = trial()
    write_json(add_trial(study, config).path / "environment.json", ENVIRONMENT)
    run = read_run(mirrored(study, tmp_path)["id"], default_uri(tmp_path))
    assert (run.study, run.document["key"], run.environment) == ("demo", config.key, ENVIRONMENT)


def test_a_run_shows_its_data_set_once(study: StudyLedger, tmp_path: Path) -> None:
    uri = default_uri(tmp_path)
    for seed in (0, 1):
        add_trial(study, trial(seed=seed))
    sync(study, uri)
    sync(study, uri)
    client = connect(uri)
    for run in read_mirrored("demo", uri).trials:
        (given,) = client.get_run(run.run_id).inputs.dataset_inputs
        assert (given.dataset.name, given.dataset.digest) == ("digits", "f00d")
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "train")]
        assert json.loads(given.dataset.source) == {"name": "digits"}


def test_the_commit_is_that_of_the_checkout_and_dirty_with_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    assert code(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    code.cache_clear()
    (tmp_path / "file").write_text("two")
    assert code(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_without_a_checkout_the_commit_is_that_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code(tmp_path) == {}
    code.cache_clear()
    monkeypatch.setenv(COMMIT_VARIABLE, "c0ffee")
    assert code(tmp_path) == {"commit": "c0ffee"}
    code.cache_clear()
