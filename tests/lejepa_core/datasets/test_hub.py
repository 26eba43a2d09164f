"""`hf:` with the real datasets library, on folders laid out as on the Hub; without a network."""

import sys
from pathlib import Path

import pytest
from dataset_trees_h import CYAN, GREY, TURNED, assert_special, jpeg, noise, opened, pixels, sizes, special
from datasets import ClassLabel, Features, Image, Value
from hub_sets import NAMES, publish, rows

from lejepa_core.datasets.hub import check_hub, download_hub, hub_source
from lejepa_core.datasets.hub_files import place
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.errors import DataError
from sweeps.planning import absolute


@pytest.fixture(autouse=True)
def library_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf_cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def load(name: str, root: Path, tmp_path: Path, labelled: bool = True) -> ImageDataset:
    download_hub(name, root)
    check_hub(name, root, labelled=labelled)
    return opened(hub_source(name, root, image_size=32, labelled=labelled), tmp_path)


def refused(name: str, root: Path, labelled: bool = True) -> str:
    with pytest.raises(DataError) as error:
        download_hub(name, root)
        check_hub(name, root, labelled=labelled)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_splits_labels_and_names(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(12, 0), "validation": rows(6, 1), "test": rows(3, 2)})
    data = load(name, root, tmp_path)
    assert (data.name, data.classes, sizes(data)) == ("hf:pets", tuple(NAMES), {"train": 12, "val": 6, "test": 3})
    assert data.labels.tolist() == [i % 3 for i in (*range(12), *range(6), *range(3))]


def test_photographs_of_every_kind_are_upright_rgb(root: Path, tmp_path: Path) -> None:
    train, kinds = rows(12, 0), (GREY, CYAN, TURNED)
    train["image"][:3] = [{"bytes": special(kind), "path": None} for kind in kinds]
    data = load(publish(tmp_path / "pets", {"train": train, "test": rows(3, 2)}), root, tmp_path)
    for position, kind in enumerate(kinds):
        assert_special(kind, pixels(data, position)[: data.heights[position], : data.widths[position]])


def test_images_in_files_of_their_own(root: Path, tmp_path: Path) -> None:
    for split, n in (("train", 8), ("test", 4)):
        for i in range(n):
            path = tmp_path / "heap" / split / "ab"[i % 2] / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(noise(i)))
    data = load(f"hf:{tmp_path / 'heap'}", root, tmp_path)
    assert data.classes == ("a", "b") and len(data.splits["test"]) == 4 and not data.skipped


def test_missing_splits_are_carved_out_of_train(root: Path, tmp_path: Path) -> None:
    data = load(publish(tmp_path / "pets", {"train": rows(60, 0)}), root, tmp_path)
    assert sizes(data) == {"train": 42, "val": 9, "test": 9}


def test_split_whose_labels_are_secret_is_left_out(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(60, 0), "validation": rows(6, 1), "test": rows(9, 2, [-1] * 9)})
    data = load(name, root, tmp_path)
    assert data.skipped == ("test: its labels were not published",)
    assert sizes(data) == {"train": 51, "val": 6, "test": 9}


def test_without_labels_every_image_counts(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(60, 0), "test": rows(9, 2, [-1] * 9)})
    data = load(name, root, tmp_path, labelled=False)
    assert data.labels is None and sizes(data) == {"train": 51, "val": 9, "test": 9}


def test_damaged_image_and_missing_label_are_left_out_by_row(root: Path, tmp_path: Path) -> None:
    train = rows(30, 0)
    train["image"][4] = {"bytes": train["image"][4]["bytes"][:200], "path": None}
    train["label"][7] = -1
    data = load(publish(tmp_path / "pets", {"train": train}), root, tmp_path)
    truncated, unlabelled = data.skipped
    assert truncated.startswith("train 4: ") and unlabelled == "train 7: no label"


def test_fine_labels_come_before_coarse_ones(root: Path, tmp_path: Path) -> None:
    features = Features({"coarse": ClassLabel(names=["x", "y"]), "fine": ClassLabel(names=NAMES), "img": Image()})
    columns = rows(30, 0)
    table = {"img": columns["image"], "fine": columns["label"], "coarse": [0] * 30}
    assert load(publish(tmp_path / "pets", {"train": table}, features), root, tmp_path).classes == tuple(NAMES)


def test_fetched_set_stays_what_it_was(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(30, 0)})
    first = load(name, root, tmp_path)
    publish(tmp_path / "pets", {"train": rows(30, 5)})
    assert load(name, root, tmp_path).fingerprint == first.fingerprint


def test_set_without_images_is_refused_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=NAMES)})
    name = publish(tmp_path / "words", {"train": {"text": ["a", "b", "c"], "label": [0, 1, 2]}}, features)
    assert "has no column of images, only text, label" in refused(name, root)
    assert all(path.name.startswith(".") for path in (root / "hf").iterdir())


def test_set_without_labels_says_so(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(9, 0)}, Features({"image": Image(), "id": Value("int64")}))
    assert "--unlabelled" in refused(name, root)


def test_set_without_train_says_which_splits_it_has(root: Path, tmp_path: Path) -> None:
    assert "has the splits test; wanted one called train" in refused(
        publish(tmp_path / "pets", {"test": rows(9, 0)}), root
    )


def test_loading_script_is_never_run(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "trap.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    assert "was not fetched" in refused(f"hf:{folder}", root)
    assert not (tmp_path / "sprung").exists()


def test_damaged_copy_is_named(root: Path, tmp_path: Path) -> None:
    name = publish(tmp_path / "pets", {"train": rows(30, 0)})
    folder = download_hub(name, root)
    (folder / "train" / "state.json").write_text("{")
    assert f"{folder}: damaged" in refused(name, root)


def test_unfetched_set_says_how_to_get_it(root: Path) -> None:
    with pytest.raises(DataError, match=f"lejepa datasets get hf:someone/pets --root {root}"):
        check_hub("hf:someone/pets", root, labelled=True)


@pytest.mark.parametrize("name", ["hf:", "hf:a/b@", "hf:a/b:c:d", "hf:/", "hf:--..", "hf:-.-"])
def test_malformed_name(name: str, root: Path) -> None:
    assert "names nothing on the Hub; wanted hf:ID" in refused(name, root)


@pytest.mark.parametrize("name", ["hf:..", "hf:../../x", "hf:a/../../b", "hf:a@../..", "hf:..:..", "hf:---../x"])
def test_no_name_leaves_the_folder_of_sets(name: str, tmp_path: Path) -> None:
    assert (tmp_path / "hf").resolve() in place(name, tmp_path).resolve().parents


def test_missing_library_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'lejepa-sweeps[hf]'" in refused("hf:someone/pets", root)


def test_offline_is_one_line_that_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What HF_HUB_OFFLINE=1 sets when the library is imported.
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("hf:someone/pets", root)
    assert message.startswith("hf:someone/pets was not fetched to") and "copy that folder here" in message
    assert all(path.name.startswith(".") for path in (root / "hf").iterdir())


def test_a_folder_named_from_here_is_found_from_elsewhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "sets" / "pets", {"train": rows(30, 1)})
    monkeypatch.chdir(tmp_path)
    download_hub("hf:sets/pets", root)
    source = absolute("hf:sets/pets")
    monkeypatch.chdir("/")
    check_hub(source, root, labelled=True)
    assert absolute("hf:user/set:plain") == "hf:user/set:plain"
