"""The `food101` dataset: ROOT/food-101/meta/{train,test}.json and images/<class>/<number>.jpg."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lejepa_core.datasets.downloading import Archive
from lejepa_core.datasets.listed import Part, listed_reader
from lejepa_core.datasets.published import parsing, read_json
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="food101",
        title="Food-101: photographs of dishes",
        classes=101,
        native_size=None,
        images={"train": 68_175, "val": 7_575, "test": 25_250},
        mean=(0.5459, 0.4448, 0.3468),
        std=(0.2761, 0.2691, 0.2821),
        flip=True,
        bundled=False,
        licence="research; the photographs belong to users of foodspotting.com",
        source="Bossard, Guillaumin and Van Gool 2014, Food-101: Mining Discriminative Components",
        how_to_get="lejepa datasets get food101 --root DIR",
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)

_ARCHIVES = (Archive(url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", md5="85eeb15f3717b99a5da872d97d918f87"),)


def food101_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.

    Returns:
        The reader.
    """
    return listed_reader(spec, folder="food-101", parts=_parts, archives=_ARCHIVES)


def _parts(folder: Path) -> Iterator[Part]:
    for split in ("train", "test"):
        file = folder / "meta" / f"{split}.json"
        content = read_json(file)
        with parsing(file):
            files = [(f"images/{name}.jpg", label) for label, names in content.items() for name in names]
        yield Part(annotation=file, split=split, files=files)


READERS: Final = {"food101": food101_reader()}
