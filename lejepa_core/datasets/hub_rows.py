"""Rows of a set that was fetched from the Hugging Face Hub: decoded one after another, or each when it is wanted."""

import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from lejepa_core.datasets.decoding import Undecodable, quiet
from lejepa_core.datasets.hub_files import Columns, library
from lejepa_core.datasets.lazy import decode_file, decoded_size_of, name_digest
from lejepa_core.datasets.source import Glance, Item, LazyItems


class Rows:
    """The images of a set, in the order of its splits; travels to other processes as the paths of its tables."""

    def __init__(self, parts: Mapping[str, Any], columns: Columns, image_size: int) -> None:
        """Look at tables.

        Args:
            parts: Split -> `datasets.Dataset`.
            columns: Which of their columns count.
            image_size: As in `decode_file`.
        """
        self.parts, self.columns, self.image_size = parts, columns, image_size
        self._starts = [0, *accumulate(len(part) for part in parts.values())]

    @cached_property
    def _tables(self) -> list[Any]:
        image, wanted = library().Image(decode=False), [self.columns.image]
        return [part.select_columns(wanted).cast_column(self.columns.image, image) for part in self.parts.values()]

    def names(self) -> list[str]:
        """Split and number of each row, for people."""
        return [f"{split} {row}" for split, part in self.parts.items() for row in range(len(part))]

    def splits(self) -> list[str]:
        """Split of each row."""
        return [split for split, part in self.parts.items() for _ in range(len(part))]

    def labels(self) -> list[str | None]:
        """Class of each row: "" where there are no classes, None where it has none of them."""
        if self.columns.label is None:
            return [""] * self._starts[-1]
        codes = (code for part in self.parts.values() for code in part.data.column(self.columns.label).to_pylist())
        return [None if code is None or code < 0 else self.columns.classes[code] for code in codes]

    def encoded(self, place: int) -> bytes:
        """An image as it was published.

        Args:
            place: Number of its row, over all splits.

        Returns:
            Contents of a file, nothing where there is none.
        """
        part = bisect_right(self._starts, place) - 1
        found: bytes = (self._tables[part][place - self._starts[part]][self.columns.image] or {}).get("bytes") or b""
        return found


def items(rows: Rows, left_out: tuple[str, ...]) -> Iterator[Item | str]:
    """Decode all rows, as `Source.items`.

    Args:
        rows: The images.
        left_out: One line about each split that is no part of the dataset.
    """
    yield from left_out
    for place, (name, label, split) in enumerate(zip(rows.names(), rows.labels(), rows.splits(), strict=True)):
        if label is None:
            yield f"{name}: no label"
            continue
        data = rows.encoded(place)
        try:
            with quiet():
                pixels = decode_file(data, rows.image_size)
        except Undecodable as error:
            yield f"{name}: {error}"
        else:
            yield Item(pixels=pixels, label=label, split=split, digest=hashlib.sha256(data).hexdigest())


def lazy_items(rows: Rows, left_out: tuple[str, ...], *, by_name: bool) -> LazyItems:
    """Describe rows for decoding on demand, as `Source.lazy`.

    Args:
        rows: The images.
        left_out: As in `items`.
        by_name: As in `lazy_files`.
    """
    names, labels = rows.names(), rows.labels()
    unlabelled = frozenset(place for place, label in enumerate(labels) if label is None)
    return LazyItems(
        names=names,
        labels=[label or "" for label in labels],
        splits=rows.splits(),
        glance=partial(_glance, rows, names if by_name else None, unlabelled),
        read=partial(_read, rows),
        left_out=left_out,
    )


def _glance(rows: Rows, names: list[str] | None, unlabelled: frozenset[int], place: int) -> Glance:
    if place in unlabelled:
        raise Undecodable("no label")
    data = rows.encoded(place)
    digest = name_digest(names[place]) if names else hashlib.sha256(data).hexdigest()
    return Glance(digest=digest, stored=len(data), decoded=decoded_size_of(io.BytesIO(data), rows.image_size))


def _read(rows: Rows, place: int) -> UInt8[ndarray, "h w 3"]:
    return decode_file(rows.encoded(place), rows.image_size)
