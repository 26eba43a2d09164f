"""The `stl10` dataset: ROOT/stl10_binary/{train,test}_{X,y}.bin."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from lejepa_core.datasets.arrays import Labelled, array_reader
from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.published import parsing, read_verified
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

CHECKSUMS: Final = {
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
"""MD5 of the published files; torchvision holds the same."""

CLASSES: Final = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
"""In the order of the labels 1..10."""

SPECS: Final = (
    DatasetSpec(
        name="stl10",
        title="STL-10: photographs of 10 kinds of things (without its unlabelled part)",
        classes=10,
        native_size=96,
        images={"train": 4_500, "val": 500, "test": 8_000},
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2603, 0.2566, 0.2713),
        flip=True,
        made_of="imagenet",
        bundled=False,
        licence="none stated; images of ImageNet",
        source="Coates, Ng and Lee 2011, An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
        how_to_get="lejepa datasets get stl10 --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)

_SIDE = 96
_ARCHIVES = (
    Archive(
        url="http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", md5="91f7769df0f17e558f3565bffb0c7dfb"
    ),
)  # fmt: skip


def stl10_reader(checksums: Mapping[str, str] = CHECKSUMS) -> Reader:
    """Make the reader.

    Args:
        checksums: MD5 of the four files.

    Returns:
        The reader.
    """
    return array_reader(SPECS[0], folder="stl10_binary", checksums=checksums, images=_images, archives=_ARCHIVES)


def _images(folder: Path, checksums: Mapping[str, str]) -> Iterator[Labelled]:
    for split in ("train", "test"):
        images, labels = (
            np.frombuffer(read_verified(folder / name, checksums[name]), dtype=np.uint8)
            for name in (f"{split}_X.bin", f"{split}_y.bin")
        )
        with parsing(folder / f"{split}_X.bin"):
            # The file holds channels, then columns, then rows.
            images = images.reshape(len(labels), 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)
        for pixels, label in zip(images, labels.tolist(), strict=True):
            yield split, CLASSES[label - 1], pixels


READERS: Final = {"stl10": stl10_reader()}
