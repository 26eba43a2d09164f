"""Where a value of SIGReg stands between a perfect Gaussian and total collapse."""

import math
from dataclasses import dataclass

from lejepa_core.errors import SettingError
from lejepa_core.kernels.quadrature import Quadrature


@dataclass(frozen=True, kw_only=True, slots=True)
class SIGRegReading:
    """Where a value of SIGReg stands between a perfect Gaussian and total collapse."""

    value: float
    """The statistic."""
    floor: float
    """What N(0, I) gives on average."""
    ceiling: float
    """What total collapse to 0 gives."""
    share: float
    """0 at the floor, 1 at the ceiling; below 0 by chance. A shifted or partial collapse lies below 1 too."""
    gradient_bound: float
    """No sample's gradient is longer: 2·Σ w_k t_k (1 + φ(t_k))."""


def sigreg_reading(value: float, *, samples: int, knots: int = 17, t_max: float = 3.0) -> SIGRegReading:
    """Read a value of SIGReg against its own scale.

    Args:
        value: The statistic, averaged over slices.
        samples: N of the global batch.
        knots: As in `SIGReg`.
        t_max: As in `SIGReg`.

    Raises:
        SettingError: If samples < 1, or the quadrature is impossible.
    """
    if samples < 1:
        raise SettingError(f"samples={samples} came, at least 1 was wanted")
    q = Quadrature(knots, t_max)
    ceiling = samples * q.collapse
    # With one or two samples the ceiling lies below the floor: there is no scale between them.
    share = (value - q.floor) / (ceiling - q.floor) if ceiling > q.floor else math.nan
    bound = float((2 * q.weight_K * q.t_K * (1 + q.phi_K)).sum())
    return SIGRegReading(value=value, floor=q.floor, ceiling=ceiling, share=share, gradient_bound=bound)
