"""`digits` and `patches`, against the packages that they come from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lejepa_core.datasets import DATASETS, ImageDataset, check_dataset, download_dataset, load_dataset
from lejepa_core.datasets.patches import PATCH, PHOTOGRAPHS, corners, normalise, read_photograph
from lejepa_core.errors import DataError, SettingError, UnknownNameError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def patches(cache: Path) -> ImageDataset:
    return load_dataset("patches", image_size=32, cache_dir=cache)


def pixels_of(data: ImageDataset, split: str) -> np.ndarray:
    return data.batch(data.splits[split])[0].permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("name", ["digits", "patches"])
def test_registry_tells_the_truth(cache: Path, name: str) -> None:
    check_dataset(name)
    data, spec = load_dataset(name, image_size=32, cache_dir=cache), DATASETS[name]
    assert len(data.classes) == spec.classes
    assert {split: len(indices) for split, indices in data.splits.items()} == spec.images
    assert (data.mean, data.std, data.flip) == (spec.mean, spec.std, spec.flip)
    train = pixels_of(data, "train") / 255
    assert train.shape[1:] == (spec.native_size, spec.native_size, 3)
    assert spec.mean == pytest.approx(train.mean(axis=(0, 1, 2)), abs=1e-3)
    assert spec.std == pytest.approx(train.std(axis=(0, 1, 2)), abs=1e-3)
    assert download_dataset(name) is None


def test_digits_are_scikit_learns(cache: Path) -> None:
    data, bunch = load_dataset("digits", image_size=8, cache_dir=cache), load_digits()
    pixels, sizes = data.batch(np.arange(len(data)))
    assert np.array_equal(np.round(pixels.numpy() / 255 * 16), np.stack([bunch.images] * 3, axis=1))
    assert np.array_equal(data.labels, bunch.target)
    assert (sizes == 8).all()
    assert data.classes == tuple("0123456789")


def test_labels_can_be_left_out(cache: Path) -> None:
    named = load_dataset("digits", image_size=8, cache_dir=cache)
    blind = load_dataset("digits", image_size=8, cache_dir=cache, labelled=False)
    assert (blind.labels, blind.classes) == (None, ())
    assert blind.fingerprint != named.fingerprint
    assert all(np.array_equal(blind.splits[split], named.splits[split]) for split in named.splits)


def test_patches_of_different_splits_share_no_pixel() -> None:
    for photograph in PHOTOGRAPHS:
        pixels = read_photograph(photograph)
        claimed = np.full(pixels.shape[:2], "", dtype=object)
        for split, places in corners(photograph, pixels).items():
            assert len(set(places)) == len(places)
            for top, left in places:
                region = claimed[top : top + PATCH, left : left + PATCH]
                assert region.shape == (PATCH, PATCH)
                assert set(region.ravel()) <= {"", split}
                region[:] = split


def test_patches_are_cut_where_they_say_and_classes_are_balanced(patches: ImageDataset) -> None:
    for label, photograph in enumerate(PHOTOGRAPHS):
        photo = read_photograph(photograph)
        for split, places in corners(photograph, photo).items():
            own = patches.splits[split][patches.labels[patches.splits[split]] == label]
            cut = [normalise(photo[top : top + PATCH, left : left + PATCH]) for top, left in places[:3]]
            found = patches.batch(own)[0].permute(0, 2, 3, 1).numpy()
            assert len(own) == {"train": 120, "val": 30, "test": 60}[split]
            assert np.array_equal(found[:3], cut)


def test_photographs_are_the_wheels_files() -> None:
    import skimage

    by_name = {photograph.name: photograph for photograph in PHOTOGRAPHS}
    with Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png") as cat:
        assert np.array_equal(read_photograph(by_name["cat"]), np.asarray(cat))


def test_neither_brightness_nor_colour_nor_raw_pixels_give_the_photograph_away(patches: ImageDataset) -> None:
    train, test = (pixels_of(patches, split) / 255 for split in ("train", "test"))
    labels = {split: patches.labels[patches.splits[split]] for split in ("train", "test")}

    def accuracy(features, strength: float) -> float:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        return probe.fit(features(train), labels["train"]).score(features(test), labels["test"])

    assert accuracy(lambda x: x.mean(axis=(1, 2)), 10.0) < 0.16  # chance is 0.083
    assert accuracy(lambda x: x.mean(axis=(1, 2, 3))[:, None], 10.0) < 0.16
    assert accuracy(lambda x: x.reshape(len(x), -1), 1e-4) < 0.25


def test_unknown_name_has_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="unknown dataset 'digit'; closest: digits"):
        check_dataset("digit")


def test_path_without_prefix_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"folder:{tmp_path}"):
        check_dataset(str(tmp_path))


def test_image_size_below_one(cache: Path) -> None:
    with pytest.raises(SettingError, match="image_size is 0"):
        load_dataset("digits", image_size=0, cache_dir=cache)
