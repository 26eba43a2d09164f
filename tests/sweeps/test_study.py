"""The main job from the command line: real Ray, real MLflow, real images, real kills."""

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import faults
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from studies import results, run, start, wait_for
from toys import STUDY, write_folder

from lejepa_platform.cli import main as lejepa
from lejepa_platform.cli import status
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.study import run_study
from lejepa_platform.tracking import default_uri

METRICS = {
    "train/loss", "train/prediction", "train/sigreg", "train/sigreg_share", "val/linear_top1", "test/linear_top1",
    "val/knn_top1", "test/knn_top1", "floor/random_init_linear_top1", "floor/chance",
}  # fmt: skip
OBJECTIVE = [f"objective/{name}" for name in ("samples", "dims", "views", "knots", "slices", "ranks")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run have in common."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-study"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def images(shared: Path) -> Path:
    """Three classes of images, one of which is cut short."""
    folder = shared / "stripes"
    with FileLock(shared / "images.lock"):
        if not folder.exists():
            written = write_folder(shared / "writing" / "stripes")
            victim = written / "stripes_1" / "7.png"
            victim.write_bytes(victim.read_bytes()[:300])
            written.rename(folder)
    return folder


@pytest.fixture(scope="module")
def finished(shared: Path, images: Path) -> Path:
    """The storage of a study that nothing disturbed; tests leave its trials alone."""
    storage = shared / "studies"
    with FileLock(shared / "studies.lock"):
        if not (shared / "err").exists():
            out, err = run(storage, images)
            (shared / "out").write_text(out)
            (shared / "err").write_text(err)
    return storage


def trial_runs(storage: Path) -> list:
    client = MlflowClient(default_uri(storage))
    experiment = client.get_experiment_by_name("s")
    runs = client.search_runs([experiment.experiment_id], "tags.trial_key != ''", max_results=1000)
    return [run for run in runs if "trial_key" in run.data.tags]


def histories(storage: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    client = MlflowClient(default_uri(storage))
    return {
        (run.data.tags["trial_key"], name): [
            (p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)
        ]
        for run in trial_runs(storage)
        for name in run.data.metrics
        if name.startswith("train/")
    }


def test_a_study_ends_with_results_a_summary_and_a_report(finished: Path) -> None:
    trials = results(finished)
    assert len(trials) == 4
    for key, result in trials.items():
        assert set(result) == {"key", "outcome", "reason", "config", "metrics", "seconds"}
        assert result["key"] == key
        assert result["outcome"] == "ok", result
        assert set(result["metrics"]) >= METRICS
        assert all(0 <= result["metrics"][name] <= 1 for name in METRICS if "top1" in name or "floor" in name)
        assert result["config"]["dataset"] == "folder:stripes"
        rows = (finished / "s" / "trials" / key / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    summary = json.loads((finished / "s" / "summary.json").read_text())
    out = (finished.parent / "out").read_text()
    assert summary["verdict"] in out
    assert "4/4" in (finished.parent / "err").read_text()
    assert "<html" in (finished / "s" / "report.html").read_text()[:500]


def test_every_trial_stands_in_mlflow(finished: Path) -> None:
    runs = trial_runs(finished)
    assert Counter(run.data.tags["trial_key"] for run in runs) == dict.fromkeys(results(finished), 1)
    for logged in runs:
        tags, result = logged.data.tags, results(finished)[logged.data.tags["trial_key"]]
        assert (tags["outcome"], tags["study"]) == ("ok", "s")
        assert tags["objective_form"] == "(1-lambda)*prediction + lambda*sigreg; per view; N global"
        assert (tags["architecture"], tags["dataset"]) == (result["config"]["architecture"], "folder:stripes")
        assert float(logged.data.params["lambda"]) == logged.data.metrics["hp/lambda"] == result["config"]["lambda"]
        for name in ("test/linear_top1", *OBJECTIVE):
            assert logged.data.metrics[name] == result["metrics"][name]
        assert logged.info.status == "FINISHED"
    client = MlflowClient(default_uri(finished))
    parent = client.search_runs([runs[0].info.experiment_id], "tags.role = 'study'")[0]
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {"report.html", "summary.json"}


def test_the_same_command_again_trains_nothing(finished: Path, images: Path) -> None:
    attempts = {path: path.read_text() for path in finished.glob("s/trials/*/attempt.json")}
    out, _ = run(finished, images)
    assert {path: path.read_text() for path in finished.glob("s/trials/*/attempt.json")} == attempts
    assert json.loads((finished / "s" / "summary.json").read_text())["verdict"] in out
    assert len(trial_runs(finished)) == 4


@pytest.mark.parametrize("finished_by_then", [(1,), pytest.param((0, 1, 2), marks=pytest.mark.slow)])
def test_killed_it_ends_as_if_nothing_had_happened(
    finished_by_then: tuple[int, ...], tmp_path: Path, images: Path, finished: Path
) -> None:
    storage = tmp_path / "studies"
    for count in finished_by_then:
        process = start(storage, images)
        wait_for(
            lambda: len(results(storage)) >= count and list(storage.glob("s/trials/*/checkpoint/state.pt")),  # noqa: B023
            process=process,
        )
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    run(storage, images)
    undisturbed = {key: result["metrics"] for key, result in results(finished).items()}
    assert {key: result["metrics"] for key, result in results(storage).items()} == undisturbed
    assert Counter(run.data.tags["trial_key"] for run in trial_runs(storage)) == dict.fromkeys(undisturbed, 1)
    assert histories(storage) == histories(finished)


@pytest.mark.slow
def test_a_half_done_trial_continues_from_its_checkpoint(tmp_path: Path, images: Path) -> None:
    storage = tmp_path / "studies"
    process = start(storage, images, "--epochs", "200", "--lambdas", "0.1", "--architectures", "resnet10t_w32")
    trial = lambda: next(storage.glob("s/trials/*/metrics.jsonl"), None)  # noqa: E731
    wait_for(lambda: trial() and len(trial().read_text().splitlines()) >= 10, process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    reached = len(trial().read_text().splitlines())
    process = start(storage, images, "--epochs", "200", "--lambdas", "0.1", "--architectures", "resnet10t_w32")
    attempt = trial().with_name("attempt.json")
    wait_for(lambda: json.loads(attempt.read_text())["attempt"] == 2, process=process)
    fewest = reached
    while (now := len(trial().read_text().splitlines())) < reached + 5:
        fewest = min(fewest, now)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert fewest >= reached - 2


def test_a_truncated_image_is_named_skipped_and_reported(finished: Path) -> None:
    assert "stripes_1/7.png" in (finished.parent / "err").read_text()
    assert "stripes_1/7.png" in (finished / "s" / "report.html").read_text()


@pytest.mark.slow
def test_divergence_is_a_result_with_a_reason(tmp_path: Path, images: Path) -> None:
    storage = tmp_path / "studies"
    _, err = run(storage, images, "--learning-rates", "1e25", "--architectures", "resnet10t_w32", "--lambdas", "0.1")
    (result,) = results(storage).values()
    assert result["outcome"] == "diverged"
    assert "not finite" in result["reason"]
    assert "diverged" in err
    assert "diverged" in (storage / "s" / "report.html").read_text()
    (logged,) = trial_runs(storage)
    assert logged.data.tags["outcome"] == "diverged"
    assert [logged.data.metrics[name] for name in OBJECTIVE] == [result["metrics"][name] for name in OBJECTIVE]


def test_unlabelled_images_are_pretrained_on_and_not_probed(tmp_path: Path) -> None:
    images = write_folder(tmp_path / "plain", classes=1, per_class=60)
    storage = tmp_path / "studies"
    run(storage, images, "--unlabelled", "--epochs", "1", "--architectures", "resnet10t_w32", "--lambdas", "0.1")
    for result in results(storage).values():
        assert result["outcome"] == "ok", result
        assert not [name for name in result["metrics"] if "top1" in name or "chance" in name]
        assert result["metrics"]["train/loss"] > 0


def test_two_workers_share_a_trial_on_ray_train(tmp_path: Path, images: Path, finished: Path) -> None:
    storage = tmp_path / "studies"
    run(storage, images, "--workers-per-trial", "2", "--architectures", "resnet10t_w32", "--lambdas", "0.02")
    (result,) = results(storage).values()
    alone = results(finished)[result["key"]]
    assert result["outcome"] == "ok"
    # The same trial, so the same key; in float32 the first epoch still agrees closely.
    first = [
        json.loads((root / "s" / "trials" / result["key"] / "metrics.jsonl").read_text().splitlines()[0])["train/loss"]
        for root in (storage, finished)
    ]
    assert first[0] == pytest.approx(first[1], rel=1e-3)
    assert result["metrics"]["test/linear_top1"] == pytest.approx(alone["metrics"]["test/linear_top1"], abs=0.35)


@pytest.mark.slow
def test_a_study_searched_by_tpe_spends_its_trials(tmp_path: Path, images: Path) -> None:
    storage = tmp_path / "studies"
    arguments = ["--search", "tpe", "--trials", "3", "--epochs", "1", "--architectures", "resnet10t_w32"]
    run(storage, images, *arguments, "--lambdas", "0.01", "0.5")
    lambdas = [result["config"]["lambda"] for result in results(storage).values()]
    assert len(set(lambdas)) == 3
    assert all(0.01 <= value <= 0.5 for value in lambdas)


@pytest.mark.slow
def test_faults_end_their_own_trial_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(faults.__file__).parent))
    config = replace(
        STUDY, seeds=tuple(range(5)), architectures=("resnet10t_w32",), datasets=("digits",),
        fingerprints={"digits": "a" * 16},
    )  # fmt: skip
    execution = Execution(
        storage=tmp_path, sources={"digits": "digits"}, tracking_uri=default_uri(tmp_path), time_limit=10,
        max_concurrent=1, trial_function="faults:by_seed",
    )  # fmt: skip
    ledger = run_study(config, execution)
    ended = Counter((r["config"]["seed"], r["outcome"]) for t in ledger.trials() if (r := t.result()))
    assert ended == {
        (faults.OK, "ok"): 2, (faults.KILLED, "oom"): 2, (faults.EXITED, "error"): 2, (faults.HUNG, "timeout"): 2,
        (faults.RAISED, "error"): 2,
    }  # fmt: skip


@pytest.mark.slow
def test_a_study_whose_time_is_up_says_so_and_the_same_command_goes_on(tmp_path: Path, images: Path) -> None:
    storage = tmp_path / "studies"
    _, err = run(storage, images, "--max-hours", "0.0003")
    left = 4 - len(results(storage))
    assert left > 0
    assert f"the budget is spent with {left} of 4 trials unfinished" in err
    run(storage, images)
    assert len(results(storage)) == 4


@pytest.mark.slow
def test_what_a_scheduler_stops_is_unfinished_and_goes_on_without_it(tmp_path: Path, images: Path) -> None:
    storage, whole = tmp_path / "studies", tmp_path / "whole" / "studies"
    whole.parent.mkdir()
    arguments = ["--architectures", "resnet10t_w32", "--lambdas", "0.01", "0.05", "0.2", "0.5", "--max-concurrent", "1"]
    out, _ = run(storage, images, *arguments, "--scheduler", "asha")
    stopped = {key for key, result in results(storage).items() if result["outcome"] == "stopped"}
    assert stopped
    assert f"{4 - len(stopped)} of 4 trials ended ok ({len(stopped)} stopped)" in out
    assert (storage / "s" / "report.html").is_file()
    assert status(StudyLedger.at(storage, "s"))["done"] == 4 - len(stopped)
    before = results(storage)
    run(storage, images, *arguments, "--scheduler", "asha")
    assert results(storage) == before
    run(storage, images, *arguments)
    run(whole, images, *arguments)
    assert {k: r["metrics"] for k, r in results(storage).items()} == {
        k: r["metrics"] for k, r in results(whole).items()
    }


@pytest.mark.slow
def test_the_command_of_a_merged_study_trains_what_both_lack(tmp_path: Path, images: Path) -> None:
    storage = tmp_path / "studies"
    arguments = ["--architectures", "resnet10t_w32", "--epochs", "1"]
    run(storage, images, *arguments, "--lambdas", "0.02", "0.2", "--study", "a")
    run(storage, images, *arguments, "--lambdas", "0.2", "0.5", "--study", "b", "--seed", "1")
    assert lejepa(["merge", "a", "b", "--into", "s", "--storage", str(storage)]) == 0
    before = results(storage)
    run(storage, images, *arguments, "--extend")
    after = results(storage)
    assert len(before) == 4
    assert len(after) == 6
    assert {key: after[key] for key in before} == before
