"""Tests of normality that stand where `SIGReg` does: `Sliced(UNIVARIATE[name](), ...)` or `MULTIVARIATE[name]()`."""

from collections.abc import Mapping
from types import MappingProxyType

from lejepa_core.normality.base import MultivariateTest, UnivariateTest
from lejepa_core.normality.correlation import ShapiroFrancia, ShapiroWilk
from lejepa_core.normality.empirical import AndersonDarling, CramerVonMises, Watson
from lejepa_core.normality.entropy import Vasicek
from lejepa_core.normality.moments import ExtendedJarqueBera, JarqueBera, Moments, VCReg
from lejepa_core.normality.multivariate import BHEP, HenzeZirkler
from lejepa_core.normality.sliced import Sliced

UNIVARIATE: Mapping[str, type[UnivariateTest]] = MappingProxyType(
    {
        "anderson-darling": AndersonDarling,
        "cramer-von-mises": CramerVonMises,
        "watson": Watson,
        "shapiro-francia": ShapiroFrancia,
        "shapiro-wilk": ShapiroWilk,
        "jarque-bera": JarqueBera,
        "extended-jarque-bera": ExtendedJarqueBera,
        "vcreg": VCReg,
        "moments": Moments,
        "vasicek": Vasicek,
    }
)
"""Tests of one column, to be sliced."""

MULTIVARIATE: Mapping[str, type[MultivariateTest]] = MappingProxyType({"bhep": BHEP, "henze-zirkler": HenzeZirkler})
"""Tests of the whole sample."""

__all__ = [
    "BHEP",
    "MULTIVARIATE",
    "UNIVARIATE",
    "AndersonDarling",
    "CramerVonMises",
    "ExtendedJarqueBera",
    "HenzeZirkler",
    "JarqueBera",
    "Moments",
    "MultivariateTest",
    "ShapiroFrancia",
    "ShapiroWilk",
    "Sliced",
    "UnivariateTest",
    "VCReg",
    "Vasicek",
    "Watson",
]
