import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from trackers import (
    PYTHON_PATH,
    add_trial,
    assert_mirrored,
    black_hole,
    free_port,
    make_store,
    make_study,
    stored,
    trial,
    trials_of,
    wait_for,
)

from lejepa_platform.errors import TrackingError
from lejepa_platform.tracking import Tracker, check_tracking, run_links, sync


class Server:
    """MLflow's server as `lejepa_platform.tracking.ui` starts it, in a process of its own."""

    def __init__(self, storage: Path) -> None:
        self.storage, self.port = storage, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        code = "import sys; from pathlib import Path; from lejepa_platform.tracking import ui;"
        code += "sys.exit(ui(Path(sys.argv[1]), int(sys.argv[2])))"
        log = (self.storage / "server.log").open("ab")
        command = [sys.executable, "-c", code, str(self.storage), str(self.port)]
        with log:
            self.process = subprocess.Popen(command, env={**os.environ, **PYTHON_PATH}, stdout=log, stderr=log)
        wait_for(self.answers, 90)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.storage / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    storage = tmp_path_factory.mktemp("served")
    make_store(storage)
    server = Server(storage)
    server.start()
    yield server
    server.stop()


def test_a_server_holds_the_same_and_answers_questions(server: Server, tmp_path: Path) -> None:
    import mlflow

    study = make_study(tmp_path, "served")
    configs = [trial(lambda_=lambda_, seed=1) for lambda_ in (0.005, 0.02, 0.05, 0.1)]
    check_tracking(server.uri)
    tracker = Tracker(study, server.uri)
    tracker.open()
    for config in configs:
        add_trial(study, config)
        tracker.touch(config.key)
    (study.path / "report.html").write_text("<p>λ matters</p>")
    tracker.attach(study.path / "report.html")
    assert tracker.close() == ""
    assert_mirrored(study, server.storage / "mlflow.db", configs)

    client = mlflow.MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("served")
    ask = [experiment.experiment_id]
    found = client.search_runs(ask, 'metrics."hp/lambda" > 0.02 AND tags.outcome = "ok"')
    assert {run.data.params["lambda"] for run in found} == {"0.05", "0.1"}
    (cell,) = client.search_runs(ask, "tags.role = 'cell'")
    children = client.search_runs(ask, f"tags.mlflow.parentRunId = '{cell.info.run_id}'")
    assert {run.data.tags["trial_key"] for run in children} == {config.key for config in configs}
    (top,) = client.search_runs(ask, "tags.role = 'study'")
    address = f"{server.uri}/get-artifact?path=report.html&run_uuid={top.info.run_id}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read().decode() == "<p>λ matters</p>"
    assert run_links(study.name, server.uri) == {
        run.data.tags["trial_key"]: f"#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
        for run in children
    }


def test_training_outlives_the_server_and_sync_catches_up(server: Server, tmp_path: Path) -> None:
    study = make_study(tmp_path, "survivor")
    configs = [trial(seed=seed) for seed in range(3)]
    tracker = Tracker(study, server.uri)
    tracker.open()
    add_trial(study, configs[0])
    tracker.touch(configs[0].key)
    database = server.storage / "mlflow.db"
    wait_for(lambda: any(run["status"] == "FINISHED" for run in trials_of(stored(database, "survivor")).values()))

    assert server.stop() == 0
    with pytest.raises(TrackingError, match="connection refused"):
        check_tracking(server.uri)
    assert run_links(study.name, server.uri) == {}
    for config in configs[1:]:
        add_trial(study, config)
        tracker.touch(config.key)
    start = time.monotonic()
    message = tracker.close()
    assert time.monotonic() - start < 10
    assert "lacks 2 trials (" in message
    assert "connection refused" in message
    with pytest.raises(TrackingError, match="connection refused"):
        sync(study, server.uri)

    server.start()
    assert sync(study, server.uri) == 3
    assert_mirrored(study, database, configs)
    assert sync(study, server.uri) == 3
    assert_mirrored(study, database, configs)


def test_a_tracker_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    study, config = make_study(tmp_path), trial()
    add_trial(study, config)
    with black_hole() as hole:
        tracker = Tracker(study, f"http://127.0.0.1:{hole}")
        tracker.open()
        start = time.monotonic()
        for _ in range(1000):
            tracker.touch(config.key)
        assert time.monotonic() - start < 0.5
        message = tracker.close(seconds=0.5)
        assert time.monotonic() - start < 2
    assert "lacks 1 trial" in message
    assert f"lejepa sync {study.path} --tracking-uri http:" in message
