"""The `flowers102` dataset: ROOT/flowers-102/{setid,imagelabels}.mat and jpg/image_<number>.jpg."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import Part, listed_reader
from lejepa_core.datasets.published import parsing, read_mat
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import DatasetSpec

CHECKSUMS: Final = {
    "imagelabels.mat": "e0620be6f572b9609742df49c70aed4d",
    "setid.mat": "a5357ecc9cb78c4bef273ce3793fc85c",
}
"""MD5 of the published annotations; torchvision holds the same."""

SPECS: Final = (
    DatasetSpec(
        name="flowers102",
        title="Oxford Flowers-102: flowers of Britain",
        classes=102,
        native_size=None,
        images={"train": 1_020, "val": 1_020, "test": 6_149},
        mean=(0.4344, 0.3830, 0.2954),
        std=(0.2937, 0.2458, 0.2726),
        flip=True,
        bundled=False,
        licence="none stated; free for research",
        source="Nilsback and Zisserman 2008, Automated Flower Classification over a Large Number of Classes",
        how_to_get="lejepa datasets get flowers102 --root DIR",
    ),
)

_SPLITS = {"train": "trnid", "val": "valid", "test": "tstid"}
_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_ARCHIVES = (
    Archive(url=f"{_URL}102flowers.tgz", md5="52808999861908f626f3c1f4e79d11fa", into="flowers-102"),
    *(Archive(url=f"{_URL}{file}", md5=md5, into="flowers-102") for file, md5 in CHECKSUMS.items()),
)


def flowers102_reader(spec: DatasetSpec = SPECS[0], checksums: Mapping[str, str] = CHECKSUMS) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.
        checksums: MD5 of the two annotations.

    Returns:
        The reader.
    """
    parts = partial(_parts, checksums)
    return listed_reader(spec, folder="flowers-102", parts=parts, archives=_ARCHIVES)


def _parts(checksums: Mapping[str, str], folder: Path) -> Iterator[Part]:
    from torchvision.datasets import Flowers102  # for its list of names alone; slow to import

    setid, imagelabels = folder / "setid.mat", folder / "imagelabels.mat"
    numbers = read_mat(setid, md5=checksums[setid.name])
    labels = read_mat(imagelabels, md5=checksums[imagelabels.name])
    with parsing(imagelabels):
        # Images and classes are numbered from 1.
        names = dict(enumerate((Flowers102.classes[label - 1] for label in labels["labels"].tolist()), start=1))
    for split, key in _SPLITS.items():
        with parsing(setid):
            files = [(f"jpg/image_{number:05}.jpg", names[number]) for number in numbers[key].tolist()]
        yield Part(annotation=setid, split=split, files=files)


READERS: Final = {"flowers102": flowers102_reader()}
