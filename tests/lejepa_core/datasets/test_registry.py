"""The registry of data sets, and what it says when one is absent."""

import subprocess
import sys
from pathlib import Path

import pytest
from dataset_trees import ARRAYS, PHOTOGRAPHS
from torchvision import datasets

from lejepa_core.datasets import DATASETS, check_dataset, default_data_root, download_dataset, load_dataset
from lejepa_core.datasets.aircraft import _ARCHIVES as AIRCRAFT
from lejepa_core.datasets.cifar import _ARCHIVES as CIFAR
from lejepa_core.datasets.cifar import CHECKSUMS as CIFAR_CHECKSUMS
from lejepa_core.datasets.dtd import _ARCHIVES as DTD
from lejepa_core.datasets.fashion_mnist import DEBIAN
from lejepa_core.datasets.flowers102 import _ARCHIVES as FLOWERS
from lejepa_core.datasets.flowers102 import CHECKSUMS as FLOWERS_CHECKSUMS
from lejepa_core.datasets.food101 import _ARCHIVES as FOOD
from lejepa_core.datasets.pets import _ARCHIVES as PETS
from lejepa_core.datasets.registry import READERS
from lejepa_core.datasets.stl10 import _ARCHIVES as STL10
from lejepa_core.datasets.stl10 import CHECKSUMS as STL10_CHECKSUMS
from lejepa_core.datasets.svhn import _ARCHIVES as SVHN
from lejepa_core.datasets.svhn import CHECKSUMS as SVHN_CHECKSUMS
from lejepa_core.errors import DataError

_USE = {"val": "validation", "test": "test"}


def test_every_dataset_has_a_reader() -> None:
    assert READERS.keys() == DATASETS.keys()


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_plausible(name: str) -> None:
    spec = DATASETS[name]
    assert list(spec.images) == ["train", "val", "test"]
    assert spec.classes <= min(spec.images.values())
    assert all(0 < value < 1 for value in (*spec.mean, *spec.std))
    assert set(spec.uses) == {"pretraining", "probe training", "validation", "test"}
    assert all(f"{share:.0%}" in spec.uses[_USE[split]] for split, share in spec.shares.items())


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *ARRAYS])
def test_absent_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    remedy = DATASETS[name].how_to_get.replace("DIR", str(tmp_path))
    with pytest.raises(DataError) as checking:
        check_dataset(name, data_root=tmp_path)
    with pytest.raises(DataError) as loading:
        load_dataset(name, image_size=32, cache_dir=tmp_path / "cache", data_root=tmp_path)
    assert str(checking.value) == str(loading.value)
    assert remedy in str(checking.value)
    assert "\n" not in remedy


def test_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEJEPA_DATA_ROOT", str(tmp_path / "somewhere"))
    with pytest.raises(DataError, match=f"not in {tmp_path}/somewhere "):
        check_dataset("dtd")


def test_the_root_is_the_same_in_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEJEPA_DATA_ROOT", "data")
    monkeypatch.chdir(tmp_path)
    assert default_data_root() == tmp_path / "data"


def test_a_set_that_is_elsewhere_is_said_to_be_there(tmp_path: Path) -> None:
    assert DEBIAN.is_dir()
    assert download_dataset("fashion-mnist", tmp_path) == DEBIAN


def test_set_without_a_link_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"devkit/cars_meta.mat.* into {tmp_path}/stanford_cars"):
        download_dataset("cars", tmp_path)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FLOWERS_CHECKSUMS, dict(datasets.Flowers102._file_dict[key] for key in ("label", "setid"))),
        (SVHN_CHECKSUMS, {name: md5 for _, name, md5 in datasets.SVHN.split_list.values()}),
        (STL10_CHECKSUMS, dict([*datasets.STL10.train_list, *datasets.STL10.test_list])),
        (CIFAR_CHECKSUMS["cifar10"], dict([*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list])),
        (CIFAR_CHECKSUMS["cifar100"], dict([*datasets.CIFAR100.train_list, *datasets.CIFAR100.test_list])),
    ],
)
def test_checksums_are_torchvisions(ours: dict[str, str], theirs: dict[str, str]) -> None:
    common = ours.keys() & theirs.keys()
    assert len(common) >= 2
    assert all(ours[file] == theirs[file] for file in common)


def test_archives_are_torchvisions() -> None:
    flowers = datasets.Flowers102
    theirs = {
        FOOD[0]: (datasets.Food101._URL, datasets.Food101._MD5),
        DTD[0]: (datasets.DTD._URL, datasets.DTD._MD5),
        AIRCRAFT[0]: (datasets.FGVCAircraft._URL, AIRCRAFT[0].md5),  # torchvision has no checksum of it
        PETS[0]: datasets.OxfordIIITPet._RESOURCES[0],
        PETS[1]: datasets.OxfordIIITPet._RESOURCES[1],
        STL10[0]: (datasets.STL10.url, datasets.STL10.tgz_md5),
        SVHN[0]: (datasets.SVHN.split_list["train"][0], datasets.SVHN.split_list["train"][2]),
        CIFAR["cifar10"]: (datasets.CIFAR10.url, datasets.CIFAR10.tgz_md5),
        CIFAR["cifar100"]: (datasets.CIFAR100.url, datasets.CIFAR100.tgz_md5),
        FLOWERS[0]: (flowers._download_url_prefix + flowers._file_dict["image"][0], flowers._file_dict["image"][1]),
    }
    assert {(archive.url, archive.md5) for archive in theirs} == set(theirs.values())


def test_listing_does_not_wait_for_torchvision() -> None:
    program = (
        "import sys; from lejepa_platform.cli import main; main(['datasets', '--json']); "
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0
