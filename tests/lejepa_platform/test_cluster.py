"""Sessions on real clusters: who is let in, what is told when not, which code and which folders the nodes have."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from grpc import StatusCode
from ray_nodes import TOKEN, RayNodes, ray_nodes
from trackers import PYTHON_PATH, black_hole, free_port

from lejepa_core.errors import SettingError
from lejepa_platform import cluster as module
from lejepa_platform.cluster import reach
from lejepa_platform.entry import protect_token, ray_token
from lejepa_platform.errors import ClusterError
from lejepa_platform.execution import Execution

GUARDED = "import sys; from lejepa_platform.cli import guarded; from lejepa_platform.cluster import *\n"
REACH = f"{GUARDED}sys.exit(guarded(lambda: print(reach(sys.argv[1])) or 0))"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    """A head and a second node, which know nothing of this checkout."""
    with ray_nodes(["--num-cpus", "1"], ["--num-cpus", "1"], PYTHONPATH="") as nodes:
        yield nodes


def python(code: str, *arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**environment, **PYTHON_PATH}, capture_output=True, text=True,
        timeout=250,
    )  # fmt: skip


def without_token(cluster: RayNodes, home: Path, **variables: str) -> dict[str, str]:
    return {**cluster.environment, "HOME": str(home), "RAY_AUTH_MODE": "", **variables}


def test_a_head_that_is_not_there_is_told_in_seconds() -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at .* \(unavailable\); is its head up"):
        reach(f"127.0.0.1:{free_port()}")
    assert time.monotonic() - start < 10


def test_a_port_that_never_answers_is_told_in_seconds() -> None:
    start = time.monotonic()
    with black_hole() as port:
        # Ray would look for the loopback under this machine's other address.
        assert module._ask(f"127.0.0.1:{port}", None) in (StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE)
    assert time.monotonic() - start < 10


def test_rays_client_is_refused_with_the_command_to_use() -> None:
    with pytest.raises(SettingError, match=r"ray://h:10001 came.*lejepa submit --address http://HOST:8265"):
        Execution(storage=Path(), sources={}, tracking_uri="", address="ray://h:10001")


@pytest.mark.parametrize("there", [True, False])
def test_nobody_else_may_read_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ray"
    before = os.umask(0)
    try:
        if there:
            folder.mkdir()
            (folder / "auth_token").write_text("x")
        protect_token(make=True)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "auth_token")] == [0o700, 0o600]
    assert (ray_token() == "x") is there
    assert len(list(folder.iterdir())) == 1


def test_the_token_is_found_where_ray_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = [ray_token()]
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("home\n")
    found.append(ray_token())
    (tmp_path / "named").write_text("named\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    found.append(ray_token())
    monkeypatch.setenv("RAY_AUTH_TOKEN", "variable")
    assert [*found, ray_token()] == [None, "home", "named", "variable"]


@pytest.mark.slow
def test_a_cluster_with_a_token_says_where_it_is_looked_for(cluster: RayNodes, tmp_path: Path) -> None:
    done = python(REACH, cluster.address, environment=without_token(cluster, tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for place in ("wants a token", "RAY_AUTH_TOKEN,", "RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token"):
        assert place in done.stderr


@pytest.mark.slow
def test_a_wrong_token_is_told_from_none(cluster: RayNodes, tmp_path: Path) -> None:
    done = python(REACH, cluster.address, environment=without_token(cluster, tmp_path, RAY_AUTH_TOKEN="wrong"))
    assert done.returncode == 2
    assert "refuses the token that was found" in done.stderr


@pytest.mark.slow
def test_nodes_run_this_code_whatever_they_have(cluster: RayNodes, tmp_path: Path) -> None:
    """The token alone lets the driver in; its process knows no mode."""
    code = f"""{GUARDED}
def where():
    import lejepa_core, lejepa_platform.run
    return [lejepa_core.__file__, lejepa_platform.run.__file__]
with ray_session(sys.argv[1]):
    print(*ray.get(ray.remote(where).remote()))
"""
    environment = without_token(cluster, tmp_path, RAY_AUTH_TOKEN=TOKEN)
    del environment["RAY_AUTH_MODE"]
    done = python(code, cluster.address, environment=environment)
    assert done.returncode == 0, done.stderr
    assert [path.startswith(str(cluster.home)) for path in done.stdout.split()] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_a_folder_that_other_nodes_do_not_see_is_refused(cluster: RayNodes, tmp_path: Path, shared: bool) -> None:
    """That one node here does not see a folder is staged by a look that is as blind as a node without the folder."""
    code = f"""{GUARDED}
import lejepa_platform.cluster as cluster
from pathlib import Path
if sys.argv[3] == "blind":
    def blind(path, seconds):
        import os
        return os.path.exists("/nowhere" + path)
    cluster._sees = blind
with ray_session(sys.argv[1]):
    sys.exit(guarded(lambda: require_shared(Path(sys.argv[2])) or 0))
"""
    how = "seeing" if shared else "blind"
    done = python(code, cluster.address, str(tmp_path), how, environment=cluster.environment)
    assert done.returncode == (0 if shared else 2), done.stderr
    assert ("say a folder that all nodes share with --storage" in done.stderr) is not shared
    assert list(tmp_path.iterdir()) == []
