"""A real S3 server, moto's, in a process of its own on a free port; what it holds ends with it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BUCKET = "studies"
_CODE = """
import sys
from moto.s3.models import s3_backends
from moto.server import main
s3_backends["123456789012"]["aws"].create_bucket(sys.argv[2], "us-east-1")
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(port: int) -> dict[str, str]:
    """What a process needs to use the server; no credentials of whoever runs the tests."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def start(port: int) -> subprocess.Popen[bytes]:
    """A server that will hold an empty bucket."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, str(port), BUCKET], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server takes connections."""
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None and time.monotonic() < deadline
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)


@contextmanager
def server() -> Iterator[int]:
    """A server that answers; gives its port."""
    port = free_port()
    process = start(port)
    try:
        wait(port, process)
        yield port
    finally:
        process.kill()
        process.wait()
