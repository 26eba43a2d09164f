"""What a trial is, as plain data with one canonical form.

A trial's key is a hash of everything that changes its result, and of nothing else: the fingerprint of the
images but not their path or name, and no worker, GPU, storage or tracking setting. Fields at their default
are left out, so that a field added later does not rename the trials that exist.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, Self

from lejepa_core.settings import PretrainSettings

METHOD_VERSION = 4
"""Raised whenever the same configuration would give another result than before."""

Flat = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialConfig(PretrainSettings):
    """One pretraining and its evaluation, fully resolved."""

    dataset: str
    """Name of the data set; a label, the fingerprint is what identifies the images."""
    data_fingerprint: str
    """Hash of the images, their labels and their splits."""
    family: str = ""
    """Family of the architecture: the module of timm that holds it; a label."""
    limit_train: int | None = None
    """Pretrain and probe on this many training images only, the same for every trial; None = all."""

    @property
    def key(self) -> str:
        """The trial's identity: 16 hexadecimal digits."""
        canonical = {"method_version": METHOD_VERSION, **self._non_defaults()}
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def cell(self) -> tuple[str, str]:
        """(architecture, data set)."""
        return self.architecture, self.dataset

    def flat(self) -> Flat:
        """As a flat JSON object, with λ under `lambda`."""
        return {public(f.name): plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_flat(cls, flat: Mapping[str, Any]) -> Self:
        """Rebuild from `flat()`; names that this version does not know are refused."""
        values = {private(name): tupled(value) for name, value in flat.items()}
        return cls(**values)

    def _non_defaults(self) -> Flat:
        labels = {"dataset", "family"}
        return {
            f.name: plain(getattr(self, f.name))
            for f in fields(self)
            if f.name not in labels and (f.default is MISSING or getattr(self, f.name) != f.default)
        }


def public(name: str) -> str:
    """The name of a field in JSON."""
    return "lambda" if name == "lambda_" else name


def private(name: str) -> str:
    """Back from `public`."""
    return "lambda_" if name == "lambda" else name


def plain(value: Any) -> Any:
    """The value of a field in JSON."""
    return list(value) if isinstance(value, tuple) else value


def tupled(value: Any) -> Any:
    """Back from `plain`."""
    return tuple(value) if isinstance(value, list) else value


DEFAULTS: Final[Flat] = {public(f.name): plain(f.default) for f in fields(TrialConfig) if f.default is not MISSING}
"""Public name of each setting that a trial need not name -> its value then, as in JSON."""


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Names that have different values in two sets of settings, a trial's default where one of them has none.

    Families are labels, and make no difference.
    """
    first, second = DEFAULTS | dict(first), DEFAULTS | dict(second)
    names = (first.keys() | second.keys()) - {"families"}
    return sorted(name for name in names if plain(first.get(name)) != plain(second.get(name)))
