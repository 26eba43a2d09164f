"""The `pets` dataset: ROOT/oxford-iiit-pet/annotations/{trainval,test}.txt and images/*.jpg."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import Part, listed_reader
from lejepa_core.datasets.published import parsing, read_lines
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import IMAGENET_MEAN, IMAGENET_STD, VAL_CARVED, VAL_SHARES, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="pets",
        title="Oxford-IIIT Pets: breeds of cats and dogs",
        classes=37,
        native_size=None,
        images={"train": 3_312, "val": 368, "test": 3_669},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        bundled=False,
        licence="CC BY-SA 4.0",
        source="Parkhi et al. 2012, Cats and Dogs",
        how_to_get="lejepa datasets get pets --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)

_FOLDER = "oxford-iiit-pet"
_URL = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
_ARCHIVES = (
    Archive(url=f"{_URL}images.tar.gz", md5="5c4f3ee8e5d25df40f4fd59a7f44e54c", into=_FOLDER),
    Archive(url=f"{_URL}annotations.tar.gz", md5="95a8c909bbe2e81eed6a22bccdf3f68f", into=_FOLDER),
)


def pets_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.

    Returns:
        The reader.
    """
    return listed_reader(spec, folder=_FOLDER, parts=_parts, archives=_ARCHIVES)


def _parts(folder: Path) -> Iterator[Part]:
    for published, split in (("trainval", "train"), ("test", "test")):
        file = folder / "annotations" / f"{published}.txt"
        lines = read_lines(file)
        with parsing(file):
            names = [name for name, _, _, _ in (line.split() for line in lines)]
            files = [(f"images/{name}.jpg", _breed(name)) for name in names]
        yield Part(annotation=file, split=split, files=files)


def _breed(name: str) -> str:
    # "yorkshire_terrier_12" -> "Yorkshire Terrier"
    return name.rsplit("_", 1)[0].replace("_", " ").title()


READERS: Final = {"pets": pets_reader()}
