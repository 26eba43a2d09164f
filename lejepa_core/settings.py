"""Everything that decides the outcome of one pretraining, besides the images themselves."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from lejepa_core.errors import SettingError, UnknownNameError

Precision = Literal["float32", "float64", "bfloat16"]
Sampler = Literal["gaussian", "orthogonal", "sobol"]
Regularizer = Literal[
    "epps-pulley", "anderson-darling", "cramer-von-mises", "watson", "shapiro-francia", "shapiro-wilk", "jarque-bera",
    "extended-jarque-bera", "vcreg", "moments", "vasicek", "bhep", "henze-zirkler",
]  # fmt: skip
Stream = Literal["auto", "always", "never"]
"""Whether images are decoded each time they are wanted: if all pixels would take very much room, wherever they can be,
or never. Pixels and splits are the same, fingerprints are not: a study keeps to one form."""
SIGREG: Final = "epps-pulley"
"""The regularizer that is SIGReg itself; what a configuration means that names none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainSettings:
    """One pretraining, fully resolved.

    Raises:
        SettingError: If a value lies outside its range.
        UnknownNameError: If there is no such regularizer or sampler.
    """

    architecture: str
    """A name of `lejepa_core.architectures.ARCHITECTURES`, or `timm:NAME`."""
    lambda_: float
    """Weight of SIGReg in (1 - λ)·prediction + λ·SIGReg; in [0, 1]."""
    learning_rate: float
    """Peak learning rate of AdamW, after linear warm-up."""
    weight_decay: float
    """Decoupled weight decay of AdamW, on weight matrices only; position embeddings are exempt."""
    seed: int = 0
    """Seed of initial weights, data order, augmentations and slices."""
    epochs: int = 100
    """Passes over the training images."""
    batch_size: int = 256
    """Images per optimisation step, over all workers together."""
    image_size: int = 224
    """Side of a global view, in pixels."""
    views_global: int = 2
    """Large crops per image; their mean projection is what every view predicts."""
    views_local: int = 6
    """Small crops per image."""
    local_size: int = 96
    """Side of a local view, in pixels."""
    global_scale: tuple[float, float] = (0.3, 1.0)
    """Smallest and largest share of the image area in a global view."""
    local_scale: tuple[float, float] = (0.05, 0.3)
    """Smallest and largest share of the image area in a local view."""
    pretrained: bool = False
    """Begin from timm's weights of the hub: continued pretraining; only the projector starts at random."""
    weights_revision: str = ""
    """Commit of the hub's repository that these weights are of; "" = what is cached, or else the newest."""
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises linearly."""
    projector_hidden: int = 512
    """Width of the projector's hidden layers."""
    projector_depth: int = 3
    """Linear layers in the projector."""
    projector_dim: int = 64
    """Width of the projections, the space in which the loss is taken."""
    regularizer: Regularizer = SIGREG
    """Test of normality that λ weighs; `epps-pulley` is SIGReg, see `lejepa_core.normality` for the others."""
    slices: int = 1024
    """Random directions on which SIGReg tests Gaussianity, anew at each step."""
    sampler: Sampler = "gaussian"
    """How these directions are drawn: independent, in orthogonal blocks, or from a scrambled Sobol sequence."""
    knots: int = 17
    """Quadrature knots of the Epps-Pulley integral on [0, t_max]."""
    t_max: float = 3.0
    """Upper end of the Epps-Pulley integral."""
    precision: Precision = "float32"
    """Floating point type. bfloat16 is autocast: backbone and projector compute in it as they train, while weights,
    optimiser, loss, the online probe and all that is measured afterwards, geometry too, are float32."""

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        if not (math.isfinite(self.lambda_) and 0 <= self.lambda_ <= 1):
            raise SettingError(f"λ = {self.lambda_} came, a number in [0, 1] was wanted")
        for name in ("epochs", "batch_size", "image_size", "views_global", "local_size", "projector_hidden",
                     "projector_depth", "projector_dim", "slices"):  # fmt: skip
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        _require("batch_size", self.batch_size, self.batch_size >= 2, "at least 2: SIGReg tests a distribution")
        _require("views_local", self.views_local, self.views_local >= 0, "0 or more")
        views = self.views_global + self.views_local
        _require("views_global + views_local", views, views >= 2, "at least 2: one view has nothing to predict")
        _require("knots", self.knots, self.knots >= 2, "at least 2")
        _require("t_max", self.t_max, 0 < self.t_max < math.inf, "a positive number")
        _require("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a positive number")
        _require("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more")
        _require("warmup", self.warmup, 0 <= self.warmup < 1, "in [0, 1)")
        _require("seed", self.seed, 0 <= self.seed < 2**32, "in [0, 2^32)")
        _require("precision", self.precision, self.precision in get_args(Precision), "float32, float64 or bfloat16")
        for name, known in (("regularizer", get_args(Regularizer)), ("sampler", get_args(Sampler))):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known, " ".join(known))
        for name in ("global_scale", "local_scale"):
            low, high = getattr(self, name)
            _require(name, (low, high), 0 < low <= high <= 1, "0 < low <= high <= 1")


def regularizer_label(regularizer: str) -> str:
    """What people should read for the term that λ weighs: `SIGReg`, or the name of the test in its place."""
    return "SIGReg" if regularizer == SIGREG else regularizer


def _require(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds:
        raise SettingError(f"{name.replace('_', '-')} = {value} came, {wanted} was wanted")
