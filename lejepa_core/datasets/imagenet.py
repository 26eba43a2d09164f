"""ImageNet-1k, its two subsets called ImageNet-100, and Imagenette: which they are.

`imagenet_tree` reads them. The official val is our test split; our val is carved out of train. The sets of 100 classes
are split as ImageNet-1k is. Imagenette is split anew: most of its val, our test, is of ImageNet-1k's train.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.imagenet_classes import CMC_100, IMAGENETTE
from lejepa_core.datasets.imagenet_tree import KAGGLE_LIST, Tree, all_wnids, tree_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import IMAGENET_MEAN, IMAGENET_STD, VAL_CARVED, DatasetSpec

_GATED = (
    "accept the terms at image-net.org, then unpack ILSVRC2012_img_train.tar and _val.tar as "
    "DIR/imagenet/train/n01440764/*.JPEG and so on, and DIR/imagenet/val likewise (or flat, with "
    f"{KAGGLE_LIST} beside val); DIR/imagenet may be a link"
)
_PROBED = 100
_OF_TRAIN = "of each class of train, by hash of the file's name"

_IMAGENET = DatasetSpec(
    name="imagenet1k",
    title="ImageNet-1k (ILSVRC 2012): photographs of 1,000 kinds of things",
    classes=1000,
    native_size=None,
    images={"train": 1_231_167, "val": 50_000, "test": 50_000},
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    flip=True,
    made_of="imagenet",
    probe_per_class=_PROBED,
    bundled=False,
    licence="non-commercial research, on registration",
    source="Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge",
    how_to_get=_GATED,
    uses={
        **VAL_CARVED,
        "probe training": f"{_PROBED} of each class of pretraining's, to keep a linear probe feasible",
        "validation": f"50 {_OF_TRAIN}",
    },
)
_CMC = replace(
    _IMAGENET,
    name="imagenet100",
    title="ImageNet-100, the 100 classes of CMC's list: what papers mean by the name",
    classes=100,
    images={"train": 121_689, "val": 5_000, "test": 5_000},
    probe_per_class=None,
    uses={**VAL_CARVED, "validation": f"50 {_OF_TRAIN}"},
)
_FIRST = replace(
    _CMC,
    name="imagenet100-first",
    title="the first 100 classes of ImageNet-1k, stable-datasets' ImageNet100; the train count is the most it can be",
    images={"train": 125_000, "val": 5_000, "test": 5_000},
)
_IMAGENETTE = replace(
    _IMAGENET,
    name="imagenette",
    title="Imagenette (ImageNet-10): ten classes of ImageNet that are easy to tell apart",
    classes=10,
    images={"train": 8_519, "val": 950, "test": 3_925},
    probe_per_class=None,
    licence="Apache-2.0 (the selection); images as ImageNet",
    source="Howard 2019, github.com/fastai/imagenette",
    how_to_get="lejepa datasets get imagenette --root DIR",
    uses={**VAL_CARVED, "validation": f"95 {_OF_TRAIN}"},
)
_ALIAS = replace(_IMAGENETTE, name="imagenet10", title="another name of imagenette")

_WHOLE = Tree(folders=("imagenet",), wnids=all_wnids, train=1_281_167, val_per_class=50)
# The largest size that is there: images are made smaller as a study needs them, never larger.
_TEN = Tree(
    folders=("imagenette2", "imagenette2-320", "imagenette2-160"),
    wnids=lambda: IMAGENETTE,
    train=9_469,
    val_per_class=95,
    archives=(
        Archive(
            url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
            md5="3df6f0d01a2c9592104656642f5e78a3",
        ),
    ),
)

TREES: Final[Mapping[str, Tree]] = {
    "imagenet1k": _WHOLE,
    "imagenet100": replace(_WHOLE, wnids=lambda: CMC_100, train=126_689),
    "imagenet100-first": replace(_WHOLE, wnids=lambda: all_wnids()[:100], train=None),
    "imagenette": _TEN,
}
"""The files of each set."""

SPECS: Final[tuple[DatasetSpec, ...]] = (_IMAGENET, _CMC, _FIRST, _IMAGENETTE, _ALIAS)
"""What this module reads."""

ALIASES: Final[Mapping[str, str]] = {_ALIAS.name: _IMAGENETTE.name}
"""Other names of these, and what they stand for."""

_READERS = {spec.name: tree_reader(spec, TREES[spec.name]) for spec in SPECS[:-1]}
READERS: Final[Mapping[str, Reader]] = _READERS | {alias: _READERS[name] for alias, name in ALIASES.items()}
"""How each of them is read."""
