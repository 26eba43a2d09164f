"""Many architectures at once: patterns, and the cheapest ones."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from lejepa_core.architectures.registry import ARCHITECTURES
from lejepa_core.errors import SettingError, UnknownNameError

CHEAPEST: Final = "cheapest:"
SIZES: Final = range(8, 513, 8)
"""Image sides that an error looks through for one that works, in pixels."""


def select_architectures(names: Sequence[str], image_size: int, *, pretrained: bool = False) -> tuple[str, ...]:
    """The names that names, patterns and `cheapest:N` stand for.

    Args:
        names: As a person types them: `resnet18`, `timm:NAME`, `'vit*'`, `cheapest:64`.
        image_size: Side of a global view, in pixels; patterns leave out what cannot take it.
        pretrained: Whether patterns leave out what has no weights on the hub.

    Returns:
        The names in order; each once if any came from a pattern, otherwise as they are, unchecked. Patterns leave out
        copies of other entries.

    Raises:
        UnknownNameError: If nothing matches a pattern.
        SettingError: If nothing that matches can be used, or if N is no count of architectures.
    """
    found = [list(_expand(name, image_size, pretrained)) for name in names]
    flat = tuple(name for part in found for name in part)
    return flat if flat == tuple(names) else tuple(dict.fromkeys(flat))


def size_notes(names: Sequence[str], image_size: int, *, pretrained: bool = False) -> list[str]:
    """What patterns leave out for the image size, a line per pattern.

    Args:
        names: As a person types them.
        image_size: Side of a global view, in pixels.
        pretrained: See `select_architectures`.
    """
    notes = []
    for name in filter(_is_pattern, names):
        left_out = [n for n in _usable(_matches(name), pretrained) if not ARCHITECTURES[n].takes(image_size)]
        if left_out:
            notes.append(f"{name} leaves out what does not take {image_size} px: {', '.join(left_out)}")
    return notes


def _is_pattern(name: str) -> bool:
    return not name.startswith(CHEAPEST) and any(mark in name for mark in "*?[")


def _expand(name: str, image_size: int, pretrained: bool) -> Iterator[str]:
    if name.startswith(CHEAPEST):
        yield from _cheapest(name, image_size, pretrained)
    elif _is_pattern(name):
        yield from _matching(name, image_size, pretrained)
    else:
        yield name


def _matches(pattern: str) -> list[str]:
    return [name for name in ARCHITECTURES if fnmatchcase(name, pattern)]


def _usable(names: Sequence[str], pretrained: bool) -> list[str]:
    """Without copies and, for pretrained ones, without those that have no weights."""
    specs = {name: ARCHITECTURES[name] for name in names}
    return [name for name, spec in specs.items() if not spec.same_as and (spec.pretrained or not pretrained)]


def _taking(names: Sequence[str], size: int) -> list[str]:
    return [name for name in names if ARCHITECTURES[name].takes(size)]


def _matching(pattern: str, image_size: int, pretrained: bool) -> list[str]:
    matches = _matches(pattern)
    if not matches:
        raise UnknownNameError("architecture", pattern, ARCHITECTURES, "lejepa archs")
    usable = _usable(matches, pretrained)
    if not usable:
        lack = "without weights on the hub or a copy of another" if pretrained else "a copy of another"
        raise SettingError(f"{pattern} came, each of its {len(matches)} matches is {lack}; type names in full")
    found = _taking(usable, image_size)
    if not found:
        size = next(size for size in SIZES if _taking(usable, size))
        raise SettingError(
            f"{pattern} came at {image_size} px, which none of its {len(usable)} matches takes; {size} px takes "
            f"{len(_taking(usable, size))}: --image-size {size}"
        )
    return found


def _cheapest(name: str, image_size: int, pretrained: bool) -> list[str]:
    timed = [n for n in _usable(tuple(ARCHITECTURES), pretrained) if ARCHITECTURES[n].ms_64 is not None]
    found = sorted(_taking(timed, image_size), key=lambda n: (ARCHITECTURES[n].milliseconds(image_size), n))
    text = name.removeprefix(CHEAPEST)
    count = int(text) if text.isdecimal() else 0
    if not 1 <= count <= len(found):
        size = next((size for size in SIZES if count and len(_taking(timed, size)) >= count), None)
        hint = f"; {size} px takes {len(_taking(timed, size))}: --image-size {size}" if size else ""
        raise SettingError(
            f"{name} came at {image_size} px, {CHEAPEST}N with N from 1 to {len(found)} was wanted{hint}"
        )
    return found[:count]
