"""MNIST and Kuzushiji-MNIST, from small files in the published layout, against torchvision."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from dataset_trees_h import fashion_mnist as write_files
from dataset_trees_h import opened, pixels, refused, served, sizes
from torchvision import datasets

from lejepa_core.datasets import DATASETS
from lejepa_core.datasets.mnist import CHECKSUMS, CLASSES, MIRRORS, READERS, mnist_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.errors import DataError

THEIRS = {"mnist": datasets.MNIST, "kmnist": datasets.KMNIST}
NAMES = tuple(THEIRS)


def write(name: str, folder: Path, **options: str) -> Reader:
    """Four small files in a folder, and the reader that knows their checksums."""
    write_files(folder, zipped=True)
    md5s = {part: hashlib.md5((folder / f"{part}.gz").read_bytes()).hexdigest() for part in CHECKSUMS[name]}
    return mnist_reader(DATASETS[name], md5s, **options)


@pytest.mark.parametrize("name", NAMES)
def test_checksums_and_addresses_are_torchvisions(name: str) -> None:
    theirs = THEIRS[name]
    assert {f"{file}.gz": md5 for file, md5 in CHECKSUMS[name].items()} == dict(theirs.resources)
    assert MIRRORS[name] in theirs.mirrors


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_named_as_in_torchvision(name: str) -> None:
    assert list(CLASSES[name]) == [text.split(" ")[0] for text in THEIRS[name].classes]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["ours", "torchvision"])
def test_images_labels_and_splits_are_torchvisions(name: str, place: str, tmp_path: Path) -> None:
    raw = tmp_path / "theirs" / name.upper() / "raw"
    write_files(raw, zipped=False)
    theirs = [THEIRS[name](str(tmp_path / "theirs"), train=train) for train in (True, False)]
    root = tmp_path / "theirs" if place == "torchvision" else tmp_path / "root"
    reader = write(name, raw if place == "torchvision" else root / name)
    reader.check(root)
    data = opened(reader.source(root, 28), tmp_path)
    assert sizes(data) == {"train": 90, "val": 10, "test": 100}
    assert sorted(data.splits["test"]) == list(range(100, 200))
    wanted = np.concatenate([part.data.numpy() for part in theirs])
    labels = [CLASSES[name][label] for part in theirs for label in part.targets.tolist()]
    assert [data.classes[label] for label in data.labels] == labels
    assert all(np.array_equal(pixels(data, i), np.stack([wanted[i]] * 3, axis=2)) for i in range(200))


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    reader = write("mnist", root / "mnist")
    file = root / "mnist" / "t10k-images-idx3-ubyte.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-100] if damage == "cut" else b"no such thing")
    message = refused(reader, root, tmp_path)
    assert f"{file}: damaged (its md5 is" in message
    assert message.endswith(f"remove {root / 'mnist'}, then: lejepa datasets get mnist --root {root}")


def test_absent_file_is_named(tmp_path: Path) -> None:
    root = tmp_path / "root"
    reader = write("kmnist", root / "kmnist")
    (root / "kmnist" / "train-labels-idx1-ubyte.gz").unlink()
    assert "kmnist/train-labels-idx1-ubyte.gz: absent" in refused(reader, root, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_absent_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    message = refused(READERS[name], tmp_path / "root", tmp_path)
    assert f"lejepa datasets get {name} --root {tmp_path / 'root'}" in message


def test_download_gives_the_published_files(tmp_path: Path) -> None:
    write("kmnist", tmp_path / "there")
    with served(tmp_path / "there") as address:
        reader = write("kmnist", tmp_path / "there", mirror=address)
        assert reader.download is not None
        reader.download(tmp_path / "root")
    names = sorted(path.name for path in (tmp_path / "root" / "kmnist").iterdir())
    assert names == sorted(f"{name}.gz" for name in CHECKSUMS["kmnist"])


def test_one_wrong_file_leaves_nothing(tmp_path: Path) -> None:
    reader = write("kmnist", tmp_path / "there")
    (tmp_path / "there" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"something else")
    with served(tmp_path / "there") as address:
        md5s = CHECKSUMS["kmnist"] | {
            name: hashlib.md5((tmp_path / "there" / f"{name}.gz").read_bytes()).hexdigest()
            for name in CHECKSUMS["kmnist"] if name != "t10k-labels-idx1-ubyte"
        }  # fmt: skip
        reader = mnist_reader(DATASETS["kmnist"], md5s, mirror=address)
        assert reader.download is not None
        with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz has md5"):
            reader.download(tmp_path / "root")
    assert not (tmp_path / "root" / "kmnist").exists()
