"""Images for pretraining and probing: bundled, from torchvision, or a person's own folder.

`load_dataset` decodes a set once into a memory-mapped cache and returns an `ImageDataset`.
"""

from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.load import check_dataset, default_data_root, download_dataset, load_dataset
from lejepa_core.datasets.spec import DatasetSpec
from lejepa_core.datasets.specs import DATASETS

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "ImageDataset",
    "check_dataset",
    "default_data_root",
    "download_dataset",
    "load_dataset",
]
