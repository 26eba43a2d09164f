"""Image files that are read when they are wanted: what `Source.lazy` of a set of files returns."""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from jaxtyping import UInt8

from lejepa_core.datasets.decoding import decode, decoded_bytes
from lejepa_core.datasets.source import Glance, LazyItems

HEAD: Final = 2**16
"""Bytes of a file that are hashed: of a set of millions nobody waits until all of them were read."""


def lazy_files(
    root: Path,
    files: Sequence[tuple[str, str, str]],
    *,
    image_size: int,
    by_name: bool = False,
    left_out: Sequence[str] = (),
) -> LazyItems:
    """Describe image files for decoding on demand.

    Args:
        root: Their folder.
        files: Path relative to `root` ("/" between parts), class and split of each.
        image_size: As in `decode_file`.
        by_name: Whether missing splits are carved by the files' names rather than by their contents; `Item.digest` is
            then `name_digest` as well.
        left_out: One line about each file that is no part of the dataset.

    Returns:
        The files, in the same order.
    """
    names, labels, splits = zip(*files, strict=True)
    # One array rather than millions of objects: processes that decode would copy each page whose counts they touch.
    paths = np.array([os.fsencode(name) for name in names])
    return LazyItems(
        names=names,
        labels=labels,
        splits=splits,
        glance=partial(_glance, root, paths, image_size, by_name),
        read=partial(_read, root, paths, image_size),
        left_out=tuple(left_out),
    )


def decode_file(data: bytes, image_size: int) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a photograph to the size in which datasets keep it.

    Args:
        data: Contents of the file.
        image_size: Largest size that views will have, in pixels: images are kept at up to twice that on the short side
            and 8 times on the long one.

    Returns:
        RGB pixels.

    Raises:
        Undecodable: As `decode`.
    """
    return decode(data, **_limits(image_size))


def decoded_size_of(file: BinaryIO, image_size: int) -> int:
    """Say from a photograph's header what `decode_file` would give.

    Args:
        file: The file, open.
        image_size: As in `decode_file`.

    Returns:
        Size of the pixels in bytes.

    Raises:
        Undecodable: As `decoded_bytes`.
    """
    return decoded_bytes(file, **_limits(image_size))


def content_digest(head: bytes, size: int) -> str:
    """Identify a file by its beginning and its size; identical files share it.

    Args:
        head: Its first `HEAD` bytes.
        size: Its size in bytes.

    Returns:
        Hexadecimal digits; for a file of up to `HEAD` bytes, its sha256.
    """
    return hashlib.sha256(head if size <= HEAD else head + str(size).encode()).hexdigest()


def name_digest(name: str) -> str:
    """Identify a file by its name.

    Args:
        name: Path relative to the dataset's folder.

    Returns:
        Hexadecimal digits.
    """
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()


def _limits(image_size: int) -> dict[str, int]:
    return {"short_side": 2 * image_size, "long_side": 8 * image_size}


def _glance(root: Path, paths: np.ndarray, image_size: int, by_name: bool, index: int) -> Glance:
    name = os.fsdecode(paths[index])
    with (root / name).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = name_digest(name) if by_name else content_digest(file.read(HEAD), size)
        decoded = decoded_size_of(file, image_size)
    return Glance(digest=digest, stored=size, decoded=decoded)


def _read(root: Path, paths: np.ndarray, image_size: int, index: int) -> UInt8[np.ndarray, "h w 3"]:
    return decode_file((root / os.fsdecode(paths[index])).read_bytes(), image_size)
