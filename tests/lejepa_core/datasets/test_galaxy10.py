"""Galaxy10 DECaLS, from small HDF5 files in the published layout."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from dataset_trees_h import opened, pixels, refused, served, sizes

from lejepa_core.datasets.galaxy10 import CLASSES, FILE, READERS, SPECS, galaxy10_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.errors import DataError

PER_CLASS, SIDE = 10, 256


def galaxies() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(10 * PER_CLASS) % 10
    images = np.zeros((len(labels), SIDE, SIDE, 3), dtype=np.uint8)
    images[:, 64:192, 64:192] = np.random.default_rng(0).integers(0, 256, (len(labels), 1, 1, 3))
    images[:, 0, 0, 0] = np.arange(len(labels))
    return images, labels


def write(root: Path, images: np.ndarray, labels: np.ndarray) -> Reader:
    (root / "galaxy10").mkdir(parents=True)
    with h5py.File(root / "galaxy10" / FILE, "w") as file:
        file.create_dataset("images", data=images, compression="lzf")
        file["ans"] = labels.astype(np.uint8)
        file["ra"] = np.zeros(len(labels))
    return galaxy10_reader(hashlib.sha256((root / "galaxy10" / FILE).read_bytes()).hexdigest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def test_images_and_labels_are_those_of_the_file(root: Path, tmp_path: Path) -> None:
    images, labels = galaxies()
    data = opened(write(root, images, labels).source(root, 128), tmp_path)
    assert all(np.array_equal(pixels(data, i), images[i]) for i in range(len(images)))
    assert [data.classes[label] for label in data.labels] == [CLASSES[label] for label in labels]
    assert data.flip and data.photographic


def test_splits_are_carved_from_each_class(root: Path, tmp_path: Path) -> None:
    data = opened(write(root, *galaxies()).source(root, 128), tmp_path)
    assert sizes(data) == {"train": 60, "val": 20, "test": 20}
    for split, per_class in (("train", 6), ("val", 2), ("test", 2)):
        assert np.bincount(data.labels[data.splits[split]]).tolist() == [per_class] * 10


def test_galaxies_that_are_there_twice_stay_together(root: Path, tmp_path: Path) -> None:
    images, labels = galaxies()
    images[1:40:2] = images[0:40:2]  # each twice, with another label
    data = opened(write(root, images, labels).source(root, 128), tmp_path)
    split_of = {int(i): split for split, indices in data.splits.items() for i in indices}
    assert all(split_of[i] == split_of[i + 1] for i in range(0, 40, 2))


def test_small_views_get_small_images(root: Path, tmp_path: Path) -> None:
    images, labels = galaxies()
    data = opened(write(root, images, labels).source(root, 16), tmp_path)
    assert set(data.heights) == set(data.widths) == {32}
    assert np.abs(pixels(data, 5)[14:18, 14:18].astype(int) - images[5, 128, 128]).max() <= 1


def test_specified_counts_are_the_published_ones() -> None:
    # Counts of classes 0 to 9, github.com/henrysky/Galaxy10.
    counts = np.array([1081, 1853, 2645, 2027, 334, 2043, 1829, 2628, 1423, 1873])
    images = SPECS[0].images
    assert sum(images.values()) == counts.sum() == 17_736
    assert images["test"] == np.round(0.2 * counts).sum() and images["val"] == np.round(0.15 * counts).sum()


def test_truncated_file_is_named(root: Path, tmp_path: Path) -> None:
    reader = write(root, *galaxies())
    file = root / "galaxy10" / FILE
    file.write_bytes(file.read_bytes()[:-100])
    message = refused(reader, root, tmp_path)
    assert f"{file}: damaged (its sha256 is" in message


def test_file_without_images_is_named(root: Path, tmp_path: Path) -> None:
    (root / "galaxy10").mkdir(parents=True)
    file = root / "galaxy10" / FILE
    with h5py.File(file, "w") as opened_file:
        opened_file["ans"] = np.zeros(3, dtype=np.uint8)
    reader = galaxy10_reader(hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(DataError, match=f"{FILE}: damaged .KeyError: .*images"):
        opened(reader.source(root, 16), tmp_path)


def test_absent_set_says_how_to_get_it(root: Path, tmp_path: Path) -> None:
    message = refused(READERS["galaxy10"], root, tmp_path)
    assert f"galaxy10/{FILE}" in message and f"lejepa datasets get galaxy10 --root {root}" in message


def test_missing_library_is_one_line(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = write(root, *galaxies())
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install 'lejepa-sweeps[galaxy]'" in refused(reader, root, tmp_path)


def test_download_is_kept_if_its_checksum_is_right(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "there", *galaxies())
    sha256 = hashlib.sha256((tmp_path / "there" / "galaxy10" / FILE).read_bytes()).hexdigest()
    with served(tmp_path / "there" / "galaxy10") as address:
        galaxy10_reader(sha256, address + FILE).download(root)
        with pytest.raises(DataError, match=f"was not downloaded .*{FILE} has sha256 {sha256}, not {'0' * 64}"):
            galaxy10_reader("0" * 64, address + FILE).download(tmp_path / "other")
    assert [path.name for path in (root / "galaxy10").iterdir()] == [FILE]
    assert not (tmp_path / "other" / "galaxy10").exists()


def test_unreachable_server_is_one_line(root: Path) -> None:
    url = f"http://127.0.0.1:9/{FILE}"
    with pytest.raises(DataError, match=f"was not downloaded .*by hand: put {url} into {root / 'galaxy10'}"):
        galaxy10_reader(url=url).download(root)


def test_what_a_broken_download_left_does_no_harm(root: Path, tmp_path: Path) -> None:
    reader = write(tmp_path / "there", *galaxies())
    content = (tmp_path / "there" / "galaxy10" / FILE).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    (root / ".galaxy10.download").mkdir(parents=True)
    (root / ".galaxy10.download" / f"{FILE}.part").write_bytes(content)
    with served(tmp_path / "there" / "galaxy10") as address:
        galaxy10_reader(sha256, address + FILE).download(root)
    assert (root / "galaxy10" / FILE).read_bytes() == content
    reader.check(root)


def test_download_without_the_library_fetches_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match="galaxy"):
        READERS["galaxy10"].download(root)
    assert not root.exists()


def test_what_the_registry_says_of_probes_reaches_the_source(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lejepa_core.datasets.galaxy10.SPECS", (replace(SPECS[0], probe_per_class=7),))
    assert write(root, *galaxies()).source(root, 32).probe_per_class == 7
