"""Variants from a command line: `--vary views_global=2,4,8 slices=256,1024`."""

import json
from collections.abc import Sequence
from itertools import product
from typing import Any

from lejepa_core.errors import SettingError
from lejepa_platform.config import Variant
from lejepa_platform.variants import as_setting, title


def varied(given: Sequence[str]) -> dict[str, Variant]:
    """Every combination of values, named by them.

    Args:
        given: A setting and its values each, such as `views_global=2,4,8` or `global_scale=[0.2,1],[0.4,1]`.

    Returns:
        Name, such as `views_global=2 slices=256`, -> variant; the last setting turns fastest.

    Raises:
        LejepaError: If there is no such setting, it cannot vary, or a value is none of it.
    """
    axes = [_axis(text) for text in given]
    names = [name for name, _ in axes]
    if len(set(names)) != len(names):
        raise SettingError(f"--vary names a setting twice: {' '.join(names)}")
    chosen = [dict(zip(names, values, strict=True)) for values in product(*(values for _, values in axes))]
    return {title(settings): Variant(settings=settings) for settings in chosen} if axes else {}


def _axis(text: str) -> tuple[str, list[Any]]:
    name, _, values = text.partition("=")
    if not name or not values:
        raise SettingError(f"--vary {text} came, a setting and its values were wanted, such as views_global=2,4,8")
    found = [as_setting(name, value) for value in _values(values)]
    if any(value in found[:place] for place, value in enumerate(found)):
        raise SettingError(f"--vary {text} holds a value twice")
    return name, found


def _values(text: str) -> list[Any]:
    """Numbers, brackets, true, false and null as in JSON; where something is none of it, words between commas."""
    try:
        values: list[Any] = json.loads(f"[{text}]")
        return values
    except ValueError:
        return text.split(",")
