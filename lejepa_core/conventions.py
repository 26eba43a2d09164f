"""What λ means in other implementations, as data; `lejepa_core.conversion` turns one into another.

Every loss here is A·prediction + B·D, where D is the Epps-Pulley integral ∫ |φ̂ - φ|² φ dt without a factor of
samples, averaged over slices, and prediction is ours (`lejepa_core.objective`). B / A decides the direction of
the gradient; two implementations agree where it agrees.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_core.methods import METHODS

Centre = Literal["global views", "all views", "global views, for local views only", "the other of two views"]
Ranks = Literal["all", "own", "all, gradient / ranks"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Convention:
    """One implementation's loss; the defaults are ours."""

    source: str
    """Where it was read, and its version or date."""
    form: Literal["convex", "additive"] = "convex"
    """(1 - λ)·prediction + λ·SIGReg, or prediction + λ·SIGReg."""
    factor_n: bool = True
    """Whether SIGReg multiplies the integral by the number of samples that it tests."""
    pooled: bool = False
    """Whether it tests the V·N projections of all views as one sample, not each view alone."""
    ranks: Ranks = "all"
    """Whose samples it tests, when several ranks train with averaged gradients."""
    knots: int = 17
    """Knots of the trapezoidal rule."""
    t_max: float = 3.0
    """Upper end of the integral."""
    doubled: bool = True
    """Whether the knots lie on [0, t_max] and count twice, or on [-t_max, t_max]."""
    centre: Centre = "global views"
    """What a view's projection is drawn to."""
    sums_dims: bool = False
    """Whether prediction sums over dims, or takes their mean."""
    ranks_note: str = ""
    """What to know when there are several ranks."""
    remark: str = ""
    """What no number here can express."""

    @property
    def grid(self) -> str:
        """Knots and domain."""
        return f"{self.knots} knots on [{'0' if self.doubled else f'-{self.t_max:g}'}, {self.t_max:g}]"

    @property
    def effective_knots(self) -> int:
        """Knots on [-t_max, t_max]."""
        return 2 * self.knots - 1 if self.doubled else self.knots

    def quadrature(self) -> tuple[tuple[float, float], ...]:
        """Knots on [-t_max, t_max], each with its weight times φ(t) = exp(-t²/2)."""
        spacing = 2 * self.t_max / (self.effective_knots - 1)
        knots = [spacing * k - self.t_max for k in range(self.effective_knots)]
        ends = (0, self.effective_knots - 1)
        return tuple((t, spacing * (0.5 if k in ends else 1) * _phi(t)) for k, t in enumerate(knots))

    @property
    def floor(self) -> float:
        """N times the expected integral of N samples of N(0, 1); 1.0525 for 17 knots on [0, 3]."""
        return sum(weight * (1 - _phi(t) ** 2) for t, weight in self.quadrature())

    @property
    def ceiling(self) -> float:
        """Integral at total collapse to 0; 0.402 for 17 knots on [0, 3]."""
        return sum(weight * (1 - _phi(t)) ** 2 for t, weight in self.quadrature())


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a λ means depends on this, too.

    Raises:
        SettingError: If a value lies outside its range.
    """

    batch_size: int
    """Images per optimisation step, over all ranks together."""
    views_global: int = 2
    """Large crops per image."""
    views_local: int = 6
    """Small crops per image."""
    world_size: int = 1
    """Ranks that share a batch, in equal parts, and average their gradients."""
    projection_dim: int | None = None
    """Width of the projections; only a prediction that sums over dims needs it."""

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        for name, least in (("batch_size", 2), ("views_global", 1), ("views_local", 0), ("world_size", 1)):
            _at_least(name, getattr(self, name), least)
        _at_least("views_global + views_local", self.views, 2)
        _at_least("batch_size / world_size", self.batch_size / self.world_size, 1)
        if self.projection_dim is not None:
            _at_least("projection_dim", self.projection_dim, 1)

    @property
    def views(self) -> int:
        """All views of an image."""
        return self.views_global + self.views_local


_LEJEPA: Final = "github.com/rbalestr-lab/lejepa"

CONVENTIONS: Final[Mapping[str, Convention]] = {
    "ours": Convention(source="lejepa_core.objective"),
    "paper": Convention(
        source="arXiv 2511.08544v3, Algorithms 1 and 2", knots=17, t_max=5.0, doubled=False
    ),
    "paper-equation": Convention(
        source="arXiv 2511.08544v3, the equation of LeJEPA's loss", knots=17, t_max=5.0, doubled=False, sums_dims=True,
        remark="the paper's equation sums squared distances over dims, its Algorithm 2 and all published code take "
        "their mean",
    ),
    "lejepa": Convention(
        source=f"{_LEJEPA}, EppsPulley since fd27093 (2025-12-08)",
        remark="lejepa has no loss of its own but the statistic; it is taken to be used as in the paper's Algorithm 2",
    ),
    "lejepa-before-2025-12-08": Convention(
        source=f"{_LEJEPA}, EppsPulley before fd27093 (2025-12-08), later DeprecatedEppsPulley",
        factor_n=False, ranks="own", knots=10, doubled=False,
        ranks_note="lejepa before 2025-12-08 tests each rank's own samples; having no factor N, its weight is the same",
        remark="lejepa has no loss of its own but the statistic; it is taken to be used as in the paper's Algorithm 2",
    ),
    "minimal": Convention(
        source=f"{_LEJEPA}, MINIMAL.md (2025-11-20)", centre="all views", ranks="own",
        ranks_note="MINIMAL.md is written for one process; wrapped in DistributedDataParallel, each rank tests its own "
        "samples, as counted here",
    ),
    "lightly": Convention(
        source="lightly 1.6.0, loss/lejepa_loss.py", ranks="own",
        ranks_note="lightly's gather_distributed is False by default: each rank tests its own samples, as counted "
        "here; if you set it to True, convert with world-size 1",
    ),
    "stable-pretraining": Convention(
        source="stable-pretraining 0.1.8, methods/lejepa.py", form="additive", pooled=True, ranks="own",
        ranks_note="stable-pretraining tests each rank's own samples; this counts on a model built before the process "
        "group (Lightning); one built after it (Ray Train, torchrun) multiplies SIGReg by the world size and ignores "
        "its all-reduce's result: convert that with world-size 1",
    ),
    "eb_jepa": Convention(
        source="github.com/facebookresearch/eb_jepa 966e61e (2026-02-04), losses.py BCS", form="additive",
        factor_n=False, knots=10, doubled=False, centre="the other of two views",
        ranks_note="eb_jepa's all-reduce has no backward of its own: with gloo SIGReg's gradient is divided by the "
        "world size (divide λ by it, too), with NCCL it should not be, as counted here",
        remark="eb_jepa published its λ for two views of CIFAR-10 and a projector of 2048 x 128",
    ),
    "lite_ssl": Convention(
        source="github.com/Open-Knowledge-AI/lite_ssl ec8aa60, loss/custom/sigreg.py and trainer/lejepa_ms_pretrain.py",
        knots=5, doubled=False, centre="global views, for local views only", ranks="all, gradient / ranks",
        ranks_note="lite_ssl's all-reduce has no backward of its own: SIGReg's gradient is divided by the world size, "
        "as counted here",
    ),
}  # fmt: skip


def find_convention(name: str) -> Convention:
    """A convention by name.

    Raises:
        SettingError: If the name is that of an objective without SIGReg.
        UnknownNameError: If there is none.
    """
    if name in METHODS and name not in CONVENTIONS:
        raise SettingError(
            f"the λ of --objective {name} is no weight of SIGReg, and no λ of another loss means the same; compare "
            "windows of λ instead (`lejepa compare`)"
        )
    if name not in CONVENTIONS:
        raise UnknownNameError("convention", name, CONVENTIONS, "lejepa convert-lambda --list")
    return CONVENTIONS[name]


def term_weights(name: str, run: Run) -> tuple[float, float]:
    """Weight of our prediction in one unit of its prediction, and of D in one unit of its SIGReg, by gradient.

    Args:
        name: A name of `CONVENTIONS`.
        run: Batch, views and ranks.

    Returns:
        Both weights. That of prediction is exact where the other's is ours times a number, see `scatter`.

    Raises:
        UnknownNameError: If the name is unknown.
        SettingError: If the width of the projections is needed and missing.
    """
    convention = find_convention(name)
    # With two views and their mean as the centre, mean (z1 - z2)² is four times the mean squared distance from it.
    prediction = 4.0 if convention.centre == "the other of two views" else 1.0
    if convention.sums_dims:
        if run.projection_dim is None:
            raise SettingError(f"{name} sums over dims, and projection-dim is missing; give the projections' width")
        prediction *= run.projection_dim
    sigreg = float(run.batch_size * (run.views if convention.pooled else 1)) if convention.factor_n else 1.0
    fewer = convention.ranks == "own" and convention.factor_n
    return prediction, sigreg / (run.world_size if fewer or convention.ranks == "all, gradient / ranks" else 1)


def effective_weight(name: str, value: float, run: Run) -> float:
    """Weight of D over weight of our prediction: λ·N / (1 - λ) in our definition.

    Args:
        name: A name of `CONVENTIONS`.
        value: Its λ.
        run: Batch, views and ranks.

    Returns:
        A number from 0 to infinity; infinity for λ = 1 in a convex combination.

    Raises:
        UnknownNameError: If the name is unknown.
        SettingError: If λ is outside its range, or the width of the projections is needed and missing.
    """
    prediction, sigreg = term_weights(name, run)
    convex = find_convention(name).form == "convex"
    if not (math.isfinite(value) and 0 <= value <= (1 if convex else math.inf)):
        wanted = "a number in [0, 1]" if convex else "a number >= 0"
        raise SettingError(
            f"λ = {value} came, {wanted} was wanted: {name} is {'a convex' if convex else 'an additive'} sum"
        )
    if convex and value == 1:
        return math.inf
    return value * sigreg / ((1 - value if convex else 1) * prediction)


def scatter(name: str, run: Run) -> float:
    """Expected prediction, in our units, if all views of an image scatter alike about a common mean.

    Two predictions with different values are different functions, and no number makes one of the other; the ratio
    tells how far apart they are.

    Args:
        name: A name of `CONVENTIONS`.
        run: Views; eb_jepa has two whatever the run says.

    Returns:
        A multiple of the variance of a view's projection, per dim.
    """
    large, small = run.views_global, run.views_local
    centre = find_convention(name).centre
    if centre == "the other of two views":
        return 1 / 2
    if centre == "all views":
        return 1 - 1 / run.views
    if centre == "global views, for local views only" and small:
        return 1 + 1 / large
    return 1 - 1 / run.views + small / (run.views * large)


def _phi(t: float) -> float:
    return math.exp(-t * t / 2)


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise SettingError(f"{name.replace('_', '-')} = {value:g} came, at least {least} was wanted")
