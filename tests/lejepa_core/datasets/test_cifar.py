"""CIFAR through torchvision: small files in the published layout, their md5 put in torchvision's list."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from lejepa_core.datasets import check_dataset, load_dataset
from lejepa_core.errors import DataError

READERS = {"cifar10": CIFAR10, "cifar100": CIFAR100}
NAMES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck".split(),
    "cifar100": [f"kind_{i:02}" for i in range(100)],
}
TRAIN_PER_CLASS, TEST_PER_CLASS = 20, 2


@pytest.fixture(params=["cifar10", "cifar100"])
def cifar(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name, reader = request.param, READERS[request.param]
    folder = tmp_path / "root" / reader.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(file: str, content: dict) -> str:
        data = pickle.dumps(content)
        (folder / file).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def batch(file: str, per_class: int) -> list[str]:
        targets = np.tile(np.arange(len(NAMES[name])), per_class).tolist()
        pixels = rng.integers(0, 256, (len(targets), 3072), dtype=np.uint8)
        return [
            file,
            write(file, {"data": pixels, "labels" if name == "cifar10" else "fine_labels": targets}),
        ]

    files = [file for file, _ in reader.train_list]
    monkeypatch.setattr(reader, "train_list", [batch(file, TRAIN_PER_CLASS // len(files)) for file in files])
    monkeypatch.setattr(reader, "test_list", [batch(reader.test_list[0][0], TEST_PER_CLASS)])
    md5 = write(reader.meta["filename"], {reader.meta["key"]: NAMES[name]})
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": md5})
    return name


def test_images_and_labels_are_torchvisions(cifar: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    check_dataset(cifar, data_root=root)
    data = load_dataset(cifar, image_size=32, cache_dir=tmp_path / "cache", data_root=root)
    train, test = (READERS[cifar](str(root), train=train) for train in (True, False))
    pixels, _ = data.batch(np.arange(len(data)))
    assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), np.concatenate([train.data, test.data]))
    assert data.labels.tolist() == train.targets + test.targets
    assert list(data.classes) == train.classes
    assert data.splits["test"].tolist() == list(range(len(train), len(train) + len(test)))


def test_val_is_a_tenth_of_each_class_of_train(cifar: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    data = load_dataset(cifar, image_size=32, cache_dir=tmp_path / "cache", data_root=root)
    for split, per_class in (("train", 18), ("val", 2), ("test", 2)):
        assert (np.bincount(data.labels[data.splits[split]]) == per_class).all()


def test_environment_names_the_root(cifar: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEJEPA_DATA_ROOT", str(tmp_path / "root"))
    check_dataset(cifar)
    monkeypatch.setenv("LEJEPA_DATA_ROOT", str(tmp_path / "other"))
    with pytest.raises(DataError):
        check_dataset(cifar)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_absent_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    command = f"lejepa datasets get {name} --root {tmp_path}"
    with pytest.raises(DataError, match=command):
        check_dataset(name, data_root=tmp_path)
    with pytest.raises(DataError, match=command):
        load_dataset(name, image_size=32, cache_dir=tmp_path / "cache", data_root=tmp_path)


def test_pickle_that_is_not_the_published_one_is_never_opened(cifar: str, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    root = tmp_path / "root"
    file = root / READERS[cifar].base_folder / READERS[cifar].train_list[0][0]
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="is damaged"):
        load_dataset(cifar, image_size=32, cache_dir=tmp_path / "cache", data_root=root)
    with pytest.raises(DataError, match="is damaged"):
        check_dataset(cifar, data_root=root)
    assert not (tmp_path / "sprung").exists()
