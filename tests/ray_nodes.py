"""Ray clusters of several nodes on loopback, real raylets in processes of their own, ended by the test's own pids."""

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from trackers import free_port, wait_for

RAY = str(Path(sys.executable).with_name("ray"))
TOKEN = "0123456789abcdef" * 4
_LIGHT = ["--disable-usage-stats", "--object-store-memory", "80000000", "--node-ip-address", "127.0.0.1"]


@dataclass(kw_only=True)
class RayNodes:
    """A head and the nodes that were added to it."""

    home: Path
    """HOME of the cluster's processes, and of those who may enter: `.ray/auth_token` is in it."""
    environment: dict[str, str]
    """Of processes that may enter."""
    port: int = field(default_factory=free_port)
    client_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """For `--address`."""
        return f"127.0.0.1:{self.port}"

    @property
    def client_address(self) -> str:
        """For `--address`, through Ray's client."""
        return f"ray://127.0.0.1:{self.client_port}"

    @property
    def jobs_address(self) -> str:
        """Of the Jobs API; there is one if the cluster was started with it."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    def add(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a node; returns the process that ends it when it is terminated, once the cluster knows it.

        Args:
            arguments: Of `ray start`, such as "--num-cpus", "2".
            environment: Of the node's processes; None = as those of the cluster.
        """
        known = self.alive()
        ports = {
            name: str(free_port())
            for name in ("--dashboard-agent-listen-port", "--dashboard-agent-grpc-port", "--runtime-env-agent-port",
                         "--metrics-export-port")
        }  # fmt: skip
        command = [RAY, "start", "--block", *_LIGHT, *(word for pair in ports.items() for word in pair), *arguments]
        log = self.home / f"node-{len(self.nodes)}.log"
        # Ray gives a node 30 seconds to start, which a busy machine may miss.
        for _ in range(3):
            with log.open("wb") as out:
                node = subprocess.Popen(
                    command, env=dict(environment or self.environment), stdout=out, stderr=out, cwd=self.home
                )
            self.nodes.append(node)
            if self._joins(node, known):
                return node
            self.nodes.remove(node)
        raise AssertionError(log.read_text())

    def _joins(self, node: subprocess.Popen[bytes], known: int) -> bool:
        wait_for(lambda: node.poll() is not None or self.alive() > known, 180)
        return node.poll() is None

    def alive(self) -> int:
        """How many nodes the cluster knows and has not lost."""
        if not self.nodes:
            return 0
        code = (
            "import sys; from ray._raylet import GcsClient; client = GcsClient(address=sys.argv[1]);"
            "print(sum(info.state == 0 for info in client.get_all_node_info(timeout=2).values()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, self.address], env=self.environment, capture_output=True, text=True
        )
        return int(done.stdout) if done.returncode == 0 else 0


@contextmanager
def ray_nodes(*nodes: list[str], token: bool = True, jobs: bool = False, **variables: str) -> Iterator[RayNodes]:
    """A cluster, its first node the head; everything that it started is gone at the end.

    Args:
        nodes: Arguments of `ray start` for each node, such as ["--num-cpus", "2"].
        token: Whether nobody without the token may enter.
        jobs: Whether there is a Jobs API.
        variables: Further environment variables of the cluster's processes.
    """
    # Short: paths of sockets below it must have fewer than 108 characters.
    home = Path(tempfile.mkdtemp(prefix="r"))
    environment = {**os.environ, **variables, "HOME": str(home), "RAY_AUTH_MODE": "token" if token else "disabled"}
    # Jobs say `python`, and mean that of the tests.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    if token:
        (home / ".ray").mkdir(mode=0o700)
        (home / ".ray" / "auth_token").touch(0o600)
        (home / ".ray" / "auth_token").write_text(TOKEN)
    cluster = RayNodes(home=home, environment=environment)
    try:
        dashboard = ["--include-dashboard", str(jobs).lower(), "--dashboard-port", str(cluster.dashboard_port)]
        cluster.add("--head", "--port", str(cluster.port), "--ray-client-server-port", str(cluster.client_port),
                    "--dashboard-host", "127.0.0.1", *dashboard, "--temp-dir", str(home), *nodes[0])  # fmt: skip
        if jobs:
            wait_for(lambda: _answers(cluster.jobs_address), 120)
        for number, arguments in enumerate(nodes[1:]):
            # Files of its own, as on a machine of its own: a node unpacks what is shipped over what another runs.
            cluster.add("--address", cluster.address, "--temp-dir", str(home / str(number)), *arguments)
        yield cluster
    finally:
        _end(cluster.nodes)
        shutil.rmtree(home, ignore_errors=True)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _end(nodes: list[subprocess.Popen[bytes]]) -> None:
    """End nodes, the head last, and whatever of theirs is left."""
    for node in reversed(nodes):
        if node.poll() is None:
            family = psutil.Process(node.pid).children(recursive=True)
            node.terminate()
            _, left = psutil.wait_procs(family, timeout=20)
            for process in left:
                process.kill()
            node.kill()
        node.wait()
