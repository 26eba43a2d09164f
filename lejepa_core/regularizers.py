"""What λ weighs in a trial: SIGReg, or another test of normality in its place."""

from lejepa_core.directions import Directions
from lejepa_core.normality import MULTIVARIATE, UNIVARIATE, MultivariateTest, Sliced
from lejepa_core.settings import PretrainSettings
from lejepa_core.sigreg import SIGReg

Regulariser = SIGReg | Sliced | MultivariateTest


def build_regularizer(settings: PretrainSettings) -> Regulariser:
    """The regulariser of a trial; its directions depend on the trial's seed and the step alone."""
    name = settings.regularizer
    if name in MULTIVARIATE:
        return MULTIVARIATE[name]()
    if name in UNIVARIATE:
        return Sliced(UNIVARIATE[name](), directions=Directions(settings.slices, settings.sampler, settings.seed))
    return SIGReg(
        slices=settings.slices,
        knots=settings.knots,
        t_max=settings.t_max,
        seed=settings.seed,
        sampler=settings.sampler,
    )
