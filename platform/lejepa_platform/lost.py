"""A cluster that is lost under its driver: Ray's own calls wait for it for a minute, or for ever.

The driver talks to Ray's daemon on its machine and to the head. Both are asked for a connection now and then; where one
refuses for a while, the process ends with one line, since there is nothing that it could still tell Ray.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import ray
from ray._private import worker

from lejepa_platform.stopping import end_now

EVERY: Final = 3.0
"""Seconds between two looks, and until one counts as refused."""
REFUSALS: Final = 5
"""In a row, until the cluster counts as lost: a daemon that is merely busy accepts connections all the same."""


@contextmanager
def ended_with_cluster(address: str) -> Iterator[None]:
    """End this process with exit code 2 once the cluster that it is connected to is lost."""
    over = threading.Event()
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    daemon = worker._global_node.raylet_socket_name
    threading.Thread(
        target=_watch, args=(over, (host, int(port)), daemon, address), name="cluster-watch", daemon=True
    ).start()
    try:
        yield
    finally:
        over.set()


def _watch(over: threading.Event, head: tuple[str, int], daemon: str, address: str) -> None:
    refused = 0
    while not over.wait(EVERY):
        refused = 0 if _accepts(head) and _accepts(daemon) else refused + 1
        if refused == REFUSALS:
            end_now(2, f"error: the Ray cluster {address} is lost; the same command continues once there is one again")


def _accepts(address: tuple[str, int] | str) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(EVERY)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
