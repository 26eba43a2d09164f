"""The `aircraft` dataset: ROOT/fgvc-aircraft-2013b/data/images_variant_{train,val,test}.txt and images/*.jpg."""

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
        name="aircraft",
        title="FGVC-Aircraft: model variants (the strip that names the photographer is left on)",
        classes=100,
        native_size=None,
        images={"train": 3_334, "val": 3_333, "test": 3_333},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        bundled=False,
        licence="non-commercial research",
        source="Maji et al. 2013, Fine-Grained Visual Classification of Aircraft",
        how_to_get="lejepa datasets get aircraft --root DIR",
    ),
)

_ARCHIVES = (
    Archive(
        url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
        md5="d4acdd33327262359767eeaa97a4f732",
    ),
)


def aircraft_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.

    Returns:
        The reader.
    """
    return listed_reader(spec, folder="fgvc-aircraft-2013b", parts=_parts, archives=_ARCHIVES)


def _parts(folder: Path) -> Iterator[Part]:
    for split in ("train", "val", "test"):
        file = folder / "data" / f"images_variant_{split}.txt"
        lines = read_lines(file)
        with parsing(file):
            files = [(f"data/images/{name}.jpg", label) for name, label in (line.split(" ", 1) for line in lines)]
        yield Part(annotation=file, split=split, files=files)


READERS: Final = {"aircraft": aircraft_reader()}
