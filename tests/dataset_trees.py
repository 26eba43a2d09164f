"""Small copies of published data sets, each in its own on-disk layout.

The photographs of a tree are in turn an RGB, a grey, a CMYK and an EXIF-rotated JPEG.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from scipy.io import savemat

from lejepa_core.datasets import DATASETS, DatasetSpec
from lejepa_core.datasets.aircraft import aircraft_reader
from lejepa_core.datasets.caltech101 import caltech101_reader
from lejepa_core.datasets.cars import cars_reader
from lejepa_core.datasets.cifar import cifar_reader
from lejepa_core.datasets.dtd import dtd_reader
from lejepa_core.datasets.eurosat import eurosat_reader
from lejepa_core.datasets.flowers102 import flowers102_reader
from lejepa_core.datasets.food101 import food101_reader
from lejepa_core.datasets.pets import pets_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.stl10 import CLASSES as STL10_CLASSES
from lejepa_core.datasets.stl10 import stl10_reader
from lejepa_core.datasets.svhn import svhn_reader

KINDS = ("rgb", "grey", "cmyk", "turned")
PER_CLASS = {"train": 10, "val": 2, "test": 4}


@dataclass(frozen=True)
class Tree:
    """A data root with one small data set, and the reader that knows its numbers and checksums."""

    name: str
    root: Path
    reader: Reader
    spec: DatasetSpec
    guarded: tuple[str, ...]
    """Annotations and arrays: absent or damaged, they make the set unusable."""
    photographs: Mapping[str, int]
    """Path below the root -> seed of its pattern."""
    checksums: Mapping[str, str]


def pattern(seed: int) -> np.ndarray:
    """16 x 24 pixels: four quadrants of four colours."""
    colours = np.random.default_rng(seed).integers(40, 216, (2, 2, 3), dtype=np.uint8)
    return colours.repeat(8, axis=0).repeat(12, axis=1)


def kind(seed: int) -> str:
    return KINDS[seed % len(KINDS)]


def upright(seed: int) -> np.ndarray:
    """The pixels that a photograph should give, up to what JPEG loses."""
    image = Image.fromarray(pattern(seed))
    return np.asarray(image.convert("L").convert("RGB") if kind(seed) == "grey" else image)


def photograph(seed: int) -> bytes:
    image, exif = Image.fromarray(pattern(seed)), Image.Exif()
    if kind(seed) == "grey":
        image = image.convert("L")
    elif kind(seed) == "cmyk":
        image = image.convert("CMYK")
    elif kind(seed) == "turned":
        exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise by whoever shows it
        image = image.transpose(Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=-1 if image.mode == "L" else 0, exif=exif)
    return buffer.getvalue()


class _Album:
    """Photographs that are being written below a folder."""

    def __init__(self, root: Path, folder: str) -> None:
        self.folder = root / folder
        self.folder.mkdir(parents=True)
        self.seeds: dict[str, int] = {}
        self._prefix = folder

    def add(self, relative: str) -> None:
        seed = len(self.seeds)
        self.seeds[f"{self._prefix}/{relative}"] = seed
        self.write(relative, photograph(seed))

    def write(self, relative: str, content: bytes | str) -> str:
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return relative

    def mat(self, relative: str, content: Mapping[str, Any]) -> str:
        buffer = io.BytesIO()
        savemat(buffer, content)
        return self.write(relative, buffer.getvalue())

    def md5(self, *names: str) -> dict[str, str]:
        return {name: hashlib.md5((self.folder / name).read_bytes()).hexdigest() for name in names}


def small(name: str, classes: int, published: Mapping[str, int]) -> DatasetSpec:
    """The spec of a tree; `published` counts images of each class and published split."""
    spec = DATASETS[name]
    carved = {split: round(share * published["train"]) for split, share in spec.shares.items()}
    images = {**published, **carved, "train": published["train"] - sum(carved.values())}
    images = {split: classes * images[split] for split in ("train", "val", "test")}
    return replace(spec, classes=classes, images=images)


def build(name: str, root: Path) -> Tree:
    """Write the tree of a data set below a root."""
    return _BUILDERS[name](root)


def _splits(*names: str) -> dict[str, int]:
    return {name: PER_CLASS[name] for name in names}


def _tree(
    album: _Album, root: Path, reader: Callable[..., Reader], spec: DatasetSpec, guarded: list[str], **options: Any
) -> Tree:
    return Tree(
        name=spec.name,
        root=root,
        reader=reader(spec, **options),
        spec=spec,
        guarded=tuple(f"{album.folder.name}/{file}" for file in guarded),
        photographs=album.seeds,
        checksums=options.get("checksums", {}),
    )


def _food101(root: Path) -> Tree:
    album, classes, splits = _Album(root, "food-101"), ("apple_pie", "waffles"), _splits("train", "test")
    for split, count in splits.items():
        names = {label: [f"{label}/{len(split)}{i}" for i in range(count)] for label in classes}
        for name in (name for some in names.values() for name in some):
            album.add(f"images/{name}.jpg")
        album.write(f"meta/{split}.json", json.dumps(names))
    guarded = ["meta/train.json", "meta/test.json"]
    return _tree(album, root, food101_reader, small("food101", 2, splits), guarded)


def _flowers102(root: Path) -> Tree:
    album, classes, splits = _Album(root, "flowers-102"), (1, 3, 102), _splits("train", "val", "test")
    labels: list[int] = []
    numbers: dict[str, list[int]] = {}
    for split, count in splits.items():
        for i in range(count * len(classes)):
            labels.append(classes[i % len(classes)])
            numbers.setdefault(split, []).append(len(labels))
            album.add(f"jpg/image_{len(labels):05}.jpg")
    guarded = [
        album.mat("imagelabels.mat", {"labels": [labels]}),
        album.mat("setid.mat", {"trnid": numbers["train"], "valid": numbers["val"], "tstid": numbers["test"]}),
    ]
    spec = small("flowers102", 3, splits)
    return _tree(album, root, flowers102_reader, spec, guarded, checksums=album.md5(*guarded))


def _dtd(root: Path) -> Tree:
    album, classes, splits = _Album(root, "dtd"), ("banded", "zigzagged"), _splits("train", "val", "test")
    guarded = []
    for split, count in splits.items():
        names = [f"{label}/{label}_{split}_{i:04}.jpg" for label in classes for i in range(count)]
        for name in names:
            album.add(f"dtd/images/{name}")
        guarded.append(album.write(f"dtd/labels/{split}1.txt", "\n".join(names) + "\n"))
    return _tree(album, root, dtd_reader, small("dtd", 2, splits), guarded)


def _aircraft(root: Path) -> Tree:
    album, classes = _Album(root, "fgvc-aircraft-2013b"), ("707-320", "Cessna 172", "F/A-18")
    splits, guarded, number = _splits("train", "val", "test"), [], 1_000_000
    for split, count in splits.items():
        lines = []
        for label in (label for label in classes for _ in range(count)):
            number += 1
            album.add(f"data/images/{number}.jpg")
            lines.append(f"{number} {label}\n")
        guarded.append(album.write(f"data/images_variant_{split}.txt", "".join(lines)))
    album.write("data/variants.txt", "\n".join(classes))
    return _tree(album, root, aircraft_reader, small("aircraft", 3, splits), guarded)


def _pets(root: Path) -> Tree:
    album, classes = _Album(root, "oxford-iiit-pet"), ("Abyssinian", "american_bulldog", "yorkshire_terrier")
    splits, guarded = _splits("train", "test"), []
    for split, count in splits.items():
        lines = []
        for number, label in enumerate(classes, start=1):
            for i in range(count):
                album.add(f"images/{label}_{len(split)}{i}.jpg")
                lines.append(f"{label}_{len(split)}{i} {number} 1 1\n")
        file = "trainval.txt" if split == "train" else "test.txt"
        guarded.append(album.write(f"annotations/{file}", "".join(lines)))
    return _tree(album, root, pets_reader, small("pets", 3, splits), guarded)


def _cars(root: Path) -> Tree:
    album, classes = _Album(root, "stanford_cars"), ("AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012")
    files = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    splits = _splits("train", "test")
    guarded = [album.mat("devkit/cars_meta.mat", {"class_names": np.array(classes, dtype=object)})]
    for split, count in splits.items():
        rows = np.zeros(count * 2, dtype=[("bbox_x1", object), ("class", object), ("fname", object)])
        for i in range(len(rows)):
            rows[i] = (1, i % 2 + 1, f"{i + 1:05}.jpg")
            album.add(f"cars_{split}/{i + 1:05}.jpg")
        guarded.append(album.mat(files[split], {"annotations": rows}))
    return _tree(album, root, cars_reader, small("cars", 2, splits), guarded)


def _eurosat(root: Path) -> Tree:
    album = _Album(root, "eurosat")
    for label in ("AnnualCrop", "SeaLake"):
        for i in range(1, 11):
            album.add(f"2750/{label}/{label}_{i:02}.jpg")
    return _tree(album, root, eurosat_reader, small("eurosat", 2, {"train": 10}), [])


def _caltech101(root: Path) -> Tree:
    album = _Album(root, "caltech101")
    for label in ("Faces", "accordion", "wild_cat"):
        for i in range(1, 11):
            album.add(f"101_ObjectCategories/{label}/image_{i:04}.jpg")
    album.write("101_ObjectCategories/BACKGROUND_Google/image_0001.jpg", photograph(0))
    return _tree(album, root, caltech101_reader, small("caltech101", 3, {"train": 10}), [])


def _noise(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def _arrays(album: _Album, root: Path, name: str, reader: Callable[..., Reader], files: list[str]) -> Tree:
    checksums = album.md5(*files)
    spec = small(name, DATASETS[name].classes, _splits("train", "test"))
    return Tree(
        name=name,
        root=root,
        reader=reader(checksums),
        spec=spec,
        guarded=tuple(f"{album.folder.name}/{file}" for file in files),
        photographs={},
        checksums=checksums,
    )


def _svhn(root: Path) -> Tree:
    album = _Album(root, "svhn")
    for split, count in _splits("train", "test").items():
        labels = np.tile(np.arange(1, 11, dtype=np.uint8), count)[:, None]
        pixels = _noise(len(labels), 32, 32, 3).transpose(1, 2, 3, 0)
        album.mat(f"{split}_32x32.mat", {"X": pixels, "y": labels})
    return _arrays(album, root, "svhn", svhn_reader, ["train_32x32.mat", "test_32x32.mat"])


def _stl10(root: Path) -> Tree:
    album, files = _Album(root, "stl10_binary"), []
    for split, count in _splits("train", "test").items():
        labels = np.tile(np.arange(1, 11, dtype=np.uint8), count)
        files.append(album.write(f"{split}_X.bin", _noise(len(labels), 3, 96, 96).tobytes()))
        files.append(album.write(f"{split}_y.bin", labels.tobytes()))
    album.write("class_names.txt", "\n".join(STL10_CLASSES))
    return _arrays(album, root, "stl10", stl10_reader, files)


def _cifar(name: str, root: Path) -> Tree:
    ten = name == "cifar10"
    album = _Album(root, "cifar-10-batches-py" if ten else "cifar-100-python")
    classes = [f"kind_{i:02}" for i in range(10 if ten else 100)]
    batches = {f"data_batch_{i}": 2 for i in range(1, 6)} | {"test_batch": 4} if ten else {"train": 10, "test": 4}
    for seed, (file, count) in enumerate(batches.items()):
        labels = np.tile(np.arange(len(classes)), count).tolist()
        pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        album.write(file, pickle.dumps({"data": pixels, "labels" if ten else "fine_labels": labels}))
    meta, key = ("batches.meta", "label_names") if ten else ("meta", "fine_label_names")
    album.write(meta, pickle.dumps({key: classes}))

    def reader(checksums: Mapping[str, str]) -> Reader:
        return cifar_reader(DATASETS[name], checksums)

    return _arrays(album, root, name, reader, [*batches, meta])


_BUILDERS: Mapping[str, Callable[[Path], Tree]] = {
    "food101": _food101,
    "flowers102": _flowers102,
    "dtd": _dtd,
    "aircraft": _aircraft,
    "pets": _pets,
    "cars": _cars,
    "eurosat": _eurosat,
    "caltech101": _caltech101,
    "svhn": _svhn,
    "stl10": _stl10,
    "cifar10": lambda root: _cifar("cifar10", root),
    "cifar100": lambda root: _cifar("cifar100", root),
}
PHOTOGRAPHS = ("food101", "flowers102", "dtd", "aircraft", "pets", "cars", "eurosat", "caltech101")
ARRAYS = ("svhn", "stl10", "cifar10", "cifar100")
