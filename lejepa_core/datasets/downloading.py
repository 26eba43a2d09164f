"""Published archives: fetched with progress, resumed where a connection broke, compared with their checksum.

Everything happens in ROOT/.FOLDER.download; what has the right name, ROOT/FOLDER, is complete.
"""

import http.client
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from lejepa_core.datasets.published import Algorithm, checksum_of, remedy_for
from lejepa_core.datasets.spec import DatasetSpec
from lejepa_core.errors import DataError

_TIMEOUT = 60.0  # seconds without a byte
_CHUNK = 2**18
_COMPLETE = 416  # HTTP: the range that was asked for begins at the end of the file
_PARTIAL = 206
_FAILURES = (OSError, http.client.HTTPException, EOFError, tarfile.TarError, zipfile.BadZipFile)
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A file that was published.

    Attributes:
        url: Where it is.
        md5: Its checksum, hexadecimal digits; "" where another one was published.
        sha256: Likewise; one of the two there has to be.
        into: Folder to unpack it in, below the data root; a file that is no archive is put there.
        nested: Path below `into` of an archive that came inside and is unpacked as well, "" for none.
    """

    url: str
    md5: str = ""
    sha256: str = ""
    into: str = ""
    nested: str = ""

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def checksum(self) -> tuple[Algorithm, str]:
        """What it is compared by, and with."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)

    @property
    def packed(self) -> bool:
        """Whether there are files in it."""
        return self.file.endswith((".tar.gz", ".tgz", ".zip"))


def download(
    spec: DatasetSpec, archives: Sequence[Archive], *, root: Path, folder: str, check: Callable[[Path], None]
) -> None:
    """Fetch and unpack a dataset, unless it is there already.

    Args:
        spec: The dataset.
        archives: All that it consists of.
        root: Folder to put it in; created if absent.
        folder: Name of the folder below `root` that it becomes.
        check: Refuses a data root with an incomplete or damaged copy.

    Raises:
        DataError: There is an incomplete copy already, no connection, no room, or a file is not the published one.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{folder}.lock"):
            if not (root / folder).exists():
                _build(archives, root / f".{folder}.download", folder, check)
    except _FAILURES as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DataError(
            f"{spec.name} was not downloaded to {root} ({' '.join(str(reason).split())}); check network and room, then "
            f"run again to go on: {remedy_for(spec, root)}. Or by hand: "
            f"{'; '.join(_by_hand(archive, root) for archive in archives)}"
        ) from error
    check(root)


def _build(archives: Sequence[Archive], work: Path, folder: str, check: Callable[[Path], None]) -> None:
    work.mkdir(exist_ok=True)
    fetched = [_fetch(archive, work) for archive in archives]
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with Console(stderr=True).status(f"unpacking {folder}"):
        for archive, file in zip(archives, fetched, strict=True):
            _unpack(archive, file, unpacked / archive.into)
    check(unpacked)
    (unpacked / folder).rename(work.parent / folder)
    shutil.rmtree(work)


def _fetch(archive: Archive, work: Path) -> Path:
    whole, part = work / archive.file, work / f"{archive.file}.part"
    if whole.exists():
        return whole
    _retrieve(archive, part)
    algorithm, wanted = archive.checksum
    if (found := checksum_of(part, algorithm)) != wanted:
        part.unlink()
        raise OSError(f"{archive.url} has {algorithm} {found}, not {wanted}")
    return part.rename(whole)


def _retrieve(archive: Archive, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "lejepa", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        response: http.client.HTTPResponse = urlopen(Request(archive.url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        if have and error.code == _COMPLETE:
            return
        raise
    with response:
        have = have if response.status == _PARTIAL else 0
        total = None if response.length is None else have + response.length
        _copy(response, part, have=have, total=total)
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection broke after {part.stat().st_size} of {total} bytes")


def _copy(response: http.client.HTTPResponse, part: Path, *, have: int, total: int | None) -> None:
    with (
        part.open("ab" if have else "wb") as file,
        Progress(*_COLUMNS, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task(part.stem, total=total, completed=have)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _by_hand(archive: Archive, root: Path) -> str:
    nested = f", then its {archive.nested} as well" if archive.nested else ""
    return f"{'unpack' if archive.packed else 'put'} {archive.url} into {root / archive.into}{nested}"


def _unpack(archive: Archive, file: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if not archive.packed:
        shutil.copy(file, into)
        return
    _extract(file, into)
    if archive.nested:
        _extract(into / archive.nested, into)
        shutil.rmtree((into / archive.nested).parent)


def _extract(file: Path, into: Path) -> None:
    if file.suffix == ".zip":
        shutil.unpack_archive(file, into)
    else:
        # "data" refuses links and names that lead out of the folder.
        shutil.unpack_archive(file, into, filter="data")
