"""Table 4: depth of the projector × predictor × stochastic weight averaging."""

from typing import Final

from lejepa_platform.variants import title
from sweeps.paper.grids import crossed
from sweeps.paper.item import PAPER, Item, Published, Trim
from sweeps.paper.items.common import (
    DEFAULT,
    IMAGENET100,
    LEARNING_RATE,
    LOCAL,
    NOT_VIT,
    ONE_DECAY,
    ONE_SEED,
    PROBE,
    SLICES,
    SPLITS,
    VIT_DECAY,
    WARMUP,
    settings,
)
from sweeps.recipes import Recipe

SOURCE: Final = f"{PAPER}, Table 4"
ARCHITECTURES: Final = ("resnet50", "vit_small_patch8_224", "vit_tiny_p8")
DEPTHS: Final = (1, 2, 3)
PREDICTOR: Final = 2
AVERAGE: Final = 0.999
ACCURACIES: Final = {
    (0, 0.0): ((79.71, 82.44, 83.93), (76.59, 80.77, 81.07), (71.79, 76.87, 80.37)),
    (0, AVERAGE): ((79.79, 82.69, 83.50), (79.96, 83.63, 84.12), (75.86, 82.36, 80.50)),
    (PREDICTOR, 0.0): ((79.41, 82.44, 83.57), (77.58, 79.41, 81.91), (67.74, 77.64, 80.73)),
    (PREDICTOR, AVERAGE): ((78.87, 82.04, 82.82), (77.11, 81.77, 82.58), (69.53, 78.27, 79.77)),
}
"""(depth of the predictor, decay of the average) -> for each of `ARCHITECTURES` -> for each of `DEPTHS`."""


def recipe() -> Recipe:
    """Three networks on ImageNet-100, 400 epochs."""
    return Recipe(
        name="paper-table4",
        architectures=ARCHITECTURES,
        datasets=("imagenet100",),
        lambdas=(DEFAULT,),
        learning_rates=(LEARNING_RATE,),
        weight_decays=(VIT_DECAY,),
        local_size=96,
        variants=crossed(
            {"predictor_depth": (0, PREDICTOR), "weight_average": (0.0, AVERAGE), "projector_depth": DEPTHS}
        ),
        shared=settings(epochs=400, views_global=2, views_local=6),
    )


def _variant(predictor: int, average: float, depth: int) -> str:
    return title({"predictor_depth": predictor, "weight_average": average, "projector_depth": depth})


ITEM: Final = Item(
    name="table4",
    title="projector depth × predictor × SWA",
    about="Table 4: ResNet-50, ViT-S/8 and ViT-Ti/8 on ImageNet-100. Does LeJEPA need what others do? A predictor no, "
    "SWA helps transformers, a projector of three layers all.",
    source=SOURCE,
    make=recipe,
    published=tuple(
        Published(
            value=value,
            source=SOURCE,
            variant=_variant(predictor, average, depth),
            architecture=architecture,
            dataset="imagenet100",
        )
        for (predictor, average), rows in ACCURACIES.items()
        for architecture, row in zip(ARCHITECTURES, rows, strict=True)
        for depth, value in zip(DEPTHS, row, strict=True)
    ),
    differences=(
        "what the predictor is, and what SWA averages and from when on, was not published: an MLP of two layers on the "
        "projections that predict, and the moving average of the weights with decay 0.999, here",
        "λ, batch size, learning rate, weight decay and views were not published for this table: 0.05 and the README's",
        ONE_DECAY,
        NOT_VIT,
        "widths of the projector were not published: hidden layers of 2048 and 64 projections here",
        IMAGENET100,
        LOCAL,
        SLICES,
        WARMUP,
        ONE_SEED,
        PROBE,
        SPLITS,
    ),
    protocols=("paper",),
    trims={
        "cpu": Trim(
            architectures={"resnet10t_w32": "resnet50", "vit_mini_p4": "vit_small_patch8_224"},
            variants=tuple(_variant(p, a, d) for p in (0, PREDICTOR) for a in (0.0, AVERAGE) for d in (1, 3)),
        )
    },
)
