"""What torchvision reads from the trees of `dataset_trees`: published split, class and file or pixels of each image."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from dataset_trees import Tree
from PIL import Image, ImageOps
from torchvision import datasets

Found = tuple[str, str, np.ndarray]


def read(tree: Tree) -> list[Found]:
    return list(globals()[f"_{tree.name}"](tree))


def _open(path: Any) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _files(split: str, found: Any, files: list[Any], classes: list[str]) -> Iterator[Found]:
    for path, label in zip(files, found._labels, strict=True):
        yield split, classes[label], _open(path)


def _food101(tree: Tree) -> Iterator[Found]:
    for split in ("train", "test"):
        found = datasets.Food101(tree.root, split)
        yield from _files(split, found, found._image_files, found.classes)


def _flowers102(tree: Tree) -> Iterator[Found]:
    published = datasets.Flowers102._file_dict
    ids = {published[key][0]: key for key in ("label", "setid")}
    files = {"image": published["image"]} | {ids[name]: (name, md5) for name, md5 in tree.checksums.items()}
    small = type("Small", (datasets.Flowers102,), {"_file_dict": files})
    for split in ("train", "val", "test"):
        found = small(tree.root, split)
        yield from _files(split, found, found._image_files, found.classes)


def _dtd(tree: Tree) -> Iterator[Found]:
    for split in ("train", "val", "test"):
        found = datasets.DTD(tree.root, split)
        yield from _files(split, found, found._image_files, found.classes)


def _aircraft(tree: Tree) -> Iterator[Found]:
    for split in ("train", "val", "test"):
        found = datasets.FGVCAircraft(tree.root, split)
        yield from _files(split, found, found._image_files, found.classes)


def _pets(tree: Tree) -> Iterator[Found]:
    for split, published in (("train", "trainval"), ("test", "test")):
        found = datasets.OxfordIIITPet(tree.root, published)
        yield from _files(split, found, found._images, found.classes)


def _cars(tree: Tree) -> Iterator[Found]:
    for split in ("train", "test"):
        found = datasets.StanfordCars(tree.root, split)
        for path, label in found._samples:
            yield split, found.classes[label], _open(path)


def _eurosat(tree: Tree) -> Iterator[Found]:
    found = datasets.EuroSAT(tree.root)
    for path, label in found.samples:
        yield "train", found.classes[label], _open(path)


def _caltech101(tree: Tree) -> Iterator[Found]:
    found = datasets.Caltech101(tree.root)
    for number, label in zip(found.index, found.y, strict=True):
        name = found.categories[label]
        yield "train", name, _open(f"{found.root}/101_ObjectCategories/{name}/image_{number:04d}.jpg")


def _svhn(tree: Tree) -> Iterator[Found]:
    files = {name.split("_")[0]: ["", name, md5] for name, md5 in tree.checksums.items()}
    small = type("Small", (datasets.SVHN,), {"split_list": files})
    for split in ("train", "test"):
        found = small(tree.root / "svhn", split)
        for pixels, label in zip(found.data, found.labels, strict=True):
            yield split, str(label), pixels.transpose(1, 2, 0)


def _stl10(tree: Tree) -> Iterator[Found]:
    files = [[name, md5] for name, md5 in tree.checksums.items()]
    small = type("Small", (datasets.STL10,), {"train_list": files[:2], "test_list": files[2:]})
    for split in ("train", "test"):
        found = small(tree.root, split)
        for pixels, label in zip(found.data, found.labels, strict=True):
            yield split, found.classes[label], pixels.transpose(1, 2, 0)


def _cifar(base: Any, tree: Tree) -> Iterator[Found]:
    meta = base.meta["filename"]
    files = [[name, md5] for name, md5 in tree.checksums.items() if name != meta]
    lists = {
        "train_list": [file for file in files if not file[0].startswith("test")],
        "test_list": [file for file in files if file[0].startswith("test")],
        "meta": {**base.meta, "md5": tree.checksums[meta]},
    }
    small = type("Small", (base,), lists)
    for split in ("train", "test"):
        found = small(tree.root, train=split == "train")
        for pixels, label in zip(found.data, found.targets, strict=True):
            yield split, found.classes[label], pixels


def _cifar10(tree: Tree) -> Iterator[Found]:
    return _cifar(datasets.CIFAR10, tree)


def _cifar100(tree: Tree) -> Iterator[Found]:
    return _cifar(datasets.CIFAR100, tree)
