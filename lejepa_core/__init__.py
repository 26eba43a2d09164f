"""LeJEPA: the method. Loss, encoder, views, data, pretraining and evaluation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lejepa_core.objective import LeJEPALoss
    from lejepa_core.sigreg import SIGReg

__all__ = ["LeJEPALoss", "SIGReg"]


def __getattr__(name: str) -> Any:
    """Import the losses when they are asked for, so that what needs no torch starts without it."""
    if name == "SIGReg":
        from lejepa_core.sigreg import SIGReg

        return SIGReg
    if name == "LeJEPALoss":
        from lejepa_core.objective import LeJEPALoss

        return LeJEPALoss
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
