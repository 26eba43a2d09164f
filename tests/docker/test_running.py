"""What the images run, run here: MLflow over a real PostgreSQL, a cluster with a token, Prometheus and the board."""

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from containers import DOCKER, ENTRYPOINTS, entrypoint, environment, healthy, secret, started
from postgres import database
from trackers import free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Server:
    """Where a server is, and what it takes to be let in."""

    url: str
    password: Path
    session: int
    log: Path

    def status(self, path: str, *, body: Any = None, **headers: str) -> int:
        """The answer's code."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | headers
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def admin(self) -> dict[str, str]:
        word = base64.b64encode(f"admin:{self.password.read_text()}".encode()).decode()
        return {"Authorization": f"Basic {word}"}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    files = {name: secret(folder / name) for name in ("database", "admin", "session")}
    log, url = folder / "mlflow.log", f"http://127.0.0.1:{port}"
    with database(files["database"].read_text()) as held:
        variables = environment(
            folder, POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(urlsplit(held.uri).port), TMPDIR=str(folder),
            POSTGRES_PASSWORD_FILE=str(files["database"]), MLFLOW_PASSWORD_FILE=str(files["admin"]),
            MLFLOW_SESSION_KEY_FILE=str(files["session"]), MLFLOW_ARTIFACTS=str(folder / "artifacts"),
            MLFLOW_BIND="127.0.0.1", MLFLOW_PORT=str(port), MLFLOW_HOSTS=f"127.0.0.1:{port}",
        )  # fmt: skip
        with started([str(ENTRYPOINTS / "mlflow.sh")], log, variables) as session:
            wait_for(lambda: healthy(f"{url}/health", folder), 400)
            yield Server(url, files["admin"], session, log)


EXPERIMENTS = "/api/2.0/mlflow/experiments"


def test_nobody_reads_or_writes_without_a_password(mlflow: Server) -> None:
    assert mlflow.status(f"{EXPERIMENTS}/search?max_results=1") == 401
    assert mlflow.status(f"{EXPERIMENTS}/create", body={"name": "anonymous"}) == 401


def test_the_administrator_reads_and_writes(mlflow: Server) -> None:
    assert mlflow.status(f"{EXPERIMENTS}/create", body={"name": "known"}, **mlflow.admin()) == 200
    assert mlflow.status(f"{EXPERIMENTS}/get-by-name?experiment_name=known", **mlflow.admin()) == 200


def test_another_host_s_name_is_refused(mlflow: Server) -> None:
    assert mlflow.status(f"{EXPERIMENTS}/search?max_results=1", Host="evil.example", **mlflow.admin()) == 403


def test_a_second_user_reads_and_does_not_write(mlflow: Server) -> None:
    word = "4d0c8be17fa9425e93b6"
    user = {"username": "second", "password": word}
    assert mlflow.status("/api/2.0/mlflow/users/create", body=user, **mlflow.admin()) == 200
    assert mlflow.status(f"{EXPERIMENTS}/create", body={"name": "first"}, **mlflow.admin()) == 200
    second = {"Authorization": "Basic " + base64.b64encode(f"second:{word}".encode()).decode()}
    assert mlflow.status(f"{EXPERIMENTS}/get-by-name?experiment_name=first", **second) == 200
    assert mlflow.status("/api/2.0/mlflow/runs/create", body={"experiment_id": "0"}, **second) == 403


def test_no_password_is_in_a_command_line_or_in_the_log(mlflow: Server) -> None:
    words = [mlflow.password.read_bytes(), (mlflow.password.parent / "database").read_bytes()]
    pids = subprocess.run(["pgrep", "--session", str(mlflow.session)], capture_output=True, text=True, check=True)
    seen = [Path("/proc", pid, "cmdline").read_bytes() for pid in pids.stdout.split()]
    assert seen and not any(word in text for word in words for text in [*seen, mlflow.log.read_bytes()])


@dataclass(frozen=True)
class Cluster:
    """A head and a worker on this machine."""

    dashboard: str
    token: Path
    folder: Path

    def client(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a client that has the token."""
        variables = {"RAY_AUTH_TOKEN_PATH": str(self.token), "RAY_API_SERVER_ADDRESS": self.dashboard}
        return entrypoint("study.sh", *command, home=self.folder, **variables)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = Path(f"/tmp/lejepa-{os.getpid()}")  # Ray's sockets have paths of at most 107 characters.
    folder.mkdir(mode=0o700)
    token, gcs, dashboard = secret(folder / "token"), free_port(), free_port()
    variables = environment(
        folder, RAY_AUTH_TOKEN_PATH=str(token), RAY_HEAD=f"127.0.0.1:{gcs}",
        AUTOSCALER_METRIC_PORT=str(free_port()), DASHBOARD_METRIC_PORT=str(free_port()),
    )  # fmt: skip
    agents = [free_port(), free_port()]
    own = [["--dashboard-agent-listen-port", str(agent), "--metrics-export-port", str(free_port())] for agent in agents]
    head = [str(ENTRYPOINTS / "ray-head.sh"), "--port", str(gcs), "--dashboard-host", "127.0.0.1"]
    head += [
        "--dashboard-port",
        str(dashboard),
        "--ray-client-server-port",
        str(free_port()),
        "--temp-dir",
        str(folder / "ray"),
        *own[0],
    ]
    worker = [str(ENTRYPOINTS / "ray-worker.sh"), "--num-cpus", "1", *own[1]]
    page = "http://127.0.0.1:{}/api/local_raylet_healthz"
    try:
        with started(head, folder / "head.log", variables):
            wait_for(lambda: healthy(page.format(agents[0]), folder), 180)
            with started(worker, folder / "worker.log", variables):
                wait_for(lambda: healthy(page.format(agents[1]), folder), 180)
                yield Cluster(f"http://127.0.0.1:{dashboard}", token, folder)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_jobs_want_the_token(cluster: Cluster) -> None:
    server = Server(cluster.dashboard, cluster.token, 0, cluster.folder)
    assert server.status("/api/jobs/") == 401
    assert server.status("/api/jobs/", Authorization=f"Bearer {cluster.token.read_text()}") == 200


def test_a_job_of_a_client_sees_both_nodes(cluster: Cluster) -> None:
    code = "import ray; ray.init('auto', log_to_driver=False); print('nodes:', len(ray.nodes()))"
    done = cluster.client("ray", "job", "submit", "--", "python", "-c", code)
    assert done.returncode == 0 and "nodes: 2" in done.stdout, done.stdout + done.stderr


def test_no_token_is_in_the_logs(cluster: Cluster) -> None:
    word = cluster.token.read_bytes()
    logs = [path for path in cluster.folder.rglob("*") if path.is_file() and path.suffix in (".log", ".err", ".out")]
    assert logs and not [path for path in logs if word in path.read_bytes()]


WITHOUT_GPUS = {"GPUs in use", "GPU load by node", "GPU memory by node", "Trials", "Workers that died"}


def test_the_board_s_panels_have_data(cluster: Cluster) -> None:
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yaml").read_text())
    (discovery,) = config["scrape_configs"][0]["file_sd_configs"]
    discovery["files"] = [path.replace("/tmp/ray", str(cluster.folder / "ray")) for path in discovery["files"]]
    config["global"]["scrape_interval"] = discovery["refresh_interval"] = "2s"
    file = cluster.folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={cluster.folder / 'tsdb'}"]
    command.append(f"--web.listen-address={url.removeprefix('http://')}")

    def lacking() -> list[str]:
        return [panel["title"] for panel in board["panels"] for t in panel["targets"] if not ask(t["expr"])]

    def ask(expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=30) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found

    board = json.loads((DOCKER / "grafana" / "dashboards" / "lejepa.json").read_text())
    with started(
        command, cluster.folder / "prometheus.log", environment(cluster.folder) | {"PATH": os.environ["PATH"]}
    ):
        wait_for(lambda: healthy(f"{url}/-/ready", cluster.folder), 60)
        deadline = time.monotonic() + 90
        while (missing := set(lacking()) - WITHOUT_GPUS) and time.monotonic() < deadline:
            time.sleep(2)
    assert not missing
