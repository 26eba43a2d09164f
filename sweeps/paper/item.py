"""What an item is: a study that somebody published, as a recipe, and the numbers that were published of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from lejepa_core.errors import SettingError
from sweeps.recipes import Recipe

Scale = Literal["cpu", "pilot", "1gpu", "cluster", "full"]
SCALES: Final[tuple[Scale, ...]] = get_args(Scale)

PAPER: Final = "arXiv 2511.08544"
LINEAR: Final = "test/linear_top1"
"""What the paper's tables report, but for the probe: see `PROBE`."""
EVERY: Final = "*"
"""In the name of a metric, the mean over the other data sets that encoders were evaluated on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A number as its source printed it."""

    value: float
    """Accuracies in percent, correlations as they are, times in milliseconds."""
    source: str
    """Table or file that it was read from."""
    variant: str = ""
    """Of the recipe."""
    architecture: str
    """Of the recipe; where `aside`, what the source calls it."""
    dataset: str
    """Of the recipe; `EVERY` for the mean over the sets that encoders are evaluated on."""
    lambda_: float | None = None
    """In our definition; None = that of the recipe, which has one."""
    metric: str = LINEAR
    """Ours."""
    sd: float | None = None
    """Standard deviation that came with it."""
    aside: bool = False
    """Whether no trial is of it: another method, or weights that nobody can train again."""
    label: str = ""
    """What the source calls the row, where that is something else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trim:
    """What an item keeps of itself at a smaller scale; what is left out is as the scale has it."""

    variants: tuple[str, ...] | None = None
    """Names of the variants that stay."""
    architectures: Mapping[str, str] | None = None
    """Networks in place of those that the scale would choose -> whom each stands in for; "" = nobody."""
    datasets: tuple[str, ...] | None = None
    lambdas: int | None = None
    """Most values of λ."""
    seeds: int | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Settings that all trials get, whatever the scale would make of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A published study, or one that nobody has published."""

    name: str
    """What a person types."""
    title: str
    about: str
    """What it is in its source, and what it asks."""
    source: str
    make: Callable[[], Recipe] | None
    """The study at full scale; None for a benchmark."""
    published: tuple[Published, ...] = ()
    differences: tuple[str, ...] = ()
    """In what the full study differs from what was published, or what was not said; and what its numbers hide."""
    protocols: tuple[str, ...] = ()
    """What encoders are measured by besides the linear probe."""
    evaluate_on: tuple[str, ...] = ()
    """Other data sets that encoders are probed on."""
    anchors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Variant -> values of λ that smaller grids keep, published optima and defaults; "" = all that share the item's."""
    trims: Mapping[Scale, Trim] = field(default_factory=dict)

    def recipe(self) -> Recipe:
        """The study at full scale.

        Raises:
            SettingError: If it is a benchmark, which has none.
        """
        if self.make is None:
            raise SettingError(f"{self.name} is a benchmark and no study; run it: lejepa paper run {self.name}")
        return self.make()
