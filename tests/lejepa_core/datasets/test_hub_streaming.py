"""Sets of the Hub that are streamed: what the decoded form has, row by row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_trees_h import GREY, TURNED, jpeg, noise, special
from datasets import ClassLabel, Features, Image
from hub_sets import NAMES, publish, rows

from lejepa_core.datasets import ImageDataset, download_dataset, load_dataset
from lejepa_core.datasets.decoding import Undecodable
from lejepa_core.datasets.hub import hub_source
from lejepa_core.datasets.image_dataset import DecodedDataset
from lejepa_core.datasets.streamed import StreamedDataset
from lejepa_core.datasets.streaming import decoded_size
from lejepa_core.settings import Stream


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fetched set with photographs of many sizes, two of them copies, a page of text and a row without a label."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf_cache")
    train = rows(40, 0)
    for row, data in enumerate([special(GREY), special(TURNED), jpeg(noise(7, 300, 90)), jpeg(noise(8, 50, 400))]):
        train["image"][row] = {"bytes": data, "path": None}
    train["image"][21] = train["image"][20]
    train["image"][30] = {"bytes": b"<html>", "path": None}
    train["label"][33] = -1
    found = publish(tmp_path / "pets", {"train": train, "test": rows(6, 2)})
    download_dataset(found, tmp_path / "root")
    return found


def load(name: str, folder: Path, stream: Stream, *, labelled: bool = True, workers: int = 2) -> ImageDataset:
    return load_dataset(name, image_size=32, cache_dir=folder / "cache", data_root=folder / "root", stream=stream,
                        labelled=labelled, workers=workers)  # fmt: skip


@pytest.mark.parametrize("labelled", [True, False])
def test_both_forms_agree_in_all_but_the_fingerprint(name: str, tmp_path: Path, labelled: bool) -> None:
    decoded, streamed = (load(name, tmp_path, stream, labelled=labelled) for stream in ("never", "always"))
    assert (type(decoded), type(streamed)) == (DecodedDataset, StreamedDataset)
    assert len(decoded) == len(streamed) == (44 if labelled else 45)
    for field in ("name", "classes", "mean", "std", "skipped"):
        assert getattr(decoded, field) == getattr(streamed, field), field
    assert len(decoded.skipped) == (2 if labelled else 1)
    assert np.array_equal(decoded.labels, streamed.labels) if labelled else streamed.labels is None
    assert all(np.array_equal(decoded.splits[split], streamed.splits[split]) for split in ("train", "val", "test"))
    assert decoded.fingerprint != streamed.fingerprint


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_decoded_form_in_order(name: str, tmp_path: Path, workers: int) -> None:
    decoded, streamed = load(name, tmp_path, "never"), load(name, tmp_path, "always", workers=workers)
    batches = [np.arange(4), np.array([43, 0, 20, 21]), np.arange(44)]
    for wanted, found in zip(decoded.batches(batches), streamed.batches(batches), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_the_decoded_size_is_known_from_headers(name: str, tmp_path: Path) -> None:
    lazy = hub_source(name, tmp_path / "root", image_size=32, labelled=False).lazy
    assert lazy is not None
    items = lazy()
    with pytest.raises(Undecodable, match="not an image"):
        items.glance(30)
    assert items.names[30] == "train 30"
    sizes = [items.read(place).nbytes for place in range(len(items.names)) if place != 30]
    assert decoded_size(items) == pytest.approx(len(items.names) * np.mean(sizes))


def test_other_columns_of_images_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf_cache")
    columns = rows(30, 0)
    columns["mask"] = [{"bytes": b"<html>", "path": None}] * 30
    features = Features({"image": Image(), "mask": Image(), "label": ClassLabel(names=NAMES)})
    name = publish(tmp_path / "pets", {"train": columns}, features)
    download_dataset(name, tmp_path / "root")
    assert len(load(name, tmp_path, "always")) == len(load(name, tmp_path, "never")) == 30
