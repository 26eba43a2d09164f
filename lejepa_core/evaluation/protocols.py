"""The protocols by name: plain data."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.evaluation.protocol import Protocol

PROTOCOLS: Final[Mapping[str, Protocol]] = {}
