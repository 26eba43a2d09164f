"""Published data sets in their own on-disk layout, against torchvision and against known pixels."""

from dataclasses import replace
from pathlib import Path

import dataset_trees
import numpy as np
import pytest
import torchvision_sets
from dataset_trees import ARRAYS, PHOTOGRAPHS, Tree

from lejepa_core.datasets import ImageDataset, streamable
from lejepa_core.datasets.cache import cached
from lejepa_core.errors import DataError

MODULES = {"cifar10": "cifar", "cifar100": "cifar"}
GUARDED = tuple(name for name in (*PHOTOGRAPHS, *ARRAYS) if name not in ("eurosat", "caltech101"))


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    folder = tmp_path_factory.mktemp("trees")
    return {name: dataset_trees.build(name, folder / name) for name in (*PHOTOGRAPHS, *ARRAYS)}


@pytest.fixture(scope="module")
def loaded(trees: dict[str, Tree], tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageDataset]:
    cache = tmp_path_factory.mktemp("cache")
    return {name: load(tree, cache) for name, tree in trees.items()}


def load(tree: Tree, cache: Path) -> ImageDataset:
    return cached(tree.reader.source(tree.root, 32), cache)


def pixels_of(data: ImageDataset, index: int) -> np.ndarray:
    pixels, sizes = data.batch(np.array([index]))
    height, width = sizes[0].tolist()
    return pixels[0, :, :height, :width].permute(1, 2, 0).numpy()


def refusal(tree: Tree, cache: Path) -> str:
    """What both ways to find out say, in one line."""
    with pytest.raises(DataError) as checking:
        tree.reader.check(tree.root)
    with pytest.raises(DataError) as loading:
        load(tree, cache)
    assert str(checking.value) == str(loading.value)
    assert "\n" not in str(checking.value)
    return str(checking.value)


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *ARRAYS])
def test_what_can_be_streamed_says_so(name: str, trees: dict[str, Tree]) -> None:
    reader = trees[name].reader
    assert (reader.source(trees[name].root, 32).lazy is not None) == reader.streams == streamable(name)


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *ARRAYS])
def test_images_classes_and_splits_are_torchvisions(
    name: str, trees: dict[str, Tree], loaded: dict[str, ImageDataset]
) -> None:
    trees[name].reader.check(trees[name].root)
    data, theirs = loaded[name], torchvision_sets.read(trees[name])
    assert len(data) == len(theirs)
    assert data.skipped == ()
    carved = set(trees[name].spec.shares)
    split_of = {index: split for split, indices in data.splits.items() for index in indices.tolist()}
    for index, (split, label, pixels) in enumerate(theirs):
        assert ("train" if split_of[index] in carved else split_of[index]) == split
        assert data.classes[data.labels[index]] == label
        assert np.array_equal(pixels_of(data, index), pixels)


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *ARRAYS])
def test_splits_have_the_sizes_that_the_registry_promises(
    name: str, trees: dict[str, Tree], loaded: dict[str, ImageDataset]
) -> None:
    data, spec = loaded[name], trees[name].spec
    assert {split: len(indices) for split, indices in data.splits.items()} == spec.images
    for split, indices in data.splits.items():
        assert set(np.bincount(data.labels[indices], minlength=spec.classes)) == {spec.images[split] // spec.classes}


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *ARRAYS])
def test_what_the_registry_says_of_images_reaches_the_source(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(dataset_trees.DATASETS[name], flip=False, photographic=False, probe_per_class=7)
    monkeypatch.setattr(dataset_trees, "DATASETS", {**dataset_trees.DATASETS, name: spec})
    monkeypatch.setattr(f"lejepa_core.datasets.{MODULES.get(name, name)}.SPECS", (spec,))
    tree = dataset_trees.build(name, tmp_path)
    source = tree.reader.source(tree.root, 32)
    assert (source.flip, source.photographic, source.probe_per_class) == (False, False, 7)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_grey_cmyk_and_turned_photographs_are_upright_rgb(
    name: str, trees: dict[str, Tree], loaded: dict[str, ImageDataset]
) -> None:
    tree = trees[name]
    listing = sorted(tree.photographs.values())
    assert {dataset_trees.kind(seed) for seed in listing} == set(dataset_trees.KINDS)
    wanted = np.stack([dataset_trees.upright(seed) for seed in listing]).astype(int)
    found = np.stack([pixels_of(loaded[name], index) for index in range(len(loaded[name]))]).astype(int)
    # A data set may list its images in another order: each has to look like one that was written.
    distance = np.abs(wanted[:, None] - found[None]).mean(axis=(2, 3, 4))
    assert sorted(distance.argmin(axis=0).tolist()) == listing
    assert distance.min(axis=0).max() < 4


@pytest.mark.parametrize("name", GUARDED)
def test_absent_annotation_is_refused(name: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    for file in tree.guarded:
        content = (tree.root / file).read_bytes()
        (tree.root / file).unlink()
        assert f"no {file}" in refusal(tree, tmp_path / "cache")
        (tree.root / file).write_bytes(content)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_damaged_annotation_is_refused(name: str, damage: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    for file in tree.guarded:
        content = (tree.root / file).read_bytes()
        (tree.root / file).write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x00\xff no such thing")
        assert str(tree.root / file) in refusal(tree, tmp_path / "cache")
        (tree.root / file).write_bytes(content)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_absent_photograph_is_refused(name: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    file = next(iter(tree.photographs))
    (tree.root / file).unlink()
    message = refusal(tree, tmp_path / "cache")
    # Where nothing lists them, only their number tells.
    assert (f"{tree.root / file}: absent" if tree.guarded else "lists") in message


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_truncated_photograph_is_left_out_with_a_reason(name: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    file = next(iter(tree.photographs))
    content = (tree.root / file).read_bytes()
    (tree.root / file).write_bytes(content[: len(content) // 2])
    data = load(tree, tmp_path / "cache")
    assert len(data) == len(tree.photographs) - 1
    assert len(data.skipped) == 1
    assert data.skipped[0].startswith(f"{file.split('/', 1)[1]}: ")
    assert "truncated" in data.skipped[0].lower()


@pytest.mark.parametrize("name", ["food101", "eurosat"])
def test_incomplete_download_is_to_be_removed_first(name: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    (tree.root / next(iter(tree.photographs))).unlink()
    folder = tree.root / next(iter(tree.photographs)).split("/")[0]
    remedy = f"remove {folder}, then: lejepa datasets get {name} --root {tree.root}"
    assert refusal(tree, tmp_path / "cache").endswith(remedy)


def test_photographs_are_stored_for_the_size_of_the_views(tmp_path: Path) -> None:
    tree = dataset_trees.build("dtd", tmp_path / "root")
    data = cached(tree.reader.source(tree.root, 4), tmp_path / "cache")
    assert set(data.heights.tolist()) == {8}
    assert set(data.widths.tolist()) == {12}


def test_key_changes_with_a_photograph_and_with_an_annotation(tmp_path: Path) -> None:
    tree = dataset_trees.build("dtd", tmp_path / "root")
    keys = [tree.reader.source(tree.root, 32).key]
    (tree.root / next(iter(tree.photographs))).write_bytes(dataset_trees.photograph(99))
    keys.append(tree.reader.source(tree.root, 32).key)
    train, val = (tree.root / f"dtd/dtd/labels/{split}1.txt" for split in ("train", "val"))
    lines = {file: file.read_text().splitlines() for file in (train, val)}
    train.write_text("\n".join([*lines[train][1:], lines[val][0]]))
    val.write_text("\n".join([*lines[val][1:], lines[train][0]]))
    keys.append(tree.reader.source(tree.root, 32).key)
    assert len(set(keys)) == 3


@pytest.mark.parametrize("name", ["food101", "svhn"])
def test_key_is_not_of_the_place(name: str, tmp_path: Path) -> None:
    tree = dataset_trees.build(name, tmp_path / "root")
    key = tree.reader.source(tree.root, 32).key
    assert tree.reader.source(tree.root.rename(tmp_path / "elsewhere"), 32).key == key


def test_labels_of_svhn_are_the_digits(loaded: dict[str, ImageDataset]) -> None:
    # Its files say 1..10, and 10 is the digit 0.
    assert loaded["svhn"].classes == tuple("0123456789")
    assert [loaded["svhn"].classes[label] for label in loaded["svhn"].labels[:10]] == list("1234567890")


def test_other_number_of_images_is_refused(tmp_path: Path) -> None:
    tree = dataset_trees.build("eurosat", tmp_path / "root")
    (tree.root / "eurosat/2750/SeaLake/SeaLake_99.jpg").write_bytes(dataset_trees.photograph(99))
    assert f"{tree.root}/eurosat/2750: lists 21 images, not 20" in refusal(tree, tmp_path / "cache")
