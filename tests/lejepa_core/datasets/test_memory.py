"""Processes that use the same decoded dataset share one copy of it."""

import hashlib
import multiprocessing
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from lejepa_core.datasets.cache import cached, open_cache
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.source import Item, Source

IMAGES, SIDE = 60_000, 32  # those of CIFAR-10
DATA = IMAGES * SIDE * SIDE * 3
FORK = multiprocessing.get_context("fork")


def items(images: int) -> Iterator[Item]:
    pixels = np.random.default_rng(0).integers(0, 256, (1000, SIDE, SIDE, 3), dtype=np.uint8)
    for i in range(images):
        digest = hashlib.sha256(str(i).encode()).hexdigest()
        yield Item(pixels=pixels[i % 1000], label=str(i % 10), split="test" if i % 6 == 0 else "train", digest=digest)


def cache_of(images: int, folder: Path) -> Path:
    none, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    source = Source(
        name="toy", key="1", flip=True, items=partial(items, images), shares={"val": 0.1}, mean=none, std=one
    )
    return cached(source, folder).folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small cache and that of CIFAR-10's size."""
    return cache_of(500, tmp_path_factory.mktemp("small")), cache_of(IMAGES, tmp_path_factory.mktemp("large"))


def look(folder: Path) -> ImageDataset:
    """Open a dataset and look at every image, in a random order."""
    data = open_cache(folder)
    for part in np.array_split(np.random.default_rng().permutation(len(data)), len(data) // 250):
        data.batch(part)
    return data


def use(folders: tuple[Path, Path], connection: Connection) -> None:
    """Use the large dataset when told to, and keep it open until told to end."""
    # What any process takes to open a dataset and to get batches is no part of the data.
    small, large = folders
    look(small)
    connection.send("ready")
    connection.recv()
    data = look(large)
    connection.send(len(data))
    connection.recv()


def growth(folders: tuple[Path, Path], processes: int) -> int:
    """Bytes by which the sum of proportional set sizes grows when so many processes use the dataset at once."""
    ends = [FORK.Pipe() for _ in range(processes)]
    users = [FORK.Process(target=use, args=(folders, theirs)) for _, theirs in ends]
    for user in users:
        user.start()
    ours = [end for end, _ in ends]
    assert [end.recv() for end in ours] == ["ready"] * processes
    before = sum(map(proportional_set_size, [user.pid for user in users]))
    for end in ours:
        end.send("go")
    assert [end.recv() for end in ours] == [IMAGES] * processes
    after = sum(map(proportional_set_size, [user.pid for user in users]))
    for end, user in zip(ours, users, strict=True):
        end.send("end")
        user.join(30)
    assert [user.exitcode for user in users] == [0] * processes
    return after - before


def proportional_set_size(pid: int) -> int:
    """Memory of a process in bytes, a page that n processes share counted as 1/n."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_an_added_process_takes_less_than_a_tenth_of_the_data(folders: tuple[Path, Path]) -> None:
    one, eight = growth(folders, 1), growth(folders, 8)
    added = (eight - one) / 7
    print(f"data {DATA / 1e6:.0f} MB; 1 process {one / 1e6:.0f} MB, 8 processes {eight / 1e6:.0f} MB, "
          f"each added one {added / 1e6:.1f} MB, {added / DATA:.1%} of the data")  # fmt: skip
    assert one > 0.99 * DATA, "not all pixels were in memory: nothing was measured"
    assert added < 0.1 * DATA
