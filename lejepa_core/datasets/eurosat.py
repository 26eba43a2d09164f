"""The `eurosat` dataset: ROOT/eurosat/2750/<class>/*.jpg."""

from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import class_folder_reader
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import ALL_CARVED, ALL_SHARES, IMAGENET_MEAN, IMAGENET_STD, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="eurosat",
        title="EuroSAT: land use from space, in red, green and blue",
        classes=10,
        native_size=64,
        images={"train": 18_900, "val": 2_700, "test": 5_400},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        bundled=False,
        licence="MIT",
        source="Helber et al. 2019, EuroSAT: A Novel Dataset and Deep Learning Benchmark",
        how_to_get="lejepa datasets get eurosat --root DIR",
        shares=ALL_SHARES,
        uses=ALL_CARVED,
    ),
)

_ARCHIVES = (
    Archive(
        url=(
            "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip"
        ),
        md5="c8fa014336c82ac7804f0398fcb19387",
        into="eurosat",
    ),
)


def eurosat_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the number of images that there have to be.

    Returns:
        The reader.
    """
    return class_folder_reader(spec, folder="eurosat", below="2750", archives=_ARCHIVES)


READERS: Final = {"eurosat": eurosat_reader()}
