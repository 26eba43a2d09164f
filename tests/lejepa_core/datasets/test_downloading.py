"""Downloads from a real server on this machine: resumed, compared, unpacked whole or not at all."""

import hashlib
import io
import re
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from lejepa_core.datasets import DATASETS
from lejepa_core.datasets.downloading import Archive, download
from lejepa_core.errors import DataError

SPEC = DATASETS["dtd"]


@dataclass
class Site:
    """A server, its files and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ranges: bool = True
    break_after: int | None = None

    def publish(self, name: str, content: bytes, **options: str) -> Archive:
        self.files[name] = content
        return Archive(url=f"{self.url}/{name}", md5=hashlib.md5(content).hexdigest(), **options)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            site.asked.append((self.path[1:], wanted))
            content = site.files[self.path[1:]]
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and site.ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : site.break_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield site
        server.shutdown()


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def accept(root: Path) -> None:
    if not (root / "set" / "a").is_file():
        raise DataError(f"dtd is not in {root}")


def get(root: Path, *archives: Archive) -> None:
    download(SPEC, archives, root=root, folder="set", check=accept)


def visible(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_archives_and_plain_files_come_together(site: Site, tmp_path: Path) -> None:
    get(tmp_path, site.publish("x.tgz", tar(a=b"1"), into="set"), site.publish("y.mat", b"2", into="set"))
    assert visible(tmp_path) == ["set"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == {"a": b"1", "y.mat": b"2"}


def test_archive_within_an_archive(site: Site, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as outer:
        outer.writestr("outer/inner.tar.gz", tar(a=b"1"))
        outer.writestr("outer/other.tar", b"not needed")
    get(tmp_path, site.publish("x.zip", buffer.getvalue(), into="set", nested="outer/inner.tar.gz"))
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["a"]


def test_second_time_nothing_is_asked_for(site: Site, tmp_path: Path) -> None:
    archive = site.publish("x.tgz", tar(set__a=b"1"))
    get(tmp_path, archive)
    site.asked.clear()
    get(tmp_path, archive)
    assert site.asked == []


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_download_goes_on_or_starts_again(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.ranges, site.break_after = ranges, 50
    archive = site.publish("x.tgz", tar(set__a=b"1"))
    with pytest.raises(DataError, match="connection broke after 50 of"):
        get(tmp_path, archive)
    assert "set" not in visible(tmp_path)
    site.break_after = None
    get(tmp_path, archive)
    assert site.asked[-1] == ("x.tgz", "bytes=50-")
    assert visible(tmp_path) == ["set"]


def test_complete_file_of_a_killed_download_is_used(site: Site, tmp_path: Path) -> None:
    archive = site.publish("x.tgz", content := tar(set__a=b"1"))
    (tmp_path / ".set.download").mkdir()
    (tmp_path / ".set.download" / "x.tgz.part").write_bytes(content)
    get(tmp_path, archive)
    assert visible(tmp_path) == ["set"]


def test_folder_half_unpacked_by_a_killed_download_is_not_used(site: Site, tmp_path: Path) -> None:
    archive = site.publish("x.tgz", tar(set__a=b"1"))
    (tmp_path / ".set.download" / "unpacked" / "set").mkdir(parents=True)
    (tmp_path / ".set.download" / "unpacked" / "set" / "half").touch()
    get(tmp_path, archive)
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["a"]


def test_file_that_is_not_the_published_one_is_refused_and_dropped(site: Site, tmp_path: Path) -> None:
    archive = site.publish("x.tgz", tar(set__a=b"1"))
    site.files["x.tgz"] = tar(set__a=b"2")
    with pytest.raises(DataError, match=f"md5 .*, not {archive.md5}"):
        get(tmp_path, archive)
    assert not list((tmp_path / ".set.download").iterdir())
    assert "set" not in visible(tmp_path)


def test_incomplete_copy_is_left_as_it_is(site: Site, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").touch()
    with pytest.raises(DataError, match="not in"):
        get(tmp_path, site.publish("x.tgz", tar(set__a=b"1")))
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine"]
    assert site.asked == []


def test_archive_that_leads_out_of_its_folder_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        get(tmp_path / "root", site.publish("x.tgz", tar(**{"..__..__..__..__out": b"1"})))
    assert not (tmp_path / "out").exists()
    assert "set" not in visible(tmp_path / "root")


def test_offline_says_which_files_to_put_where(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.tgz"
        with pytest.raises(DataError) as refused:
            get(tmp_path, Archive(url=url, md5="0" * 32, into="set"), Archive(url="http://a/y.mat", md5="", into="set"))
    message = str(refused.value)
    assert "\n" not in message
    assert f"lejepa datasets get dtd --root {tmp_path}" in message
    assert f"unpack {url} into {tmp_path / 'set'}; put http://a/y.mat into {tmp_path / 'set'}" in message


def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="was not downloaded"):
        get(tmp_path / "file" / "root", Archive(url="http://127.0.0.1:1/x.tgz", md5="0" * 32))
