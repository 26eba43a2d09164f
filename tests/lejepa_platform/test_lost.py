"""A cluster as its driver sees it, two sockets, of which one closes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

CODE = """
import sys, threading
from lejepa_platform import lost
lost.EVERY = 0.1
lost._watch(threading.Event(), ("127.0.0.1", int(sys.argv[1])), sys.argv[2], "HOST:6379")
"""
LINE = "error: the Ray cluster HOST:6379 is lost; the same command continues once there is one again\n"


def watch(head: socket.socket, daemon: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(head.getsockname()[1]), str(daemon)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def listen(path: Path) -> tuple[socket.socket, socket.socket]:
    head, daemon = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    daemon.bind(str(path))
    daemon.listen()
    return head, daemon


def test_a_driver_ends_with_one_line_when_its_head_is_lost(tmp_path: Path) -> None:
    head, daemon = listen(tmp_path / "s")
    with daemon, watch(head, tmp_path / "s") as driver:
        head.accept()
        assert driver.poll() is None
        head.close()
        assert driver.communicate()[1] == LINE
        assert driver.returncode == 2


def test_a_driver_ends_with_one_line_when_the_daemon_of_its_machine_is_lost(tmp_path: Path) -> None:
    head, daemon = listen(tmp_path / "s")
    with head, watch(head, tmp_path / "s") as driver:
        daemon.accept()
        assert driver.poll() is None
        daemon.close()
        assert driver.communicate()[1] == LINE
        assert driver.returncode == 2
