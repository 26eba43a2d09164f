"""Streamed sets: the pixels, splits and losses of the decoded form, and what becomes of damaged files."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from resuming import SETTINGS
from skimage import data as photographs

from lejepa_core.datasets import ImageDataset, load_dataset
from lejepa_core.datasets.folder import folder_source
from lejepa_core.datasets.image_dataset import DecodedDataset
from lejepa_core.datasets.lazy import HEAD, lazy_files
from lejepa_core.datasets.source import Glance, LazyItems, Source
from lejepa_core.datasets.streamed import StreamedDataset, _Batches
from lejepa_core.datasets.streaming import SCALE_SAMPLE, decoded_size, open_source
from lejepa_core.encoder import build_encoder
from lejepa_core.errors import DataError, SettingError
from lejepa_core.evaluation.evaluate import evaluate
from lejepa_core.pretrain import pretrain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Patches of a photograph in sizes above and below what is kept, one in six an EXIF-rotated JPEG, and copies."""
    picture, rng = Image.fromarray(photographs.astronaut()), np.random.default_rng(0)
    root = tmp_path / "pets"
    for i in range(36):
        left, top, width, height = (int(v) for v in rng.integers((0, 0, 40, 40), (300, 300, 200, 200)))
        patch, exif = picture.crop((left, top, left + width, top + height)), Image.Exif()
        exif[0x0112] = 6
        path = root / ("cat", "dog")[i % 2] / f"{i}{'.jpg' if i % 6 == 0 else '.png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        patch.save(path, **({"exif": exif} if i % 6 == 0 else {}))
    noise = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "cat" / "large.png")
    assert (root / "cat" / "large.png").stat().st_size > HEAD
    for i in range(6):
        shutil.copy(root / "cat" / "large.png", root / "dog" / f"copy_{i}.png")
    return root


def load(folder: Path, stream: str, workers: int = 2) -> ImageDataset:
    cache = folder.parent / "cache"
    return load_dataset(f"folder:{folder}", image_size=32, cache_dir=cache, stream=stream, workers=workers)  # type: ignore[arg-type]


@pytest.fixture
def both(folder: Path) -> tuple[DecodedDataset, StreamedDataset]:
    decoded, streamed = load(folder, "never"), load(folder, "always")
    assert isinstance(decoded, DecodedDataset) and isinstance(streamed, StreamedDataset)
    return decoded, streamed


def test_both_forms_agree_in_all_but_the_fingerprint(both: tuple[DecodedDataset, StreamedDataset]) -> None:
    decoded, streamed = both
    assert len(decoded) == len(streamed) == 43
    for name in ("name", "classes", "mean", "std", "flip", "photographic", "probe_per_class", "skipped"):
        assert getattr(decoded, name) == getattr(streamed, name), name
    assert np.array_equal(decoded.labels, streamed.labels)
    assert all(np.array_equal(decoded.splits[split], streamed.splits[split]) for split in ("train", "val", "test"))
    assert decoded.fingerprint != streamed.fingerprint


def test_copies_of_a_large_file_stay_in_one_split(both: tuple[DecodedDataset, StreamedDataset]) -> None:
    _, streamed = both
    copies = [i for i, name in enumerate(streamed.items.names) if "copy" in name or "large" in name]
    assert len(copies) == 7
    assert sum(bool(set(copies) & set(indices.tolist())) for indices in streamed.splits.values()) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_decoded_form_in_order(folder: Path, workers: int) -> None:
    decoded, streamed = load(folder, "never"), load(folder, "always", workers)
    rng = np.random.default_rng(1)
    batches = [rng.integers(0, 43, n) for n in (5, 1, 16, 0, 7, 7, 30)]
    pairs = list(zip(decoded.batches(batches), streamed.batches(batches), strict=True))
    assert len(pairs) == len(batches)
    for wanted, found in pairs:
        assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))
    with pytest.raises(IndexError):
        streamed.batch(np.array([43]))


def test_a_worker_hands_over_no_more_than_the_pixels(folder: Path) -> None:
    for size, name in (((400, 20), "wide"), ((20, 400), "tall")):
        Image.new("RGB", size).save(folder / "cat" / f"{name}.png")
    streamed = load(folder, "always")
    assert isinstance(streamed, StreamedDataset)
    indices = np.arange(len(streamed))
    padded, _ = streamed.batch(indices)
    handed = _Batches(streamed, [indices])[0]
    assert not isinstance(handed, str)
    assert len(handed[0]) == sum(streamed.items.read(place).nbytes for place in streamed.places.tolist())
    assert padded.numel() > 5 * len(handed[0])


def test_a_person_at_a_terminal_sees_how_far_an_index_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    load(folder, "always")
    shown = capsys.readouterr().err
    assert "looking at the files of folder:pets" in shown
    assert "100%" in shown


def test_nothing_is_shown_where_nobody_watches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(folder, "always")
    assert capsys.readouterr() == ("", "")


def test_losses_and_weights_are_those_of_the_decoded_form(both: tuple[DecodedDataset, StreamedDataset]) -> None:
    settings, found = replace(SETTINGS, batch_size=8), []
    for data in both:
        encoder = build_encoder(settings)
        epochs = list(pretrain(settings, data, encoder, train=torch.from_numpy(data.splits["train"])))
        found.append(([epoch.losses for epoch in epochs], encoder.state_dict()))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_probes_are_those_of_the_decoded_form(both: tuple[DecodedDataset, StreamedDataset]) -> None:
    encoder = build_encoder(SETTINGS)
    first, second = (evaluate(encoder, data, image_size=32, train=data.splits["train"]).metrics() for data in both)
    assert first == second


def test_workers_leave_the_global_generator_alone(both: tuple[DecodedDataset, StreamedDataset]) -> None:
    before = torch.random.get_rng_state()
    list(both[1].batches([np.array([0])]))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_files_that_are_no_images_are_left_out_by_both_forms(folder: Path) -> None:
    (folder / "cat" / "page.png").write_text("<html>")
    (folder / "dog" / "zero.gif").touch()
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere.png")
    streamed = load(folder, "always")
    assert len(streamed) == 43
    assert streamed.skipped == load(folder, "never").skipped
    assert "dog/zero.gif: empty file" in streamed.skipped and len(streamed.skipped) == 3


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(p.read_bytes()[:-1500]), Path.unlink])
def test_a_file_that_breaks_later_ends_training_with_its_name(
    folder: Path, workers: int, damage: Callable[[Path], object]
) -> None:
    data = load(folder, "always", workers)
    broken = data.splits["train"][3]
    damage(folder / data.items.names[broken])  # type: ignore[attr-defined]
    settings = replace(SETTINGS, batch_size=8)
    with pytest.raises(DataError, match=rf"pets: {data.items.names[broken]} cannot be read \(") as raised:  # type: ignore[attr-defined]
        list(pretrain(settings, data, build_encoder(settings), train=torch.from_numpy(data.splits["train"])))
    assert "\n" not in str(raised.value)


def test_the_fingerprint_is_of_files_not_of_their_place(folder: Path, tmp_path: Path) -> None:
    first = load(folder, "always").fingerprint
    shutil.copytree(folder, tmp_path / "far" / "pets")
    assert load(tmp_path / "far" / "pets", "always").fingerprint == first
    shutil.copy(folder / "dog" / "1.png", folder / "cat" / "2.png")
    changed = load(folder, "always").fingerprint
    (folder / "cat" / "2.png").rename(folder / "cat" / "22.png")
    assert len({first, changed, load(folder, "always").fingerprint}) == 3


def test_opening_again_looks_at_no_file(folder: Path) -> None:
    def refuse(place: int) -> Glance:
        raise AssertionError(place)

    source = folder_source(folder, image_size=32, labelled=True)
    assert source.lazy is not None
    items = source.lazy()
    first = open_source(source, folder.parent / "c", stream="always", workers=0)
    blind = replace(source, lazy=lambda: replace(items, glance=refuse))
    assert open_source(blind, folder.parent / "c", stream="always", workers=0).fingerprint == first.fingerprint


def test_splits_may_be_carved_by_name(folder: Path) -> None:
    files = [("dog/copy_0.png", "dog", "train"), ("dog/copy_1.png", "dog", "train")]
    by_name = lazy_files(folder, files, image_size=32, by_name=True)
    by_content = lazy_files(folder, files, image_size=32)
    assert by_name.glance(0).digest != by_name.glance(1).digest
    assert by_content.glance(0).digest == by_content.glance(1).digest


def test_names_spare_reading_the_files(tmp_path: Path) -> None:
    files = [(f"{i}.bmp", "a", "train") for i in range(32)]
    for name, *_ in files:
        Image.fromarray(np.zeros((200, 200, 3), dtype=np.uint8)).save(tmp_path / name)

    def bytes_read(by_name: bool) -> int:
        items = lazy_files(tmp_path, files, image_size=32, by_name=by_name)
        before = _read_so_far()
        for place in range(len(files)):
            items.glance(place)
        return _read_so_far() - before

    assert bytes_read(by_name=False) - bytes_read(by_name=True) > 0.8 * len(files) * HEAD


def _read_so_far() -> int:
    """Bytes that this process has asked the system for."""
    return int(Path("/proc/self/io").read_text().split()[1])


def virtual(decoded: int, n: int = 1000) -> Source:
    """Grey images that need no files; each is said to take so many bytes."""
    items = LazyItems(
        names=[str(i) for i in range(n)],
        labels=["ab"[i % 2] for i in range(n)],
        splits=["train"] * n,
        glance=lambda i: Glance(digest=str(i), stored=i, decoded=decoded),
        read=lambda i: np.full((2, 2, 3), i % 251, dtype=np.uint8),
    )
    none = iter(())
    return Source(
        name="v", key="1", flip=True, items=lambda: none, shares={"val": 0.1, "test": 0.1}, lazy=lambda: items
    )


def test_auto_streams_what_would_take_more_than_32_gib(tmp_path: Path) -> None:
    assert isinstance(open_source(virtual(40 * 2**20), tmp_path, stream="auto", workers=0), StreamedDataset)
    with pytest.raises(DataError, match="no readable image"):  # decoded beforehand: it has nothing to decode
        open_source(virtual(30 * 2**20), tmp_path, stream="auto", workers=0)


def test_the_decoded_size_is_estimated_from_headers(folder: Path) -> None:
    lazy = folder_source(folder, image_size=32, labelled=True).lazy
    assert lazy is not None
    decoded = load(folder, "never")
    assert isinstance(decoded, DecodedDataset)
    assert decoded_size(lazy()) == len(decoded.pixels)


def test_the_scale_of_very_many_images_is_that_of_a_sample(tmp_path: Path) -> None:
    data = open_source(virtual(1, 3 * SCALE_SAMPLE), tmp_path, stream="always", workers=0)
    values = np.arange(3 * SCALE_SAMPLE)[data.splits["train"]] % 251 / 255
    assert data.mean[0] == pytest.approx(values.mean(), abs=3 * values.std() / SCALE_SAMPLE**0.5)
    assert data.mean[0] != pytest.approx(values.mean(), abs=1e-12)


def test_a_negative_number_of_workers_is_refused(folder: Path) -> None:
    with pytest.raises(SettingError, match="data-workers = -1"):
        load(folder, "always", -1)
