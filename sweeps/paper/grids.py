"""Variants of a recipe from the axes of a table."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from lejepa_platform.config import Variant
from lejepa_platform.variants import title


def crossed(axes: Mapping[str, Sequence[Any]]) -> dict[str, Variant]:
    """A variant for each combination of the values of some settings, the last turning fastest."""
    return listed(dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


def listed(each: Iterable[Mapping[str, Any]]) -> dict[str, Variant]:
    """A variant for each of these settings, named after them."""
    return {title(settings): Variant(settings=settings) for settings in each}
