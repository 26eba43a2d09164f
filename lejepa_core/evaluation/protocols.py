"""The protocols by name: plain data."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.evaluation.criteria import measure_criteria
from lejepa_core.evaluation.protocol import Protocol

ALWAYS: Final = ("criteria",)
"""Protocols that every trial is measured by."""
PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "criteria": Protocol(
        about="label-free criteria on fresh views of validation images: terms of the loss, view retrieval, geometry",
        version=1,
        measure=measure_criteria,
        needs_labels=False,
    ),
}
