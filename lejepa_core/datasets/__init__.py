"""Images for pretraining and probing: bundled, published, or a person's own folder.

`load_dataset` decodes a set once into a memory-mapped cache, or streams one that is too large for that, and returns an
`ImageDataset`.
"""

from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.load import (
    check_dataset,
    default_data_root,
    download_dataset,
    load_dataset,
    shown_dataset,
    streamable,
)
from lejepa_core.datasets.registry import ALIASES, DATASETS
from lejepa_core.datasets.spec import DatasetSpec

__all__ = [
    "ALIASES",
    "DATASETS",
    "DatasetSpec",
    "ImageDataset",
    "check_dataset",
    "default_data_root",
    "download_dataset",
    "load_dataset",
    "shown_dataset",
    "streamable",
]
