"""CIFAR was published as pickles: none is opened but the published ones."""

import pickle
from pathlib import Path

import dataset_trees
import pytest

from lejepa_core.datasets.cache import cached
from lejepa_core.errors import DataError


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pickle_that_is_not_the_published_one_is_never_opened(name: str, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    tree = dataset_trees.build(name, tmp_path / "root")
    for file in tree.guarded:
        content = (tree.root / file).read_bytes()
        (tree.root / file).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(DataError, match=r"damaged \(its md5"):
            cached(tree.reader.source(tree.root, 32), tmp_path / "cache")
        (tree.root / file).write_bytes(content)
    assert not (tmp_path / "sprung").exists()
