"""The `dtd` dataset: ROOT/dtd/dtd/labels/{train,val,test}1.txt and images/<class>/*.jpg."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import Part, listed_reader
from lejepa_core.datasets.published import parsing, read_lines
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import IMAGENET_MEAN, IMAGENET_STD, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="dtd",
        title="Describable Textures: partition 1 of 10",
        classes=47,
        native_size=None,
        images={"train": 1_880, "val": 1_880, "test": 1_880},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        bundled=False,
        licence="research",
        source="Cimpoi et al. 2014, Describing Textures in the Wild",
        how_to_get="lejepa datasets get dtd --root DIR",
    ),
)

_ARCHIVES = (
    Archive(
        url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
        md5="fff73e5086ae6bdbea199a49dfb8a4c1",
        into="dtd",
    ),
)


def dtd_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.

    Returns:
        The reader.
    """
    return listed_reader(spec, folder="dtd", parts=_parts, archives=_ARCHIVES)


def _parts(folder: Path) -> Iterator[Part]:
    for split in ("train", "val", "test"):
        file = folder / "dtd" / "labels" / f"{split}1.txt"
        lines = read_lines(file)
        with parsing(file):
            names = [line.split("/") for line in lines]
            files = [(f"dtd/images/{label}/{name}", label) for label, name in names]
        yield Part(annotation=file, split=split, files=files)


READERS: Final = {"dtd": dtd_reader()}
