"""A person's own images: layouts, splits, what is refused and what is left out."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lejepa_core.datasets import ImageDataset, check_dataset, load_dataset
from lejepa_core.errors import DataError


def write(path: Path, seed: int, size: tuple[int, int] = (10, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def fill(root: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 8, seed: int = 0) -> Path:
    for k, name in enumerate(classes):
        for i in range(n):
            write(root / name / f"{i}.png", seed + 100 * k + i)
    return root


def load(root: Path, cache: Path, **options: object) -> ImageDataset:
    return load_dataset(f"folder:{root}", image_size=16, cache_dir=cache, **options)


def counts(data: ImageDataset) -> dict[str, int]:
    return {split: len(indices) for split, indices in data.splits.items()}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_plain_layout_is_carved_by_class(tmp_path: Path, cache: Path) -> None:
    data = load(fill(tmp_path / "pets", n=20), cache)
    assert data.name == "folder:pets"
    assert data.classes == ("cat", "dog")
    assert counts(data) == {"train": 28, "val": 6, "test": 6}
    assert np.bincount(data.labels[data.splits["test"]]).tolist() == [3, 3]
    assert np.array_equal(np.sort(np.concatenate(list(data.splits.values()))), np.arange(40))


def test_train_val_test_are_respected(tmp_path: Path, cache: Path) -> None:
    for seed, (split, n) in enumerate({"train": 5, "val": 3, "test": 4}.items()):
        fill(tmp_path / "pets" / split, n=n, seed=1000 * seed)
    data = load(tmp_path / "pets", cache)
    assert counts(data) == {"train": 10, "val": 6, "test": 8}
    pixels, _ = data.batch(data.splits["val"][:1])
    with Image.open(tmp_path / "pets/val/cat/0.png") as image:
        assert np.array_equal(pixels[0].permute(1, 2, 0).numpy(), np.asarray(image))


@pytest.mark.parametrize("there", [("train",), ("train", "test"), ("train", "val"), ("Training", "Validation")])
def test_missing_splits_are_carved_out_of_train(tmp_path: Path, cache: Path, there: tuple[str, ...]) -> None:
    for seed, split in enumerate(there):
        fill(tmp_path / "pets" / split, n=20, seed=1000 * seed)
    sizes = counts(load(tmp_path / "pets", cache))
    declared = {"train": "train", "test": "test", "val": "val", "Training": "train", "Validation": "val"}
    missing = {"val", "test"} - {declared[split] for split in there}
    assert all(sizes[split] == (6 if split in missing else 40) for split in ("val", "test"))
    assert sizes["train"] == 40 - 6 * len(missing)


def test_train_may_be_a_class_beside_others(tmp_path: Path, cache: Path) -> None:
    assert load(fill(tmp_path / "vehicles", ("bus", "train")), cache).classes == ("bus", "train")


def test_folders_beside_the_splits_are_reported(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "pets" / "train")
    write(tmp_path / "pets" / "extra" / "0.png", 7)
    data = load(tmp_path / "pets", cache)
    assert data.skipped == ("extra/0.png: not in a class folder of train, val or test",)
    assert data.classes == ("cat", "dog")


def test_suffixes_hidden_files_and_depth(tmp_path: Path, cache: Path) -> None:
    root = fill(tmp_path / "pets")
    write(root / "cat" / "deep" / "er" / "x.PNG", 1)
    write(root / "cat" / "y.JPeG", 2)
    write(root / "cat" / ".hidden.png", 3)
    write(root / ".thumbnails" / "z.png", 4)
    (root / "cat" / "notes.txt").write_text("no image")
    data = load(root, cache)
    assert (len(data), data.skipped, data.classes) == (18, (), ("cat", "dog"))


def test_linked_folders_are_followed_once(tmp_path: Path, cache: Path) -> None:
    outside = fill(tmp_path / "elsewhere", ("cat",))
    root = fill(tmp_path / "pets", ("dog",))
    (root / "cat").symlink_to(outside / "cat")
    (root / "dog" / "loop").symlink_to(root)
    assert len(load(root, cache)) == 16


def test_unlabelled_takes_everything(tmp_path: Path, cache: Path) -> None:
    for i in range(20):
        write(tmp_path / "heap" / ("a" if i % 2 else "b/c") / f"{i}.png", i)
    data = load(tmp_path / "heap", cache, labelled=False)
    assert (data.classes, data.labels, counts(data)) == ((), None, {"train": 14, "val": 3, "test": 3})


def test_unlabelled_respects_split_folders(tmp_path: Path, cache: Path) -> None:
    for seed, (split, n) in enumerate({"train": 9, "val": 2, "test": 3}.items()):
        for i in range(n):
            write(tmp_path / "heap" / split / f"{i}.png", 100 * seed + i)
    data = load(tmp_path / "heap", cache, labelled=False)
    assert (data.labels, counts(data)) == (None, {"train": 9, "val": 2, "test": 3})


def test_one_folder_is_enough_if_unlabelled(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "heap", (".",), n=6)
    check_dataset(f"folder:{tmp_path / 'heap'}", labelled=False)
    assert len(load(tmp_path / "heap", cache, labelled=False)) == 6


def test_fingerprint_is_of_content_not_of_place_or_time(tmp_path: Path, cache: Path) -> None:
    first = load(fill(tmp_path / "pets"), cache)
    shutil.copytree(tmp_path / "pets", tmp_path / "far" / "away")
    moved = load(tmp_path / "far" / "away", cache)
    assert (moved.fingerprint, moved.name) == (first.fingerprint, "folder:away")
    write(tmp_path / "pets/cat/0.png", 999)
    assert load(tmp_path / "pets", cache).fingerprint != first.fingerprint


def test_fingerprint_tells_labels_apart(tmp_path: Path, cache: Path) -> None:
    first = load(fill(tmp_path / "pets"), cache)
    shutil.move(tmp_path / "pets/cat/7.png", tmp_path / "pets/dog/-.png")  # the same pixels, in the same order
    assert load(tmp_path / "pets", cache).fingerprint != first.fingerprint
    assert len(first.fingerprint) == 16 and int(first.fingerprint, 16) >= 0


def test_duplicates_never_straddle_splits(tmp_path: Path, cache: Path) -> None:
    root = fill(tmp_path / "pets", n=20)
    for i in range(20):
        shutil.copy(root / "cat" / f"{i}.png", root / "cat" / f"copy_{i}.png")
    data = load(root, cache)
    seen: dict[bytes, set[str]] = {}
    for split, indices in data.splits.items():
        for image in data.batch(indices)[0]:
            seen.setdefault(image.numpy().tobytes(), set()).add(split)
    assert len(seen) == 40
    assert all(len(splits) == 1 for splits in seen.values())


@pytest.mark.filterwarnings("error")
def test_broken_files_are_left_out_with_a_reason(tmp_path: Path, cache: Path) -> None:
    root = fill(tmp_path / "pets")
    whole = write(root / "cat" / "cut.jpg", 5, (64, 64)).read_bytes()
    (root / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "page.png").write_text("<html>")
    (root / "dog" / "zero.gif").touch()
    (root / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    data = load(root, cache)
    assert len(data) == 16
    reasons = dict(line.split(": ", 1) for line in data.skipped)
    assert reasons.keys() == {"cat/cut.jpg", "dog/gone.png", "dog/page.png", "dog/zero.gif"}
    assert reasons["cat/cut.jpg"].startswith("truncated: ")
    assert reasons["dog/page.png"] == "not an image"
    assert reasons["dog/zero.gif"] == "empty file"
    assert reasons["dog/gone.png"] == "No such file or directory"
    assert str(tmp_path) not in " ".join(data.skipped)


def test_mean_and_std_are_of_the_train_split(tmp_path: Path, cache: Path) -> None:
    data = load(fill(tmp_path / "pets", n=10), cache)
    pixels = data.batch(data.splits["train"])[0].double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-9)
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-9)


def test_images_of_one_colour_have_a_finite_scale(tmp_path: Path, cache: Path) -> None:
    for i in range(6):
        path = tmp_path / "flat" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + i, 8), (90, 90, 90)).save(path)
    assert load(tmp_path / "flat", cache).std == pytest.approx((1 / 255,) * 3)


def test_panoramas_are_kept_whole_and_small(tmp_path: Path, cache: Path) -> None:
    root = fill(tmp_path / "views")
    write(root / "cat" / "wide.png", 1, (64, 640))
    write(root / "cat" / "wider.png", 1, (64, 2560))
    data = load(root, cache)  # image_size 16: short side at most 32, long side at most 128
    sizes = {tuple(size) for size in data.batch(np.arange(len(data)))[1].tolist()}
    assert sizes == {(10, 12), (13, 128), (3, 128)}


def refused(root: Path, cache: Path, **options: object) -> str:
    """Both functions refuse, in the same words, in one line."""
    with pytest.raises(DataError) as loading:
        load(root, cache, **options)
    with pytest.raises(DataError) as checking:
        check_dataset(f"folder:{root}", **options)
    assert str(loading.value) == str(checking.value)
    assert "\n" not in str(loading.value)
    return str(loading.value)


def test_missing_folder(tmp_path: Path, cache: Path) -> None:
    assert "nowhere does not exist" in refused(tmp_path / "nowhere", cache)


def test_file_instead_of_folder(tmp_path: Path, cache: Path) -> None:
    assert "is a file; wanted a folder" in refused(write(tmp_path / "a.png", 0), cache)


def test_folder_without_images(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    assert "no images in" in refused(tmp_path / "empty", cache)


def test_images_without_class_folders(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "heap" / "a.png", 0)
    assert "no class folders" in (message := refused(tmp_path / "heap", cache))
    assert "--unlabelled" in message


def test_splits_without_class_folders(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "heap" / "train" / "a.png", 0)
    write(tmp_path / "heap" / "test" / "b.png", 1)
    assert "no class folders" in refused(tmp_path / "heap", cache)


def test_one_class(tmp_path: Path, cache: Path) -> None:
    assert "one class, 'cat'" in (message := refused(fill(tmp_path / "pets", ("cat",)), cache))
    assert "--unlabelled" in message


def test_class_that_train_lacks(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "pets" / "train")
    fill(tmp_path / "pets" / "test", ("cat", "dog", "eel"), seed=1000)
    assert "class 'eel' has no image in train" in refused(tmp_path / "pets", cache)


def test_too_few_images_for_three_splits(tmp_path: Path, cache: Path) -> None:
    assert "split 'val' is empty" in refused(fill(tmp_path / "pets", n=2), cache)


def test_no_train_folder(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "pets" / "val")
    fill(tmp_path / "pets" / "test", seed=1000)
    assert "split 'train' is empty" in refused(tmp_path / "pets", cache)


def test_nothing_readable(tmp_path: Path, cache: Path) -> None:
    for name in ("cat/a.jpg", "dog/b.jpg"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True)
        (tmp_path / "pets" / name).write_text("no image")
    with pytest.raises(DataError, match=r"no readable image \(2 left out; the first: cat/a.jpg: not an image\)"):
        load(tmp_path / "pets", cache)
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]
