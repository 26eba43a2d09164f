"""The architectures that a study can name, as data: see `lejepa archs`. Importing this needs neither torch nor timm."""

from lejepa_core.architectures.families import OPTIMISERS
from lejepa_core.architectures.registry import (
    ARCHITECTURES,
    TIMM_PREFIX,
    check_registers,
    check_size,
    find_architecture,
    local_size,
)
from lejepa_core.architectures.select import select_architectures, size_notes
from lejepa_core.architectures.spec import ArchitectureSpec, OptimiserDefaults

__all__ = [
    "ARCHITECTURES",
    "OPTIMISERS",
    "TIMM_PREFIX",
    "ArchitectureSpec",
    "OptimiserDefaults",
    "check_registers",
    "check_size",
    "find_architecture",
    "local_size",
    "select_architectures",
    "size_notes",
]
