import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from trackers import add_trial, finish, make_store, make_study, rows, trial

from dashboards.remote import read_remote
from dashboards.report import main, run_pages, write_report
from dashboards.results import Results, read_results
from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import StudyError, TrackingError
from lejepa_platform.ledger import StudyLedger, TransferResult
from lejepa_platform.storage import write_json
from lejepa_platform.tracking import default_uri, mirrored_studies, run_links, sync
from lejepa_platform.tracking.asking import prefixes
from lejepa_platform.tracking.client import connect
from lejepa_platform.tracking.reader import trial_document

AWKWARD = 0.1 + 0.2
"""Needs all 17 digits."""


def assert_same(remote: Results, local: Results) -> None:
    pd.testing.assert_frame_equal(remote.trials, local.trials, check_exact=True)
    assert remote == replace(local, trials=remote.trials)


def study_of_everything(storage: Path) -> StudyLedger:
    """Every outcome, a trial that runs, one that was never started, one outside the plan, other data sets."""
    configs = {
        "ok": trial(),
        "collapsed": replace(trial(lambda_=1e-05, architecture="vit_tiny"), limit_train=100, pretrained=True),
        "diverged": trial(lambda_=AWKWARD),
        "stopped": trial(seed=1),
        "oom": trial(seed=2),
    }
    running, foreign, unstarted = trial(seed=3), trial(seed=4), trial(seed=5)
    study = StudyLedger.at(storage, "demo")
    planned = [config.key for config in (*configs.values(), running, unstarted)]
    settings = {"optimisers": {"resnet10t_w32": [[1e-3, 0.05]]}, "search": "grid"}
    document = {"name": "demo", "method_version": 3, "config": settings, "planned": planned, "notes": ["2 skipped"]}
    write_json(study.path / "study.json", document)
    for outcome, config in (*configs.items(), ("ok", foreign)):
        ledger = study.trial(config.key).begin(config)
        ledger.write_metrics(rows(3, scale=AWKWARD))
        last = rows(3, scale=AWKWARD)[-1]
        measured = {"train/loss": last["train/loss"], "train/sigreg": last["train/sigreg"], "test/linear_top1": 1 / 3}
        metrics: dict[str, Any] = {"train/loss": None, "floor/chance": 0.1} if outcome == "diverged" else measured
        finish(ledger, config, outcome, metrics=metrics, reason="" if outcome == "ok" else "x" * 100)  # type: ignore[arg-type]
    study.trial(running.key).begin(running).write_metrics(rows(2))
    add_transfer(study, configs["ok"])
    return study


def add_transfer(study: StudyLedger, config: TrialConfig) -> None:
    ledger = study.trial(config.key).begin(config)
    draws = {"linear_top1_at_1": [1 / 3, 1 / 7, AWKWARD]}
    metrics = {"linear_top1": 1 / 7, "linear_top1_at_1": 0.3}
    ledger.write_transfer("folder:a+b", TransferResult(fingerprint="f", metrics=metrics, draws=draws))
    ledger.write_transfer("dtd", TransferResult(fingerprint="g", outcome="oom", reason="out of memory"))


@pytest.fixture
def study(tmp_path: Path) -> StudyLedger:
    make_store(tmp_path)
    study = study_of_everything(tmp_path)
    sync(study, default_uri(tmp_path))
    return study


def test_ledger_and_tracker_give_the_same_results_to_the_last_bit(study: StudyLedger, tmp_path: Path) -> None:
    local = read_results(study.path)
    assert set(local.trials["outcome"]) == {"ok", "collapsed", "diverged", "stopped", "oom", "pending"}
    assert (local.unstarted, len(local.notes), local.targets) == (1, 3, ("folder:a+b",))
    assert_same(read_remote("demo", default_uri(tmp_path)), local)


def test_ledger_and_tracker_tell_the_same_variants(tmp_path: Path) -> None:
    make_store(tmp_path)
    variants = {"all": {"settings": {"limit_train": None}, "lambdas": None},
                "few": {"settings": {"limit_train": 100}, "lambdas": [0.05, 0.1]}}  # fmt: skip
    axes = {"architectures": ["resnet10t_w32"], "datasets": ["digits"], "seeds": [0], "lambdas": [0.05]}
    configs = [trial(), replace(trial(), limit_train=100)]
    unstarted = replace(trial(0.1), limit_train=100)
    study = make_study(tmp_path, variants=variants, **axes)
    document = study.read() | {"planned": [config.key for config in (*configs, unstarted)]}
    document["config"]["optimisers"] = {"resnet10t_w32": [[1e-3, 0.05]]}
    write_json(study.path / "study.json", document)
    for config in configs:
        add_trial(study, config)
    sync(study, default_uri(tmp_path))
    local, remote = read_results(study.path), read_remote("demo", default_uri(tmp_path), tmp_path / "cache")
    assert_same(remote, local)
    assert local.trials["variant"].tolist() == ["all", "few"]
    for name, done, left in (("all", 1, 0), ("few", 1, 1)):
        assert_same(remote.only(name), local.only(name))
        assert (len(local.only(name).trials), local.only(name).unstarted) == (done, left)
    for path in (tmp_path / "mlartifacts").rglob("study.json"):
        path.unlink()
    assert read_remote("demo", default_uri(tmp_path)).trials["variant"].tolist() == ["all", "few"]


def test_a_warm_cache_follows_every_change(study: StudyLedger, tmp_path: Path) -> None:
    uri, cache = default_uri(tmp_path), tmp_path / "cache"
    assert_same(read_remote("demo", uri, cache), read_results(study.path))
    again = trial(seed=3)
    ledger = study.trial(again.key).begin(again)
    ledger.write_metrics(rows(3))
    finish(ledger, again)
    rerun = trial(seed=2)
    study.trial(rerun.key).forget()
    study.trial(rerun.key).begin(rerun).write_metrics(rows(1, scale=2.0))
    add_transfer(study, again)
    sync(study, uri)
    assert_same(read_remote("demo", uri, cache), read_results(study.path))


def test_a_warm_reader_takes_in_what_is_new_only(
    study: StudyLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, cache, now = default_uri(tmp_path), tmp_path / "cache", time.time()
    monkeypatch.setattr("lejepa_platform.tracking.reader.OVERLAP", -100)
    for seconds, seed in ((20, 3), (40, 6)):
        config = trial(seed=seed)
        finish(study.trial(config.key).begin(config), config)
        monkeypatch.setattr("lejepa_platform.tracking.mirror.time", SimpleNamespace(time=lambda at=now + seconds: at))
        sync(study, uri)
        taken: list[str] = []
        monkeypatch.setattr("lejepa_platform.tracking.reader.trial_document", lambda *of, to=taken: noted(to, *of))
        assert_same(read_remote("demo", uri, cache), read_results(study.path))
    # Of the second that was the latest, all is taken in again.
    assert sorted(taken) == ["3", "6"]


def noted(seeds: list[str], params: dict[str, str], *others: Any) -> dict[str, Any]:
    seeds.append(params["seed"])
    return trial_document(params, *others)


@pytest.mark.parametrize(("low", "high"), [(1_795_612_345, 1_795_613_999), (999, 999), (10, 99), (1234, 9876)])
def test_prefixes_hold_exactly_the_numbers_between(low: int, high: int) -> None:
    found = prefixes(low, high)
    for number in [*range(low - 50, high + 51), low - 5000, high + 5000]:
        if len(str(number)) == len(str(low)):
            assert sum(str(number).startswith(prefix) for prefix in found) == (low <= number <= high)


def test_a_run_deleted_in_mlflow_is_gone_from_a_warm_table(study: StudyLedger, tmp_path: Path) -> None:
    uri, cache = default_uri(tmp_path), tmp_path / "cache"
    before = read_remote("demo", uri, cache)
    run = run_links(study.name, uri)[trial().key].rpartition("/")[2]
    connect(uri).delete_run(run)
    after = read_remote("demo", uri, cache)
    assert set(before.trials["key"]) - set(after.trials["key"]) == {trial().key}
    assert after.unstarted == before.unstarted + 1


def test_a_run_that_was_only_just_made_is_no_trial_yet(study: StudyLedger, tmp_path: Path) -> None:
    uri, client = default_uri(tmp_path), connect(default_uri(tmp_path))
    before = read_remote("demo", uri)
    (experiment,) = (e for e in client.search_experiments() if e.name == "demo")
    client.create_run(experiment.experiment_id, tags={"role": "trial", "trial_key": "f" * 16, "outcome": "ok"})
    assert_same(read_remote("demo", uri), before)


def test_a_store_made_anew_owes_nothing_to_the_cache(study: StudyLedger, tmp_path: Path) -> None:
    uri, cache = default_uri(tmp_path), tmp_path / "cache"
    read_remote("demo", uri, cache)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("DELETE FROM runs")
        store.execute("UPDATE experiments SET creation_time = creation_time + 1")
    assert len(read_remote("demo", uri, cache).trials) == 0


def test_reports_read_the_tracker_through_one_cache(study: StudyLedger, tmp_path: Path) -> None:
    write_report(study.path)
    (file,) = (tmp_path / ".cache" / "mlflow").glob("*.parquet")
    main(["demo", "--from", "mlflow", "--storage", str(tmp_path)])
    assert list(file.parent.glob("*.parquet")) == [file]


def test_a_page_names_its_tracker_without_credentials() -> None:
    uri = "http://user:p%40ss@127.0.0.1:9/mlflow?token=secret"
    assert run_pages("demo", uri) == {"base": "http://127.0.0.1:9/mlflow/", "runs": {}}


def test_a_damaged_cache_is_read_again(study: StudyLedger, tmp_path: Path) -> None:
    uri, cache = default_uri(tmp_path), tmp_path / "cache"
    read_remote("demo", uri, cache)
    (file,) = cache.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    assert_same(read_remote("demo", uri, cache), read_results(study.path))


def test_without_the_study_document_the_table_says_what_it_lacks(study: StudyLedger, tmp_path: Path) -> None:
    for path in (tmp_path / "mlartifacts").rglob("study.json"):
        path.unlink()
    remote, local = read_remote("demo", default_uri(tmp_path)), read_results(study.path)
    assert len(remote.trials) == len(local.trials) + 1, "nothing tells the plan"
    assert "holds no study.json" in remote.notes[0]
    assert main(["demo", "--from", "mlflow", "--storage", str(tmp_path)]) == 0


def test_an_unknown_study_and_a_missing_tracker_are_one_line(study: StudyLedger, tmp_path: Path) -> None:
    uri = default_uri(tmp_path)
    assert mirrored_studies(uri) == ["demo"]
    with pytest.raises(StudyError, match="holds no study 'other'; it holds: demo"):
        read_remote("other", uri)
    with pytest.raises(TrackingError, match="connection refused"):
        read_remote("demo", "http://127.0.0.1:9")


def test_a_report_needs_no_study_folder(study: StudyLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(study.path)
    storage, uri = tmp_path / "elsewhere", default_uri(tmp_path)
    assert main(["demo", "--from", "mlflow", "--tracking-uri", uri, "--storage", str(storage)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(storage / "demo" / "report.html")
    local, remote = (json.loads((place / "demo" / "summary.json").read_text()) for place in (tmp_path, storage))
    assert remote == local
    with pytest.raises(StudyError, match="holds no study"):
        main(["other", "--from", "mlflow", "--tracking-uri", uri, "--storage", str(storage)])
    assert not (storage / "other").exists()
