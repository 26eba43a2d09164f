"""The `caltech101` dataset: ROOT/caltech101/101_ObjectCategories/<class>/*.jpg."""

from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import class_folder_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import ALL_CARVED, ALL_SHARES, IMAGENET_MEAN, IMAGENET_STD, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="caltech101",
        title="Caltech-101: objects (without the class of backgrounds)",
        classes=101,
        native_size=None,
        images={"train": 6_074, "val": 868, "test": 1_735},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        bundled=False,
        licence="CC BY 4.0",
        source="Fei-Fei, Fergus and Perona 2004, Learning Generative Visual Models from Few Training Examples",
        how_to_get="lejepa datasets get caltech101 --root DIR",
        shares=ALL_SHARES,
        uses=ALL_CARVED,
    ),
)

_ARCHIVES = (
    Archive(
        url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
        md5="3138e1922a9193bfa496528edbbc45d0",
        into="caltech101",
        nested="caltech-101/101_ObjectCategories.tar.gz",
    ),
)


def caltech101_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the number of images that there have to be.

    Returns:
        The reader.
    """
    below, left_out = "101_ObjectCategories", ("BACKGROUND_Google",)
    return class_folder_reader(spec, folder="caltech101", below=below, left_out=left_out, archives=_ARCHIVES)


READERS: Final = {"caltech101": caltech101_reader()}
