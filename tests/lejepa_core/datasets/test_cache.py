"""The decoded form: built once, whole or not at all, and read back exactly."""

import hashlib
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np
import pytest
import torch

from lejepa_core.datasets.cache import cached, open_cache
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.source import Item, Source
from lejepa_core.errors import DataError

FORK = multiprocessing.get_context("fork")
MIXED = ((3, 5), (4, 4), (7, 2), (1, 1), (3, 5), (2, 6), (5, 5), (8, 1))


def image(i: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)


def items(sizes: tuple[tuple[int, int], ...], log: Path | None = None) -> Iterator[Item | str]:
    for i, size in enumerate(sizes):
        if log is not None:
            time.sleep(0.01)  # so long that processes which start together overlap
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
        pixels = image(i, size)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        yield Item(pixels=pixels, label="ab"[i % 2], split="train", digest=digest)


def source(start: Callable[[], Iterator[Item | str]]) -> Source:
    return Source(name="toy", key="1", flip=True, items=start, shares={"val": 0.15, "test": 0.15})


def toy(cache: Path, sizes: tuple[tuple[int, int], ...] = MIXED) -> ImageDataset:
    return cached(source(partial(items, sizes)), cache)


def test_mixed_sizes_are_padded_on_the_right_and_at_the_bottom(tmp_path: Path) -> None:
    indices = np.array([2, 0, 5, 2])
    pixels, sizes = toy(tmp_path).batch(indices)
    assert pixels.dtype == torch.uint8 and sizes.dtype == torch.int64
    assert pixels.shape == (4, 3, 7, 6)
    assert sizes.tolist() == [[7, 2], [3, 5], [2, 6], [7, 2]]
    for row, i in enumerate(indices):
        wanted = np.zeros((7, 6, 3), dtype=np.uint8)
        wanted[: MIXED[i][0], : MIXED[i][1]] = image(i, MIXED[i])
        assert np.array_equal(pixels[row].permute(1, 2, 0).numpy(), wanted)


def test_uniform_sizes_in_any_order_with_repeats(tmp_path: Path) -> None:
    indices = np.array([7, 0, 0, 3])
    pixels, sizes = toy(tmp_path, ((4, 6),) * 8).batch(indices)
    wanted = np.stack([image(i, (4, 6)) for i in indices]).transpose(0, 3, 1, 2)
    assert np.array_equal(pixels.numpy(), wanted)
    assert pixels.is_contiguous()
    assert sizes.tolist() == [[4, 6]] * 4


@pytest.mark.parametrize("sizes", [MIXED, ((4, 6),) * 8])
def test_batch_of_nothing_and_of_too_much(tmp_path: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    data = toy(tmp_path, sizes)
    pixels, shape = data.batch(np.array([], dtype=np.int64))
    assert pixels.shape[:2] == (0, 3) and shape.shape == (0, 2)
    with pytest.raises(IndexError):
        data.batch(np.array([len(data)]))


def test_writing_to_a_batch_leaves_the_cache_alone(tmp_path: Path) -> None:
    data = toy(tmp_path)
    data.batch(np.array([1]))[0].zero_()
    assert np.array_equal(data.batch(np.array([1]))[0][0].permute(1, 2, 0).numpy(), image(1, MIXED[1]))


def test_second_call_decodes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    counting = source(partial(items, MIXED, log))
    first, second = cached(counting, tmp_path / "c"), cached(counting, tmp_path / "c")
    assert len(log.read_text().splitlines()) == len(MIXED)
    assert first.fingerprint == second.fingerprint
    assert not list((tmp_path / "c").glob("*building*"))


def ask(cache: Path, log: Path, barrier: Barrier, answers: Queue) -> None:
    barrier.wait()
    answers.put(contents(cached(source(partial(items, MIXED, log)), cache)))


def contents(data: ImageDataset) -> str:
    """A hash of all that a process sees of a dataset."""
    pixels, sizes = data.batch(np.arange(len(data)))
    return hashlib.sha256(pixels.numpy().tobytes() + sizes.numpy().tobytes() + data.fingerprint.encode()).hexdigest()


def test_processes_that_ask_at_once_decode_once_and_all_get_it(tmp_path: Path) -> None:
    barrier, answers = FORK.Barrier(3), FORK.Queue()
    arguments = (tmp_path / "c", tmp_path / "log", barrier, answers)
    asking = [FORK.Process(target=ask, args=arguments) for _ in range(3)]
    for process in asking:
        process.start()
    found = [answers.get(timeout=30) for _ in asking]
    for process in asking:
        process.join(30)
    assert [process.exitcode for process in asking] == [0, 0, 0]
    decoded_by = (tmp_path / "log").read_text().splitlines()
    assert len(decoded_by) == len(MIXED)
    assert len(set(decoded_by)) == 1
    assert set(found) == {contents(toy(tmp_path / "alone"))}


def hang(reached: Event) -> Iterator[Item | str]:
    yield from items(MIXED[:4])
    reached.set()
    time.sleep(60)


@pytest.fixture
def builder(tmp_path: Path) -> BaseProcess:
    """A process that has decoded one half and does not go on."""
    reached = FORK.Event()
    process = FORK.Process(target=cached, args=(source(partial(hang, reached)), tmp_path))
    process.start()
    assert reached.wait(30)
    return process


def test_a_killed_builder_leaves_nothing_in_the_way_nor_on_disk(tmp_path: Path, builder: BaseProcess) -> None:
    (half,) = tmp_path.glob("toy-1-*.building-*")
    builder.kill()
    builder.join()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [half]
    data = toy(tmp_path)
    assert contents(data) == contents(toy(tmp_path / "alone"))
    assert not list(tmp_path.glob("*building*"))


def test_who_waits_for_a_builder_that_is_killed_builds_instead(tmp_path: Path, builder: BaseProcess) -> None:
    barrier, answers = FORK.Barrier(2), FORK.Queue()
    waiting = FORK.Process(target=ask, args=(tmp_path, tmp_path / "log", barrier, answers))
    waiting.start()
    barrier.wait()
    time.sleep(0.3)
    assert waiting.is_alive() and not (tmp_path / "log").exists()
    builder.kill()
    assert answers.get(timeout=30) == contents(toy(tmp_path / "alone"))
    waiting.join(30)
    assert waiting.exitcode == 0
    assert len((tmp_path / "log").read_text().splitlines()) == len(MIXED)


def test_what_another_machine_is_building_is_left_alone_for_a_day(tmp_path: Path) -> None:
    name = toy(tmp_path / "alone").folder.name
    young, old = (tmp_path / f"{name}.building-{host}-x" for host in ("elsewhere", "nowhere"))
    for folder in (young, old):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    toy(tmp_path)
    assert young.exists() and not old.exists()


def truncate(folder: Path) -> None:
    os.truncate(folder / "pixels.bin", 10)


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "pixels.bin").read_bytes())
    data[3] ^= 1
    (folder / "pixels.bin").write_bytes(data)


def cut_meta(folder: Path) -> None:
    text = (folder / "meta.json").read_text()
    (folder / "meta.json").write_text(text[: len(text) // 2])


def cut_index(folder: Path) -> None:
    os.truncate(folder / "index.npz", 100)


def lose_pixels(folder: Path) -> None:
    (folder / "pixels.bin").unlink()


def empty_pixels(folder: Path) -> None:
    os.truncate(folder / "pixels.bin", 0)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, cut_meta, cut_index, lose_pixels, empty_pixels])
def test_damaged_cache_is_built_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    whole = toy(tmp_path)
    damage(whole.folder)
    with pytest.raises(DataError, match="cannot be read"):
        open_cache(whole.folder)
    again = toy(tmp_path)
    assert again.fingerprint == whole.fingerprint
    other = toy(tmp_path / "other")
    assert torch.equal(again.batch(np.arange(8))[0], other.batch(np.arange(8))[0])
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["other", whole.folder.name]


def test_corrected_statistics_do_not_meet_an_old_cache(tmp_path: Path) -> None:
    toy(tmp_path)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    again = cached(replace(source(partial(items, MIXED)), mean=mean, std=std), tmp_path)
    assert (again.mean, again.std) == (mean, std)


def test_pickle_carries_the_path_not_the_pixels(tmp_path: Path) -> None:
    data = toy(tmp_path, ((64, 64),) * 8)
    text = pickle.dumps(data)
    assert len(text) < 1000 < len(data.pixels)
    copy = pickle.loads(text)
    assert copy.fingerprint == data.fingerprint
    assert torch.equal(copy.batch(np.array([5]))[0], data.batch(np.array([5]))[0])


def test_cache_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write the image cache .*; make room, or choose another"):
        toy(tmp_path / "file")
