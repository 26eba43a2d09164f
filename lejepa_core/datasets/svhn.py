"""The `svhn` dataset: ROOT/svhn/train_32x32.mat and test_32x32.mat."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lejepa_core.datasets.arrays import Labelled, array_reader
from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.published import parsing, read_mat
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

CHECKSUMS: Final = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
"""MD5 of the published files; torchvision holds the same."""

SPECS: Final = (
    DatasetSpec(
        name="svhn",
        title="SVHN: digits of house numbers (without its extra part)",
        classes=10,
        native_size=32,
        images={"train": 65_931, "val": 7_326, "test": 26_032},
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
        flip=False,
        bundled=False,
        licence="non-commercial use",
        source="Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning",
        how_to_get="lejepa datasets get svhn --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)

_ARCHIVES = tuple(
    Archive(url=f"http://ufldl.stanford.edu/housenumbers/{file}", md5=md5, into="svhn")
    for file, md5 in CHECKSUMS.items()
)


def svhn_reader(checksums: Mapping[str, str] = CHECKSUMS) -> Reader:
    """Make the reader.

    Args:
        checksums: MD5 of the two files.

    Returns:
        The reader.
    """
    return array_reader(SPECS[0], folder="svhn", checksums=checksums, images=_images, archives=_ARCHIVES)


def _images(folder: Path, checksums: Mapping[str, str]) -> Iterator[Labelled]:
    for split in ("train", "test"):
        file = folder / f"{split}_32x32.mat"
        arrays = read_mat(file, md5=checksums[file.name])
        with parsing(file):
            images, labels = arrays["X"].transpose(3, 0, 1, 2), arrays["y"].tolist()
        for pixels, label in zip(images, labels, strict=True):
            # The file calls the digit 0 class 10.
            yield split, str(int(label) % 10), pixels


READERS: Final = {"svhn": svhn_reader()}
