"""`lejepa datasets get NAME` for every name of the registry, where whatever is fetched is not what was published."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from lejepa_core.datasets import ALIASES, DATASETS, downloading
from lejepa_core.datasets.fashion_mnist import fashion_mnist_reader
from lejepa_core.datasets.registry import READERS
from lejepa_platform.cli import main

BY_HAND = {name for name, spec in DATASETS.items() if not spec.bundled and READERS[name].download is None}
FETCHED = [name for name, spec in DATASETS.items() if not spec.bundled and name not in BY_HAND]
IMAGENET = ("ILSVRC2012_img_train.tar", "{root}/imagenet/train/n01440764/*.JPEG", "{root}/imagenet/val")
CARS = ("cars_train/*.jpg", "cars_test/*.jpg", "devkit/cars_meta.mat", "devkit/cars_train_annos.mat",
        "cars_test_annos_withlabels.mat", "{root}/stanford_cars")  # fmt: skip
PUT = {"cars": CARS, **dict.fromkeys(("imagenet1k", "imagenet100", "imagenet100-first"), IMAGENET)}
"""What those say that nobody may, or can, download."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A server on this machine that stands for all others, and answers whatever it is asked with the same few bytes."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "12")
            self.end_headers()
            self.wfile.write(b"not the file")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def here(request: Request, **options: float) -> object:
            url = f"http://127.0.0.1:{server.server_port}{urlsplit(request.full_url).path}"
            return urlopen(Request(url, headers=dict(request.header_items())), **options)

        monkeypatch.setattr(downloading, "urlopen", here)
        # Debian's copy on this machine would be used instead.
        monkeypatch.setitem(READERS, "fashion-mnist", fashion_mnist_reader(debian=tmp_path / "nowhere"))
        yield paths
        server.shutdown()


def test_there_are_at_least_20_sets_if_two_names_of_one_count_once() -> None:
    assert len(DATASETS.keys() - ALIASES.keys()) >= 20


def test_every_name_is_fetched_by_hand_or_with_the_installation() -> None:
    assert BY_HAND == PUT.keys()
    assert {*FETCHED, *BY_HAND, "digits", "patches"} == DATASETS.keys()


@pytest.mark.parametrize("name", FETCHED)
def test_a_wrong_file_is_refused_by_name_and_nothing_is_left(
    name: str, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert main(["datasets", "get", name, "--root", str(root)]) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error: " in text]
    (path,) = asked
    assert re.search(rf"{re.escape(path.rsplit('/', 1)[-1])} has (md5|sha256) \w+, not \w+", line)
    assert DATASETS[name].how_to_get.replace("DIR", str(root)) in line
    assert [file for file in root.rglob("*") if file.is_file() and file.suffix != ".lock"] == []
    assert [folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith(".")] == []


@pytest.mark.parametrize("name", PUT)
def test_what_cannot_be_fetched_says_which_files_to_put_where(
    name: str, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert main(["datasets", "get", name, "--root", str(root)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert [part for part in PUT[name] if part.format(root=root) not in line] == []
    assert asked == [] and not root.exists()


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.bundled])
def test_what_comes_with_the_installation_is_not_fetched(name: str, asked: list[str], tmp_path: Path) -> None:
    assert main(["datasets", "get", name, "--root", str(tmp_path / "root")]) == 0
    assert asked == [] and not (tmp_path / "root").exists()
