"""A Ray session: on this machine or on a cluster."""

import logging
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import grpc
import ray
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import lejepa_core
import lejepa_platform
from lejepa_platform.entry import PLACES, protect_token, ray_token
from lejepa_platform.errors import ClusterError
from lejepa_platform.lost import ended_with_cluster
from lejepa_platform.stopping import descendants, kill, take_signals
from lejepa_platform.storage import write_bytes

LOG = logging.getLogger("lejepa")
START_ATTEMPTS = 3
"""Ray gives its own processes half a minute to come up on this machine, which a busy one exceeds."""
CONNECT_SECONDS = 5.0
"""How long a cluster may take to answer at all."""
SEEING_SECONDS = 10.0
"""How long a file may take to show on another node."""
ANSWERING_SECONDS = 120.0
"""How long nodes may take to start a process that looks."""
_ASK = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""What Ray's own health check asks."""


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """A Ray session, on this machine or on a cluster, as quiet as it can be.

    Raises:
        ClusterError: If the cluster cannot be reached, or does not let this process in.
    """
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    # Tune's own snapshots are never read back.
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")
    # How many trials are begun is for `Room` to say; Tune would start one actor after the other.
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000000")
    # Ray's memory monitor would kill the actor, or its neighbour's, where the kernel kills the trial alone.
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
    _start(address)
    take_signals()
    try:
        with ended_with_cluster(address) if address is not None else nullcontext():
            yield
    finally:
        ray.shutdown()


def reach(address: str) -> str:
    """Make sure that a cluster answers and lets this process in, within seconds: Ray itself would try for minutes.

    Args:
        address: HOST:PORT of the cluster's head, or "auto" for the cluster that this machine is part of.

    Returns:
        HOST:PORT.

    Raises:
        ClusterError: If it does not; the line says where a token is looked for.
    """
    try:
        place: str = canonicalize_bootstrap_address_or_die(address)
    except Exception as error:
        raise ClusterError(
            f"no Ray cluster at --address {address}: {error}; start one with `ray start --head`, or leave out --address"
        ) from error
    token = ray_token()
    refused = _ask(place, None)
    if refused is grpc.StatusCode.UNAUTHENTICATED:
        if token is None:
            raise ClusterError(f"the Ray cluster at {place} wants a token and none was found; looked for in: {PLACES}")
        refused = _ask(place, token)
        if refused is grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(f"the Ray cluster at {place} refuses the token that was found; looked for in: {PLACES}")
        _set_mode("token")
    elif token:
        # A token of this machine's own sessions would keep a cluster without tokens from answering.
        _set_mode("disabled")
    if refused is not None:
        raise ClusterError(
            f"no Ray cluster answers at {place} ({refused.name.lower()}); is its head up, and the port that of "
            "`ray start --head`, 6379 if none was named?"
        )
    return place


def machines() -> list[dict[str, float]]:
    """What each node of the cluster has, as it is now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def require_shared(folder: Path) -> None:
    """Make sure that every node on which a trial may run sees a folder.

    Args:
        folder: On this machine; a file is put there.

    Raises:
        ClusterError: If a node does not see it.
    """
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here and node["Resources"].get("CPU")]
    if not others:
        return
    marker = folder / f".seen-{uuid.uuid4().hex}"
    write_bytes(marker, socket.gethostname().encode())
    look = ray.remote(num_cpus=0)(_sees)
    asked = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            str(marker.resolve()), SEEING_SECONDS
        ): node["NodeManagerAddress"]
        for node in others
    }
    try:
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWERING_SECONDS)
        blind = sorted({asked[answer] for answer in answered if not _answer(answer)})
    finally:
        marker.unlink(missing_ok=True)
    if blind:
        raise ClusterError(
            f"node {', '.join(blind)} does not see {folder.resolve()}; say a folder that all nodes share with --storage"
        )
    if silent:
        LOG.warning("%d nodes did not say whether they see %s", len(silent), folder)


def _answer(asked: Any) -> bool:
    try:
        return bool(ray.get(asked))
    except ray.exceptions.RayError as error:
        LOG.warning("a node could not say whether it sees the study: %s", str(error).strip().splitlines()[0])
        return True


def _sees(path: str, seconds: float) -> bool:
    """Whether a file shows here; runs on another node."""
    deadline = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _ask(place: str, token: str | None) -> grpc.StatusCode | None:
    """What a head answers to Ray's health check; None = all is well."""
    headers = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(place) as channel:
        try:
            channel.unary_unary(_ASK)(b"", timeout=CONNECT_SECONDS, metadata=headers)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return None


def _set_mode(mode: str) -> None:
    """Use a token or none, unless the person has decided."""
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = mode
        ray._raylet.Config.initialize("")


@contextmanager
def _code() -> Iterator[Mapping[str, Any]]:
    """Options that ship this code to nodes that lack it, or have another; a submitted job brings its own.

    As a working directory: without one Ray puts the driver's own in front, where a node may have another checkout.
    """
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        for package in (lejepa_core, lejepa_platform):
            (source,) = package.__path__
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, Path(folder) / package.__name__, ignore=ignored)
        yield {"runtime_env": {"working_dir": folder}}


def _start(address: str | None) -> None:
    """Start Ray here, or go to a cluster."""
    protect_token(make=address is None)
    place = "local" if address is None else reach(address)
    held = descendants()
    for attempt in range(START_ATTEMPTS):
        try:
            with nullcontext({"include_dashboard": False}) if address is None else _code() as options:
                ray.init(address=place, log_to_driver=False, logging_level=logging.ERROR, **options)
            return
        except Exception as error:
            ray.shutdown()
            # A start that failed leaves what it had started.
            kill([process for process in descendants() if process not in held])
            if address is not None or attempt + 1 == START_ATTEMPTS:
                where = address or "on this machine"
                raise ClusterError(f"cannot start or reach Ray ({where}): {error}") from error
