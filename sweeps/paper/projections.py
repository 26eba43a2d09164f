"""Studies that are larger than anything run here, by the cost model: the numbers of PROJECTIONS.md.

python -m sweeps.paper.projections     # the table, to be put there
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from lejepa_core.architectures import select_architectures
from lejepa_platform.progress import duration
from sweeps.costs import CostModel
from sweeps.estimate import Estimate
from sweeps.machines import find_machine
from sweeps.paper.items import table2
from sweeps.paper.planning import planned_cost
from sweeps.paper.registry import ITEMS
from sweeps.paper.scaling import Scaled, scaled
from sweeps.paper.words import hours, size
from sweeps.recipes import Recipe

HUNDRED_THOUSAND: Final = "100,000 small trials"


@dataclass(frozen=True, kw_only=True, slots=True)
class Projection:
    """One study on one machine."""

    name: str
    study: Scaled
    machine: str


def projections() -> Iterator[Projection]:
    """The studies of the page, in its order."""
    grid = scaled(ITEMS["figure9"], "full")
    yield Projection(name="Figure 9, the full grid", study=grid, machine="8xa100")
    yield Projection(name="Figure 9, the full grid", study=grid, machine="64xh100")
    yield Projection(name="ViT-L/14, ImageNet-1k, 100 epochs", study=_vit_large(), machine="8xa100")
    yield Projection(name="ViT-L/14, ImageNet-1k, 100 epochs", study=_vit_large(), machine="8xh100")
    yield Projection(name="Table 1a, its 18 of these", study=scaled(ITEMS["table1a"], "full"), machine="8xh100")
    yield Projection(name=HUNDRED_THOUSAND, study=_many(), machine="cpu:512")


def _vit_large() -> Scaled:
    found = scaled(ITEMS["table2"], "full")
    recipe = replace(found.recipe, architectures=(table2.VIT,))
    return replace(found, recipe=recipe, evaluate_on=())


def _many() -> Scaled:
    """25 architectures on 4 data sets of small images, 20 λ, 50 seeds."""
    found = scaled(ITEMS["figure9"], "full")
    recipe = Recipe(
        name="many",
        architectures=select_architectures(("cheapest:25",), 32),
        datasets=("cifar10", "cifar100", "svhn", "eurosat"),
        lambdas=tuple(round(0.001 * 1.4**k, 6) for k in range(20)),
        seeds=tuple(range(50)),
        shared={
            "epochs": 20,
            "batch_size": 256,
            "image_size": 32,
            "views_global": 2,
            "views_local": 2,
            "projector_dim": 32,
            "slices": 256,
            "limit_train": 10_000,
        },
    )
    return replace(found, recipe=recipe, protocols=())


def estimated(one: Projection) -> Estimate:
    """What it costs."""
    return planned_cost(one.study, find_machine(one.machine), CostModel())


def table() -> Iterator[str]:
    """The lines of the page's table."""
    yield "| study | trials | machine | device-hours | wall time | memory of a trial | disk | rows in MLflow |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in projections():
        cost = estimated(one)
        yield (
            f"| {one.name} | {cost.trials:,} | {one.machine} | {hours(cost.device_seconds)} | "
            f"{duration(cost.wall_seconds)} | {size(cost.memory_bytes)} | {size(cost.disk_bytes)} | {cost.rows:,.0f} |"
        )


if __name__ == "__main__":
    print(*table(), sep="\n")
