"""How a named dataset is found, checked and fetched."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lejepa_core.datasets.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """What a loader module gives for each dataset that it knows.

    Attributes:
        source: From the data root and the height and width of the largest views, in pixels, to the source. Photographs
            are stored according to that size: the short side at most twice as long.
        check: Raises DataError on a data root that lacks a file or holds a damaged one: which, and what to do.
        download: Puts the files below a data root; None if they come with the installation or by hand only.
        place: From the data root to the folder that is read, where that need not be below it.
        streams: Whether it is files of which each can be decoded when it is wanted; if not, all images come at once.
    """

    source: Callable[[Path, int], Source]
    check: Callable[[Path], None]
    download: Callable[[Path], None] | None
    place: Callable[[Path], Path] | None = None
    streams: bool = False
