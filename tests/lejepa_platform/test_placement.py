"""How many trials a cluster holds: against exhaustive placement, and on real Ray with logical GPUs."""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import drives
import pytest
from ray_nodes import ray_nodes
from trackers import PYTHON_PATH, wait_for

from lejepa_core.errors import SettingError
from lejepa_platform import placement as module
from lejepa_platform.errors import ClusterError
from lejepa_platform.execution import Execution
from lejepa_platform.executors import Placement
from lejepa_platform.placement import Room, concurrent_trials, fitting

Pieces = tuple[int, tuple[int, ...]]
"""Free CPUs of a machine, and free ten-thousandths of each of its GPUs."""


def most_workers(free: Pieces, cpus: int, gpu: int) -> int:
    """The most workers that any order of placing them puts on a machine; `gpu` in ten-thousandths."""
    left, gpus = free
    if left < cpus:
        return 0
    if gpu > 10_000:
        whole = [i for i, share in enumerate(gpus) if share == 10_000][: gpu // 10_000]
        options = [whole] if len(whole) == gpu // 10_000 else []
    else:
        options = [[i] for i, share in enumerate(gpus) if share >= gpu] if gpu else [[]]
    best = 0
    for taken in options:
        after = tuple(share - (min(gpu, 10_000) if i in taken else 0) for i, share in enumerate(gpus))
        best = max(best, 1 + most_workers((left - cpus, after), cpus, gpu))
    return best


@pytest.mark.parametrize("seed", range(60))
def test_what_fits_is_what_trying_every_placement_finds(seed: int) -> None:
    draw = random.Random(seed)
    machines = [{"CPU": draw.randint(0, 5), "GPU": draw.randint(0, 3)} for _ in range(draw.randint(1, 4))]
    workers, cpus = draw.randint(1, 3), draw.randint(1, 3)
    gpus = draw.choice([0.0, 0.25, 0.4, 0.5, 0.6, 1.0, 2.0])
    free = [(machine["CPU"], (10_000,) * machine["GPU"]) for machine in machines]
    expected = sum(most_workers(pieces, cpus, round(gpus * 10_000)) for pieces in free) // workers
    trial = Placement(executor="ray_train", workers=workers, threads=cpus, gpus=gpus)
    assert fitting(trial, machines) == expected


def test_what_is_wanted_bounds_what_fits() -> None:
    trial = Placement(executor="inline", threads=2)
    assert [concurrent_trials(trial, [{"CPU": 9}], wanted) for wanted in (None, 3, 100)] == [4, 3, 4]


def test_what_never_fits_is_refused_with_the_arithmetic() -> None:
    trial = Placement(executor="ray_train", workers=2, threads=4, gpus=2)
    here = [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 2.0}]
    with pytest.raises(ClusterError) as refused:
        concurrent_trials(trial, here, None)
    assert str(refused.value).startswith(
        "a trial needs 2 workers of 4 CPUs and 2 GPUs each, and a worker fits on one node only; there are 2 nodes with "
        "8 CPUs and 1 GPU (room for 0), 1 node with 4 CPUs and 2 GPUs (room for 1); lower"
    )


def test_a_share_of_more_than_one_gpu_is_refused() -> None:
    with pytest.raises(SettingError, match=r"gpus per worker = 1\.5 came"):
        Execution(storage=Path(), sources={}, tracking_uri="", gpus=1.5)


def test_a_process_takes_a_gpu_where_there_is_one_unless_it_was_said() -> None:
    execution = Execution(storage=Path(), sources={}, tracking_uri="")
    cpus, both = {"CPU": 8.0}, {"CPU": 2.0, "GPU": 2.0}
    for machines, gpus in (([cpus], 0), ([cpus, both], 1), ([], 0), ([{"CPU": 1.0, "GPU": 0.0}], 0)):
        assert execution.on(machines).placement(Path()).gpus == gpus
        assert replace(execution, gpus=0).on(machines).placement(Path()).gpus == 0
        assert replace(execution, gpus=0.5).on(machines).placement(Path()).gpus == 0.5


def test_room_follows_a_cluster_that_grows_and_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", -1.0)
    looks = iter([1, 1, 2, 9, 0])
    room = Room(Placement(executor="inline"), lambda: [{"CPU": 2.0}] * next(looks), 5, trusted=False)
    assert [room() for _ in range(4)] == [2, 4, 5, 0]


def test_nodes_are_counted_once_in_a_while_only() -> None:
    looks: list[int] = []

    def look() -> list[Mapping[str, float]]:
        looks.append(1)
        return [{"CPU": 1.0}]

    room = Room(Placement(executor="inline"), look, None, trusted=False)
    assert [room() for _ in range(1000)] == [1] * 1000
    assert len(looks) == 1


def test_nodes_to_come_are_waited_for_where_the_person_says_how_many_trials() -> None:
    trial = Placement(executor="inline", gpus=1)
    with pytest.raises(ClusterError, match="or give --max-concurrent if larger nodes will come"):
        Room(trial, list, None, trusted=True)
    assert Room(trial, list, 3, trusted=True)() == 3
    with pytest.raises(ClusterError, match="there are no nodes"):
        Room(trial, list, 3, trusted=False)


@pytest.mark.slow
def test_fractional_trials_run_at_once_and_never_more_than_fit(tmp_path: Path) -> None:
    with ray_nodes(["--num-cpus", "8", "--num-gpus", "4"], **PYTHON_PATH) as cluster:
        driver = drives.start(cluster, tmp_path / "studies", seeds=16, together=8, gpus=0.5)
        assert drives.end(driver, tmp_path / "studies") == [8] * 16


@pytest.mark.slow
def test_trials_take_a_gpu_each_of_a_cluster_that_has_some(tmp_path: Path) -> None:
    with ray_nodes(["--num-cpus", "8", "--num-gpus", "2"], **PYTHON_PATH) as cluster:
        driver = drives.start(cluster, tmp_path / "studies", seeds=4, together=2)
        assert drives.end(driver, tmp_path / "studies") == [2] * 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trials_of_several_workers_share_gpus_without_a_deadlock(tmp_path: Path) -> None:
    node = ["--num-cpus", "4", "--num-gpus", "4"]
    with ray_nodes(node, node, **PYTHON_PATH) as cluster:
        driver = drives.start(cluster, tmp_path / "studies", seeds=4, together=2, workers=2, gpus=2)
        assert drives.end(driver, tmp_path / "studies", 800) == [2] * 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_group_that_does_not_come_up_leaves_its_gpus_to_others(tmp_path: Path) -> None:
    node = ["--num-cpus", "4", "--num-gpus", "4"]
    with ray_nodes(node, **PYTHON_PATH, GLOO_SOCKET_IFNAME="absent0") as cluster:
        driver = drives.start(cluster, tmp_path / "studies", seeds=2, together=1, workers=2, gpus=2)
        assert drives.end(driver, tmp_path / "studies", 800) == [0, 0]


@pytest.mark.slow
def test_a_trial_that_asks_for_more_than_the_cluster_has_is_refused_at_once(tmp_path: Path) -> None:
    with ray_nodes(["--num-cpus", "8", "--num-gpus", "4"], **PYTHON_PATH) as cluster:
        driver = drives.start(cluster, tmp_path / "studies", seeds=1, together=1, workers=3, gpus=2)
        said, _ = driver.communicate(timeout=200)
        assert driver.returncode == 2
        assert "a trial needs 3 workers of 1 CPU and 2 GPUs each" in said


@pytest.mark.slow
def test_a_node_that_comes_while_a_study_runs_is_used(tmp_path: Path) -> None:
    storage = tmp_path / "studies"
    with ray_nodes(["--num-cpus", "1"], **PYTHON_PATH) as cluster:
        driver = drives.start(cluster, storage, seeds=4, together=2)
        running = storage / "s" / "running"
        wait_for(lambda: running.is_dir() and any(running.iterdir()), 200)
        cluster.add("--address", cluster.address, "--num-cpus", "1")
        assert drives.end(driver, storage) == [2] * 4
