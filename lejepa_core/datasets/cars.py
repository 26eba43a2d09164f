"""The `cars` dataset: ROOT/stanford_cars/cars_{train,test}/*.jpg with their annotations, as torchvision wants them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lejepa_core.datasets.listed import Part, listed_reader
from lejepa_core.datasets.published import parsing, read_mat
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import VAL_CARVED, VAL_SHARES, DatasetSpec

SPECS: Final = (
    DatasetSpec(
        name="cars",
        title="Stanford Cars: makes, models and years",
        classes=196,
        native_size=None,
        images={"train": 7_330, "val": 814, "test": 8_041},
        mean=(0.4707, 0.4602, 0.4550),
        std=(0.2920, 0.2918, 0.2972),
        flip=True,
        bundled=False,
        licence="research",
        source="Krause et al. 2013, 3D Object Representations for Fine-Grained Categorization",
        how_to_get=(
            "by hand (its site is gone): put cars_train/*.jpg, cars_test/*.jpg, devkit/cars_meta.mat, "
            "devkit/cars_train_annos.mat and cars_test_annos_withlabels.mat into DIR/stanford_cars"
        ),
        shares=VAL_SHARES,
        uses=VAL_CARVED,
    ),
)

_ANNOTATIONS = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}


def cars_reader(spec: DatasetSpec = SPECS[0]) -> Reader:
    """Make the reader.

    Args:
        spec: The dataset, with the numbers of images that the annotations have to list.

    Returns:
        The reader.
    """
    return listed_reader(spec, folder="stanford_cars", parts=_parts)


def _parts(folder: Path) -> Iterator[Part]:
    meta = folder / "devkit" / "cars_meta.mat"
    content = read_mat(meta)
    with parsing(meta):
        names = content["class_names"].tolist()
    for split, annotation in _ANNOTATIONS.items():
        file = folder / annotation
        content = read_mat(file)
        with parsing(file):
            rows = [(str(row["fname"]), int(row["class"])) for row in content["annotations"]]
            # Classes are numbered from 1.
            files = [(f"cars_{split}/{name}", names[label - 1]) for name, label in rows]
        yield Part(annotation=file, split=split, files=files)


READERS: Final = {"cars": cars_reader()}
