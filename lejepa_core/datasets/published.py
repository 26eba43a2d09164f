"""Files of a published set: read whole, compared with their checksum, refused in one line."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from lejepa_core.datasets.spec import DatasetSpec
from lejepa_core.errors import DataError

Algorithm = Literal["md5", "sha256"]
"""Of a checksum."""


class Unusable(Exception):
    """A file of a published set is absent or damaged."""

    def __init__(self, file: Path, reason: str | None = None) -> None:
        """Note what is wrong.

        Args:
            file: The file.
            reason: What is wrong with it; None if it is not there.
        """
        super().__init__(file, reason)
        self.file = file
        self.reason = reason


@contextmanager
def refusing(spec: DatasetSpec, root: Path, folder: str) -> Iterator[None]:
    """Turn `Unusable` into the line that a person reads.

    Args:
        spec: The dataset.
        root: The data root.
        folder: Name of the dataset's folder below it.

    Yields:
        Nothing.

    Raises:
        DataError: A file is absent or damaged: which, and what to do.
    """
    try:
        yield
    except Unusable as error:
        file = error.file.relative_to(root)
        remedy = remedy_for(spec, root)
        if (root / folder).exists() and remedy.startswith("lejepa"):
            remedy = f"remove {root / folder}, then: {remedy}"
        if error.reason is None:
            raise DataError(f"{spec.name} is not in {root} (no {file}); to get it: {remedy}") from error
        raise DataError(f"{spec.name}: {error.file}: {error.reason}; to get it again: {remedy}") from error


def remedy_for(spec: DatasetSpec, root: Path) -> str:
    """Say how to get a dataset into a data root.

    Args:
        spec: The dataset.
        root: The data root.

    Returns:
        A command, or which files to put where.
    """
    return spec.how_to_get.replace("DIR", str(root))


@contextmanager
def parsing(file: Path) -> Iterator[None]:
    """Say of which file it was when its content is not what it should be.

    Args:
        file: The file.

    Yields:
        Nothing.

    Raises:
        Unusable: Parsing failed.
    """
    try:
        yield
    except Unusable:
        raise
    except Exception as error:  # parsers raise whatever a broken file makes them trip over
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise Unusable(file, f"damaged ({reason[:120]})") from error


def read(file: Path) -> bytes:
    """Read a file.

    Args:
        file: The file.

    Returns:
        Its content.

    Raises:
        Unusable: It is absent or cannot be read.
    """
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Unusable(file) from None
    except OSError as error:
        raise Unusable(file, f"cannot be read ({error.strerror or error})") from error


def read_verified(file: Path, md5: str) -> bytes:
    """Read a file and compare what was read with its checksum.

    Args:
        file: The file.
        md5: Hexadecimal digits.

    Returns:
        Its content.

    Raises:
        Unusable: It is absent, or not the published one.
    """
    data = read(file)
    _compare(file, hashlib.md5(data, usedforsecurity=False).hexdigest(), md5, "md5")
    return data


def verify(folder: Path, checksums: Mapping[str, str], algorithm: Algorithm = "md5") -> None:
    """Compare files with their checksums.

    Args:
        folder: Where they are.
        checksums: Hexadecimal digits, by name of the file.
        algorithm: Of the checksums.

    Raises:
        Unusable: One is absent, or not the published one.
    """
    for name in checksums:
        if not (folder / name).is_file():
            raise Unusable(folder / name)
    for name, wanted in checksums.items():
        _compare(folder / name, checksum_of(folder / name, algorithm), wanted, algorithm)


def checksum_of(file: Path, algorithm: Algorithm) -> str:
    """Compute the checksum of a file without holding it in memory.

    Args:
        file: The file.
        algorithm: Of the checksum.

    Returns:
        Hexadecimal digits.

    Raises:
        Unusable: It cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise Unusable(file, f"cannot be read ({error.strerror or error})") from error


def read_lines(file: Path) -> list[str]:
    """Read the lines of a text file that are not empty.

    Args:
        file: The file, in UTF-8.

    Returns:
        The lines, without white space at their ends.

    Raises:
        Unusable: It is absent or no text.
    """
    data = read(file)
    with parsing(file):
        return [line.strip() for line in data.decode().splitlines() if line.strip()]


def read_json(file: Path) -> Any:
    """Read a JSON file.

    Args:
        file: The file.

    Returns:
        What it holds.

    Raises:
        Unusable: It is absent or no JSON.
    """
    data = read(file)
    with parsing(file):
        return json.loads(data)


def read_mat(file: Path, *, md5: str | None = None) -> dict[str, Any]:
    """Read a MATLAB 5 file. The format holds arrays, no code.

    Args:
        file: The file.
        md5: What its checksum has to be; None where none was published.

    Returns:
        Its arrays by name, without axes of length 1.

    Raises:
        Unusable: It is absent, damaged, or not the published one.
    """
    from scipy.io import loadmat  # slow to import, and few datasets need it

    data = read(file) if md5 is None else read_verified(file, md5)
    with parsing(file):
        return dict(loadmat(BytesIO(data), squeeze_me=True))


def _compare(file: Path, found: str, wanted: str, algorithm: Algorithm) -> None:
    if found != wanted:
        raise Unusable(file, f"damaged (its {algorithm} is {found}, not {wanted})")
