"""MLflow servers that are killed, slow or full, and what they hold in the end."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fault_rows import Row
from trackers import free_port, make_store, stored, trials_of


def start_server(row: Row, port: int | None = None) -> tuple[str, subprocess.Popen[bytes]]:
    """An MLflow server over `mlflow.db` in the row's folder; returns its address as well."""
    if not (row.folder / "mlflow.db").exists():
        make_store(row.folder)
    port = port or free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{row.folder / 'mlflow.db'}",
        "--artifacts-destination", str(row.folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    server = row.launch(command, row.folder / "server.log")

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=30) as answer:
            return bool(answer.status == 200)
        return False

    row.until(answers, server)
    return uri, server


def synchronise(row: Row, uri: str) -> None:
    """`lejepa sync`, as the study's last line asks for where something is missing."""
    command = [sys.executable, "-m", "lejepa_platform.cli", "sync", "s", "--storage", str(row.storage)]
    row.end(row.launch([*command, "--tracking-uri", uri], row.log))


def assert_mirrored(row: Row, database: Path) -> None:
    """Each trial has one run, which holds each epoch once, and every metric of the result."""
    runs = trials_of(stored(database, "s"))
    results = row.results()
    assert runs.keys() == results.keys()
    for key, result in results.items():
        run = runs[key]
        assert (run["status"], run["tags"]["outcome"]) == ("FINISHED", "ok")
        points = Counter((name, step) for name, step, _, _ in run["points"])
        assert set(points.values()) == {1}
        epochs = (row.storage / "s" / "trials" / key / "metrics.jsonl").read_text().splitlines()
        assert {("train/loss", json.loads(line)["epoch"]) for line in epochs} <= points.keys()
        last = {name: value for name, _, _, value in run["points"]}
        assert {n: last[n] for n, value in result["metrics"].items() if value is not None} == {
            n: value for n, value in result["metrics"].items() if value is not None
        }


@contextmanager
def slowed(port: int, seconds: float) -> Iterator[int]:
    """A port behind which all requests and answers of another take so long."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(seconds)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
