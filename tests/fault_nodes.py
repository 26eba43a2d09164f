"""Ray clusters of several nodes on this machine, each a session of processes that can be lost as a machine is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from fault_rows import Row, kill, of_session
from trackers import free_port

_PORTS = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port")


def start_head(row: Row, cpus: int, port: int | None = None) -> tuple[str, subprocess.Popen[bytes]]:
    """A cluster of one node; returns its address and the process that everything of it descends from."""
    port = port or free_port()
    client = free_port()
    options = [
        "--head", f"--port={port}", f"--ray-client-server-port={client}", "--include-dashboard=false", "--no-monitor",
    ]  # fmt: skip
    return f"127.0.0.1:{port}", _start(row, cpus, options)


def join(row: Row, address: str, cpus: int) -> subprocess.Popen[bytes]:
    """One more node."""
    return _start(row, cpus, [f"--address={address}"])


def _start(row: Row, cpus: int, options: list[str]) -> subprocess.Popen[bytes]:
    ray = str(Path(sys.executable).with_name("ray"))
    ports = [f"--{name}={free_port()}" for name in _PORTS]
    # Workers on ports that the system chooses: other clusters of this machine take from the same range.
    own = ["--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0", f"--num-cpus={cpus}"]
    log = row.folder / f"node-{len(row.sessions)}.log"
    # Ray gives its own processes half a minute to come up, which a busy machine exceeds.
    for _ in range(3):
        node = row.launch([ray, "start", "--block", "--disable-usage-stats", *own, *ports, *options], log)
        row.until(lambda node=node: "Ray runtime started" in log.read_text() or node.poll() is not None)
        if node.poll() is None:
            return node
        kill(of_session(node.pid))
    raise AssertionError(log.read_text())


def raylet(node: subprocess.Popen[bytes]) -> psutil.Process:
    """What makes a node one."""
    (found,) = [process for process in of_session(node.pid) if process.name() == "raylet"]
    return found


def lose(node: subprocess.Popen[bytes]) -> None:
    """Lose a node with all that runs on it."""
    kill([psutil.Process(node.pid), *of_session(node.pid)])
    node.wait()


def trial_on(row: Row, node: subprocess.Popen[bytes]) -> tuple[Path, psutil.Process] | None:
    """A trial that runs on a node and can be continued from a checkpoint, and its process."""
    for trial, process in row.trial_processes().items():
        if os.getsid(process.pid) == node.pid and (trial / "checkpoint" / "state.pt").exists():
            return trial, process
    return None


def stop_in_checkpoint(trial: Path, process: psutil.Process) -> None:
    """Stop a trial's process where it has written a part of its next checkpoint."""
    while process.is_running():
        process.suspend()
        if list((trial / "checkpoint").glob(".state.pt.*")):
            return
        process.resume()
        time.sleep(0.001)
    raise AssertionError("the trial ended without a further checkpoint")
