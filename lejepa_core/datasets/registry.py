"""The named datasets: the union of what the loader modules know."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.datasets import (
    aircraft,
    caltech101,
    cars,
    cifar,
    digits,
    dtd,
    eurosat,
    fashion_mnist,
    flowers102,
    food101,
    galaxy10,
    imagenet,
    mnist,
    patches,
    pets,
    stl10,
    svhn,
)
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.spec import DatasetSpec

_MODULES = (
    digits,
    patches,
    mnist,
    fashion_mnist,
    cifar,
    stl10,
    svhn,
    eurosat,
    caltech101,
    food101,
    flowers102,
    dtd,
    aircraft,
    cars,
    pets,
    galaxy10,
    imagenet,
)

DATASETS: Final[Mapping[str, DatasetSpec]] = {spec.name: spec for module in _MODULES for spec in module.SPECS}
"""Every dataset that has a name of its own; `folder:PATH` stands for a person's own images."""

ALIASES: Final[Mapping[str, str]] = imagenet.ALIASES
"""Other names of sets, and the names that these call themselves."""

READERS: Final[Mapping[str, Reader]] = {name: reader for module in _MODULES for name, reader in module.READERS.items()}
"""How each of them is read."""
