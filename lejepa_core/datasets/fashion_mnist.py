"""The `fashion-mnist` dataset: four IDX files, as they are or gzipped.

ROOT/fashion-mnist, or torchvision's ROOT/FashionMNIST/raw, or where Debian's package dataset-fashion-mnist puts them.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lejepa_core.datasets.idx import idx_reader, zipped_archives
from lejepa_core.datasets.published import Unusable, parsing, read
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the files."""
MIRROR: Final = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
"""Where they were published."""
CHECKSUMS: Final = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the files, gunzipped: Debian gzipped them anew."""
ZIPPED: Final = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""MD5 of the files as they were published, gzipped; torchvision holds the same."""
CLASSES: Final = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))
"""Name of each label, as published."""

_FOLDER = "fashion-mnist"
_TORCHVISION = Path("FashionMNIST", "raw")

SPECS: Final = (
    DatasetSpec(
        name="fashion-mnist",
        title="Fashion-MNIST: articles of clothing, 28x28 grey",
        classes=10,
        native_size=28,
        images={"train": 54_000, "val": 6_000, "test": 10_000},
        mean=(0.2860, 0.2860, 0.2860),
        std=(0.3530, 0.3530, 0.3530),
        flip=True,
        # Grey levels that were inverted and stretched on purpose; hue means nothing here.
        photographic=False,
        bundled=False,
        licence="MIT",
        source="Xiao, Rasul and Vollgraf 2017, Fashion-MNIST",
        how_to_get="apt-get install dataset-fashion-mnist, or: lejepa datasets get fashion-mnist --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)
"""What this module reads."""


def fashion_mnist_reader(
    checksums: Mapping[str, str] = CHECKSUMS, *, debian: Path = DEBIAN, mirror: str = MIRROR
) -> Reader:
    """Make the reader.

    Args:
        checksums: SHA-256 of the four files, gunzipped.
        debian: Where to look if the data root has none of them.
        mirror: Where to download them from, gzipped as published.

    Returns:
        The reader; 10 % of each class's train images are carved out as val.
    """
    return idx_reader(
        SPECS[0],
        folder=_FOLDER,
        classes=CLASSES,
        checksums=checksums,
        content=_content,
        elsewhere=(_TORCHVISION, debian),
        archives=zipped_archives(mirror, ZIPPED, _FOLDER),
    )


def _content(folder: Path, name: str, sha256: str) -> bytes:
    plain, zipped = folder / name, folder / f"{name}.gz"
    file = plain if plain.exists() else zipped
    data = read(file)
    if file == zipped:
        with parsing(file):
            data = gzip.decompress(data)
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise Unusable(file, f"damaged (the sha256 of its content is {found}, not {sha256})")
    return data


READERS: Final[Mapping[str, Reader]] = {"fashion-mnist": fashion_mnist_reader()}
"""How it is read."""
