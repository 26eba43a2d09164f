"""The registry of architectures as rows of `lejepa archs`."""

import math
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from lejepa_core.architectures import ARCHITECTURES, ArchitectureSpec
from lejepa_core.errors import SettingError


def architectures(pattern: str, family: str | None, max_params: str | None) -> Iterator[tuple[str, ArchitectureSpec]]:
    """Entries of the registry.

    Args:
        pattern: Of names, such as `vit*`.
        family: Module of timm that holds them; None = all.
        max_params: Most parameters, such as `20M`; None = any.

    Raises:
        SettingError: If `max_params` is no number.
    """
    most = math.inf if max_params is None else _count(max_params)
    for name, spec in ARCHITECTURES.items():
        if fnmatch(name, pattern) and family in (None, spec.family) and spec.parameters <= most:
            yield name, spec


def as_data(name: str, spec: ArchitectureSpec) -> dict[str, Any]:
    """An entry for programs."""
    return {
        "name": name,
        "family": spec.family,
        "group": spec.group,
        "timm": spec.timm_name,
        "same_as": spec.same_as,
        "options": dict(spec.options),
        "parameters": spec.parameters,
        "parameters_m": spec.parameters_m,
        "features": spec.features,
        "min_size": spec.min_size,
        "multiple": spec.multiple,
        "multi_crop": spec.multi_size,
        "batchnorm": spec.batchnorm,
        "pretrained": spec.pretrained,
        "ms_32": spec.ms_32,
        "ms_64": spec.ms_64,
    }


def as_words(name: str, spec: ArchitectureSpec) -> dict[str, str]:
    """An entry for people."""
    step = f" by {spec.multiple}" if spec.multiple > 1 else ""
    return {
        "name": name,
        "family": spec.family,
        "group": spec.group,
        "parameters": f"{spec.parameters_m:.2f}M",
        "width": str(spec.features),
        "px": f"{spec.min_size}+{step}",
        "multi-crop": "yes" if spec.multi_size else "no",
        "BatchNorm": "yes" if spec.batchnorm else "no",
        "ms at 32 px": "-" if spec.ms_32 is None else f"{spec.ms_32:.2f}",
        "ms at 64 px": "-" if spec.ms_64 is None else f"{spec.ms_64:.2f}",
        "same as": spec.same_as or "-",
    }


def _count(text: str) -> float:
    """A number that may end in k, M or G."""
    factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower(), 1.0)
    try:
        count = float(text if factor == 1 else text[:-1]) * factor
    except ValueError:
        count = math.nan
    if not count > 0:
        raise SettingError(f"--max-params {text} came, a number such as 500k or 20M was wanted")
    return count
