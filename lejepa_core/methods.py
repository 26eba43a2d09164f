"""The losses that a trial can be trained with, in words: what λ is in each, and what its two terms are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Objective = Literal["lejepa", "vicreg", "simclr"]
LEJEPA: Final = "lejepa"
"""LeJEPA's own loss; what a configuration means that names none."""
SIGREG: Final = "epps-pulley"
"""The regularizer that is SIGReg itself; what a configuration means that names none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One loss, as people should read of it."""

    title: str
    """Its name."""
    arxiv: str
    """Number of its paper."""
    form: str
    """The loss in one line, with a place for the name of what λ weighs."""
    default: float
    """The λ of its published setting, on ImageNet."""
    term: str = ""
    """Name of the term beside prediction; "" where a trial chooses it, see `regularizer_label`."""
    weighs: bool = True
    """Whether λ and 1 - λ are weights of two terms."""

    @property
    def dial(self) -> str:
        """Name of what `turned` gives."""
        return "λ / (1 - λ)" if self.weighs else "temperature"

    def turned(self, lam: float) -> float:
        """What λ comes to, in which one loss can be compared with another: a ratio of weights, or λ itself.

        Args:
            lam: λ, between 0 and 1, without these.
        """
        return lam / (1 - lam) if self.weighs else lam


METHODS: Final[Mapping[Objective, Method]] = {
    "lejepa": Method(
        title="LeJEPA",
        arxiv="2511.08544",
        form="(1-lambda)*prediction + lambda*{term}; per view; N global",
        default=0.05,
    ),
    "vicreg": Method(
        title="VICReg",
        arxiv="2105.04906",
        form="(1-lambda)*invariance + lambda*(variance + covariance/25); pairs of views; N global",
        default=0.5,
        term="variance + covariance",
    ),
    "simclr": Method(
        title="SimCLR",
        arxiv="2002.05709",
        form="NT-Xent = alignment + log-sum-exp, temperature lambda; pairs of views; N global",
        default=0.1,
        term="log-sum-exp",
        weighs=False,
    ),
}


def method_of(config: Mapping[str, Any]) -> Method:
    """The method of a trial or study, flat; LeJEPA if it names none."""
    objective: Objective = config.get("objective", LEJEPA)
    return METHODS[objective]


def regularizer_label(regularizer: str, objective: Objective = LEJEPA) -> str:
    """What people should read for the term beside prediction.

    Args:
        regularizer: Of the trial; of no consequence to objectives other than LeJEPA's.
        objective: Of the trial.

    Returns:
        `SIGReg`, or the name of the test in its place, or what another objective has there.
    """
    return METHODS[objective].term or ("SIGReg" if regularizer == SIGREG else regularizer)


def label_of(config: Mapping[str, Any]) -> str:
    """`regularizer_label` of a trial or study, flat; what it leaves out is at its default."""
    return regularizer_label(str(config.get("regularizer", SIGREG)), config.get("objective", LEJEPA))


def objective_form(config: Mapping[str, Any]) -> str:
    """The loss in one line, with the name of what λ weighs: `sigreg`, or that of another regularizer.

    Args:
        config: Of a trial or a study, flat; what it leaves out is at its default.
    """
    form = method_of(config).form.format(term=label_of(config).lower())
    form += "; views through a predictor" if config.get("predictor_depth") else ""
    return form + ("; centre by averaged weights" if config.get("weight_average") else "")
