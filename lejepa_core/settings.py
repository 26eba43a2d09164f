"""Everything that decides the outcome of one pretraining, besides the images themselves."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.methods import LEJEPA, SIGREG, Objective

Precision = Literal["float32", "float64", "bfloat16"]
Sampler = Literal["gaussian", "orthogonal", "sobol"]
Regularizer = Literal[
    "epps-pulley", "anderson-darling", "cramer-von-mises", "watson", "shapiro-francia", "shapiro-wilk", "jarque-bera",
    "extended-jarque-bera", "vcreg", "moments", "vasicek", "bhep", "henze-zirkler",
]  # fmt: skip
Stream = Literal["auto", "always", "never"]
"""Whether images are decoded each time they are wanted: if all pixels would take very much room, wherever they can be,
or never. Pixels and splits are the same, fingerprints are not: a study keeps to one form."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainSettings:
    """One pretraining, fully resolved.

    Raises:
        SettingError: If a value lies outside its range.
        UnknownNameError: If there is no such regularizer, sampler or objective.
    """

    architecture: str
    """A name of `lejepa_core.architectures.ARCHITECTURES`, or `timm:NAME`."""
    lambda_: float
    """Weight of SIGReg in (1 - λ)·prediction + λ·SIGReg; in [0, 1]. The one dial of another `objective`, see there."""
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
    embedding_dim: int = 0
    """Width of a linear layer on the backbone, whose output is the embedding that probes see then; 0 = none."""
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
    objective: Objective = LEJEPA
    """The loss on the projections. vicreg: (1 - λ)·invariance + λ·(variance + covariance / 25), at λ = 0.5 the
    published weights 25, 25 and 1, divided by 50; simclr: NT-Xent with temperature λ. See `lejepa_core.comparators`."""
    register_tokens: int = 0
    """Learned tokens beside an image's patches, in vision transformers; 0 = as many as the architecture has."""
    predictor_depth: int = 0
    """Linear layers of the predictor, an MLP as wide as the projector, that each view's projection passes before it is
    compared with the centre; 0 = no predictor. See `LeJEPALoss`."""
    weight_average: float = 0.0
    """Decay per step of an exponential moving average of the encoder's weights, in [0, 1), that makes the centre and
    is what is evaluated; 0 = none. See `lejepa_core.averaging`."""
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
        for name in ("views_local", "embedding_dim", "register_tokens", "predictor_depth"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        views = self.views_global + self.views_local
        _require("views_global + views_local", views, views >= 2, "at least 2: one view has nothing to predict")
        _require("knots", self.knots, self.knots >= 2, "at least 2")
        _require("t_max", self.t_max, 0 < self.t_max < math.inf, "a positive number")
        _require("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a positive number")
        _require("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more")
        for name in ("warmup", "weight_average"):
            _require(name, getattr(self, name), 0 <= getattr(self, name) < 1, "in [0, 1)")
        _require("seed", self.seed, 0 <= self.seed < 2**32, "in [0, 2^32)")
        _require("precision", self.precision, self.precision in get_args(Precision), "float32, float64 or bfloat16")
        for name, known in (("regularizer", get_args(Regularizer)), ("sampler", get_args(Sampler)),
                            ("objective", get_args(Objective))):  # fmt: skip
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known, " ".join(known))
        for name in ("global_scale", "local_scale"):
            low, high = getattr(self, name)
            _require(name, (low, high), 0 < low <= high <= 1, "0 < low <= high <= 1")
        if self.pretrained and self.register_tokens:
            raise SettingError("--register-tokens came with --pretrained, whose weights fix how many; leave out one")
        if self.pretrained and self.embedding_dim:
            raise SettingError(
                "--embedding-dim came with --pretrained, whose weights have no such layer; leave out one"
            )
        if self.objective != LEJEPA:
            self._check_comparator()

    def _check_comparator(self) -> None:
        """Refuse what only LeJEPA's own loss has."""
        _require("λ", self.lambda_, self.lambda_ > 0 or self.objective != "simclr", "a temperature above 0")
        for name, default in (("regularizer", SIGREG), ("predictor_depth", 0), ("weight_average", 0.0)):
            if getattr(self, name) != default:
                raise SettingError(
                    f"--{name.replace('_', '-')} {getattr(self, name)} came with --objective {self.objective}, which "
                    "has no place for it; leave out one"
                )


def _require(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds:
        raise SettingError(f"{name.replace('_', '-')} = {value} came, {wanted} was wanted")
