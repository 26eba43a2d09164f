"""Fashion-MNIST: all of it from Debian's package, and small files in the other places."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_trees_h import fashion_mnist, opened, refused, served, sizes
from torchvision.datasets import FashionMNIST

from lejepa_core.datasets.fashion_mnist import CHECKSUMS, DEBIAN, READERS, SPECS, ZIPPED, fashion_mnist_reader
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.errors import DataError

READER = READERS["fashion-mnist"]
# Debian took the name and the time out of the gzip headers; with these the files are the published ones again.
PUBLISHED = {"train": 1504176606, "t10k": 1504176627}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    assert DEBIAN.is_dir(), "these tests read the real images: apt-get install dataset-fashion-mnist"
    tmp_path = tmp_path_factory.mktemp("fashion")
    READER.check(tmp_path)
    return opened(READER.source(tmp_path, 28), tmp_path)


def test_all_70_000_images_are_torchvisions(real: ImageDataset, tmp_path: Path) -> None:
    for name in CHECKSUMS:
        raw = tmp_path / "FashionMNIST" / "raw" / name
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_bytes(gzip.decompress((DEBIAN / f"{name}.gz").read_bytes()))
    train, test = (FashionMNIST(str(tmp_path), train=train) for train in (True, False))
    grey = np.concatenate([train.data.numpy(), test.data.numpy()])
    assert grey.shape == (70_000, 28, 28)
    for start in range(0, 70_000, 10_000):
        indices = np.arange(start, start + 10_000)
        pixels, _ = real.batch(indices)
        assert all(np.array_equal(pixels[:, channel].numpy(), grey[indices]) for channel in range(3))
    names = [train.classes[label] for label in (*train.targets.tolist(), *test.targets.tolist())]
    assert [real.classes[label] for label in real.labels] == names


def test_every_class_is_as_large_as_published(real: ImageDataset) -> None:
    assert np.bincount(real.labels[real.splits["test"]]).tolist() == [1000] * 10
    rest = np.concatenate([real.splits["train"], real.splits["val"]])
    assert np.bincount(real.labels[rest]).tolist() == [6000] * 10


def test_val_is_a_tenth_of_each_class(real: ImageDataset) -> None:
    # Up to images that are there more than once, which stay together.
    assert np.bincount(real.labels[real.splits["val"]]) == pytest.approx([600] * 10, abs=3)


def test_mean_and_std_are_those_of_the_images(real: ImageDataset) -> None:
    pixels = real.batch(real.splits["train"])[0][:, 0].double() / 255
    assert real.mean[0] == pytest.approx(pixels.mean().item(), abs=1e-3)
    assert real.std[0] == pytest.approx(pixels.std().item(), abs=1e-3)


@pytest.mark.parametrize(
    ("place", "zipped"), [("fashion-mnist", True), ("fashion-mnist", False), ("FashionMNIST/raw", 0)]
)
def test_the_data_root_comes_before_debian(tmp_path: Path, place: str, zipped: bool) -> None:
    checksums = fashion_mnist(tmp_path / "root" / place, zipped=bool(zipped))
    reader = fashion_mnist_reader(checksums)
    reader.check(tmp_path / "root")
    data = opened(reader.source(tmp_path / "root", 28), tmp_path)
    assert sizes(data) == {"train": 90, "val": 10, "test": 100}


def test_truncated_file_is_named(tmp_path: Path) -> None:
    checksums = fashion_mnist(tmp_path / "root" / "fashion-mnist", zipped=True)
    file = tmp_path / "root" / "fashion-mnist" / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1000])
    message = refused(fashion_mnist_reader(checksums), tmp_path / "root", tmp_path)
    assert f"{file}: damaged" in message and "apt-get install dataset-fashion-mnist" in message


def test_other_content_is_refused_by_its_checksum(tmp_path: Path) -> None:
    checksums = fashion_mnist(tmp_path / "root" / "fashion-mnist", zipped=False)
    file = tmp_path / "root" / "fashion-mnist" / "train-images-idx3-ubyte"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    message = refused(fashion_mnist_reader(checksums), tmp_path / "root", tmp_path)
    assert f"{file}: damaged" in message and hashlib.sha256(data).hexdigest() in message


def test_absent_file_is_named(tmp_path: Path) -> None:
    checksums = fashion_mnist(tmp_path / "root" / "fashion-mnist", zipped=True)
    (tmp_path / "root" / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    message = refused(fashion_mnist_reader(checksums), tmp_path / "root", tmp_path)
    assert "fashion-mnist/t10k-labels-idx1-ubyte.gz: absent" in message


def test_absent_set_says_how_to_get_it(tmp_path: Path) -> None:
    reader = fashion_mnist_reader(debian=tmp_path / "nowhere")
    message = refused(reader, tmp_path / "root", tmp_path)
    assert "apt-get install dataset-fashion-mnist" in message
    assert f"lejepa datasets get fashion-mnist --root {tmp_path / 'root'}" in message


def test_download_gives_the_published_files(tmp_path: Path) -> None:
    for name in CHECKSUMS:
        data = (DEBIAN / f"{name}.gz").read_bytes()
        header = b"\x1f\x8b\x08\x08" + struct.pack("<I", PUBLISHED[name.split("-")[0]]) + data[8:10]
        (tmp_path / "there" / f"{name}.gz").parent.mkdir(exist_ok=True)
        (tmp_path / "there" / f"{name}.gz").write_bytes(header + name.encode() + b"\0" + data[10:])
    with served(tmp_path / "there") as address:
        fashion_mnist_reader(debian=tmp_path / "nowhere", mirror=address).download(tmp_path / "root")
    names = sorted(path.name for path in (tmp_path / "root" / "fashion-mnist").iterdir())
    assert names == sorted(f"{name}.gz" for name in CHECKSUMS)


def test_checksums_of_the_download_are_torchvisions() -> None:
    assert {f"{name}.gz": md5 for name, md5 in ZIPPED.items()} == dict(FashionMNIST.resources)


def test_unreachable_mirror_is_one_line(tmp_path: Path) -> None:
    reader = fashion_mnist_reader(debian=tmp_path / "nowhere", mirror="http://127.0.0.1:9/")
    with pytest.raises(
        DataError, match=r"was not downloaded to .*by hand: put http://127.0.0.1:9/train-images-idx3-ubyte.gz into"
    ):
        reader.download(tmp_path / "root")


def test_getting_what_is_there_fetches_nothing(real: ImageDataset, tmp_path: Path) -> None:
    READER.download(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_the_registry_says_of_probes_reaches_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lejepa_core.datasets.fashion_mnist.SPECS", (replace(SPECS[0], probe_per_class=7),))
    assert fashion_mnist_reader().source(tmp_path, 32).probe_per_class == 7
