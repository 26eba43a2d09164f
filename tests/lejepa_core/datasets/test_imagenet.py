"""ImageNet and its subsets, from small trees in the published layouts."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_trees_h import CYAN, GREY, TURNED, assert_special, imagenet, opened, pixels, refused, sizes, special, write
from timm.data import ImageNetInfo
from torchvision.datasets import Imagenette

from lejepa_core.datasets.imagenet import READERS, SPECS, TREES
from lejepa_core.datasets.imagenet_classes import CMC_100, IMAGENETTE
from lejepa_core.datasets.imagenet_tree import Tree, all_wnids, tree_reader
from lejepa_core.datasets.reader import Reader

TRAIN, VAL = 4, 3
SPEC = {spec.name: spec for spec in SPECS}


def reader_of(name: str, train: int = TRAIN, test: int = VAL) -> Reader:
    """The published set, but with so many images of each class, and one of each for val."""
    classes = SPEC[name].classes
    tree: Tree = replace(TREES[name], train=classes * train, val_per_class=1)
    return tree_reader(replace(SPEC[name], images={"test": classes * test}), tree)


def tree_of(root: Path, wnids: Iterable[str] = IMAGENETTE, folder: str = "imagenette2-160", **options: int) -> Path:
    return imagenet(root / folder, wnids, **{"train": TRAIN, "val": VAL, **options})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def test_official_val_is_test_and_val_comes_from_train(root: Path, tmp_path: Path) -> None:
    tree_of(root)
    data = opened(reader_of("imagenette").source(root, 32), tmp_path)
    assert sizes(data) == {"train": 30, "val": 10, "test": 30}
    for split, per_class in (("train", 3), ("val", 1), ("test", 3)):
        assert np.bincount(data.labels[data.splits[split]]).tolist() == [per_class] * 10
    assert data.splits["test"].tolist() == list(range(40, 70))


def test_classes_are_named_as_torchvision_names_them(root: Path, tmp_path: Path) -> None:
    tree_of(root)
    published = Imagenette(str(root), split="train", size="160px")
    data = opened(reader_of("imagenette").source(root, 32), tmp_path)
    names = zip(published.wnids, published.classes, strict=True)
    assert list(data.classes) == [f"{wnid} {words[0]}" for wnid, words in names]


def test_val_is_the_same_images_in_every_size(root: Path, tmp_path: Path) -> None:
    tree_of(root)
    small = opened(reader_of("imagenette").source(root, 32), tmp_path)
    tree_of(root, folder="imagenette2", side=16)
    large = opened(reader_of("imagenette").source(root, 32), tmp_path)
    assert (small.heights[0], large.heights[0]) == (8, 16)
    assert all(np.array_equal(small.splits[split], large.splits[split]) for split in small.splits)


def test_photographs_of_every_kind_are_upright_rgb(root: Path, tmp_path: Path) -> None:
    folder = tree_of(root) / "val" / IMAGENETTE[0]
    places = dict(zip((GREY, CYAN, TURNED), sorted(folder.iterdir()), strict=True))
    for kind, path in places.items():
        write(path, special(kind))
    data = opened(reader_of("imagenette").source(root, 32), tmp_path)
    for position, kind in enumerate(places):
        assert_special(kind, pixels(data, 40 + position)[: data.heights[40 + position], : data.widths[40 + position]])


def test_images_are_stored_at_twice_the_size_of_views(root: Path, tmp_path: Path) -> None:
    tree_of(root, side=20)
    assert set(opened(reader_of("imagenette").source(root, 8), tmp_path).heights) == {16}


def test_all_classes_in_their_usual_order(root: Path, tmp_path: Path) -> None:
    tree_of(root, all_wnids(), "imagenet", train=2, val=1)
    data = opened(reader_of("imagenet1k", train=2, test=1).source(root, 32), tmp_path)
    assert sizes(data) == {"train": 1000, "val": 1000, "test": 1000}
    # timm's models give their logits in this order.
    assert [name.split()[0] for name in data.classes] == ImageNetInfo().label_names()
    assert len(data.classes) == 1000  # though two are called crane, and two maillot


def test_two_sets_are_called_imagenet_100(root: Path, tmp_path: Path) -> None:
    tree_of(root, sorted({*CMC_100, *all_wnids()[:100]}), "imagenet", train=2, val=1)
    cmc, first = (
        opened(reader_of(name, train=2, test=1).source(root, 32), tmp_path)
        for name in ("imagenet100", "imagenet100-first")
    )
    assert len(cmc.classes) == len(first.classes) == 100
    assert first.classes[0].startswith("n01440764") and not cmc.classes[0].startswith("n01440764")
    assert [name.split()[0] for name in first.classes] == sorted(all_wnids())[:100]


def test_cmc_list_is_of_imagenet_and_without_repeats() -> None:
    assert len(CMC_100) == len(set(CMC_100) & set(ImageNetInfo().label_names())) == 100


@pytest.mark.parametrize("listed", ["kaggle", "synsets"])
def test_flat_val_with_a_list_is_the_same_dataset(root: Path, tmp_path: Path, listed: str) -> None:
    folder = tree_of(root)
    wanted = opened(reader_of("imagenette").source(root, 32), tmp_path).fingerprint
    wnids = {path.stem: path.parent.name for path in (folder / "val").glob("*/*")}
    for path in list((folder / "val").glob("*/*")):
        path.rename(folder / "val" / path.name)
    for wnid in IMAGENETTE:
        (folder / "val" / wnid).rmdir()
    if listed == "kaggle":
        rows = [f"{name},{wnid} 1 2 3 4 {wnid} 5 6 7 8" for name, wnid in sorted(wnids.items(), reverse=True)]
        (folder / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]) + "\n")
    else:
        labels = "\n".join(wnid for _, wnid in sorted(wnids.items()))
        (folder / "imagenet_2012_validation_synset_labels.txt").write_text(labels + "\n")
    assert opened(reader_of("imagenette").source(root, 32), tmp_path).fingerprint == wanted


def test_flat_val_without_a_list_is_refused(root: Path, tmp_path: Path) -> None:
    folder = tree_of(root)
    for path in list((folder / "val").glob("*/*")):
        path.rename(folder / "val" / path.name)
    for wnid in IMAGENETTE:
        (folder / "val" / wnid).rmdir()
    assert "LOC_val_solution.csv" in (message := refused(reader_of("imagenette"), root, tmp_path))
    assert str(folder / "val") in message
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n")
    message = refused(reader_of("imagenette"), root, tmp_path)
    assert f"{folder / 'LOC_val_solution.csv'}: has no label for ILSVRC2012_val_00000001.JPEG" in message


def test_class_that_was_not_unpacked_is_named(root: Path, tmp_path: Path) -> None:
    folder = tree_of(root)
    for path in (folder / "train" / IMAGENETTE[3]).iterdir():
        path.unlink()
    assert str(folder / "train" / IMAGENETTE[3]) in refused(reader_of("imagenette"), root, tmp_path)
    (folder / "train" / IMAGENETTE[3]).rmdir()
    assert f"imagenette2-160/train/{IMAGENETTE[3]}" in refused(reader_of("imagenette"), root, tmp_path)


def test_tree_that_was_half_unpacked_is_refused(root: Path, tmp_path: Path) -> None:
    folder = tree_of(root)
    next((folder / "train" / IMAGENETTE[3]).iterdir()).unlink()
    message = refused(reader_of("imagenette"), root, tmp_path)
    assert f"{folder / 'train'}: holds 39 images of these classes, not 40" in message


def test_damaged_image_is_left_out_by_name(root: Path, tmp_path: Path) -> None:
    path = tree_of(root, side=32) / "train" / IMAGENETTE[0] / f"{IMAGENETTE[0]}_2.JPEG"
    path.write_bytes(path.read_bytes()[:400])
    (line,) = opened(reader_of("imagenette").source(root, 32), tmp_path).skipped
    assert line.startswith(f"train/{IMAGENETTE[0]}/{IMAGENETTE[0]}_2.JPEG: ")


def test_absent_set_says_what_to_do(root: Path, tmp_path: Path) -> None:
    assert f"lejepa datasets get imagenette --root {root}" in refused(READERS["imagenette"], root, tmp_path)
    message = refused(READERS["imagenet1k"], root, tmp_path)
    assert "image-net.org" in message and f"{root}/imagenet/train/n01440764/*.JPEG" in message


def test_gated_sets_are_not_downloaded() -> None:
    assert {name for name, reader in READERS.items() if reader.download} == {"imagenette", "imagenet10"}


def test_what_the_registry_says_of_images_reaches_the_source(root: Path) -> None:
    tree_of(root)
    classes, tree = len(IMAGENETTE), TREES["imagenette"]
    spec = replace(SPEC["imagenette"], images={"test": classes * VAL}, photographic=False, probe_per_class=7)
    source = tree_reader(spec, replace(tree, train=classes * TRAIN, val_per_class=1)).source(root, 32)
    assert (source.photographic, source.probe_per_class) == (False, 7)


def test_a_probe_of_all_of_imagenet_is_of_some_of_its_images() -> None:
    assert {name for name, spec in SPEC.items() if spec.probe_per_class} == {"imagenet1k"}
    assert SPEC["imagenet1k"].uses["probe training"].startswith("100 of each class")
