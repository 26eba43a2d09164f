"""Many architectures at once: patterns, and the cheapest ones."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from lejepa_core.architectures.registry import ARCHITECTURES
from lejepa_core.errors import SettingError, UnknownNameError

CHEAPEST: Final = "cheapest:"


def select_architectures(names: Sequence[str], image_size: int) -> tuple[str, ...]:
    """The names that names, patterns and `cheapest:N` stand for.

    Args:
        names: As a person types them: `resnet18`, `timm:NAME`, `'vit*'`, `cheapest:64`.
        image_size: Side of a global view, in pixels; patterns leave out what cannot take it.

    Returns:
        The names in order; each once if any came from a pattern, otherwise as they are, unchecked.

    Raises:
        UnknownNameError: If nothing matches a pattern.
        SettingError: If N is no count of architectures.
    """
    found = [list(_expand(name, image_size)) for name in names]
    flat = tuple(name for part in found for name in part)
    return flat if flat == tuple(names) else tuple(dict.fromkeys(flat))


def _expand(name: str, image_size: int) -> Iterator[str]:
    if name.startswith(CHEAPEST):
        yield from _cheapest(name, image_size)
    elif any(mark in name for mark in "*?["):
        matches = [n for n, spec in ARCHITECTURES.items() if fnmatchcase(n, name) and spec.takes(image_size)]
        if not matches:
            raise UnknownNameError(f"architecture for {image_size} px", name, ARCHITECTURES, "lejepa archs")
        yield from matches
    else:
        yield name


def _cheapest(name: str, image_size: int) -> list[str]:
    # A short name beside timm's own is no second architecture.
    distinct: dict[str, str] = {}
    for n, spec in ARCHITECTURES.items():
        if spec.ms_64 is not None and spec.takes(image_size):
            distinct.setdefault(f"{spec.timm_name} {spec.options}", n)
    timed = list(distinct.values())
    timed.sort(key=lambda n: (ARCHITECTURES[n].milliseconds(image_size), n))
    count = name.removeprefix(CHEAPEST)
    if not (count.isdecimal() and 1 <= int(count) <= len(timed)):
        raise SettingError(f"{name} came, {CHEAPEST}N with N from 1 to {len(timed)} was wanted")
    return timed[: int(count)]
