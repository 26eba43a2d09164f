"""Table 1: ablations of ViT-L/14 on ImageNet-1k, 100 epochs."""

from collections.abc import Mapping
from typing import Any, Final

from lejepa_platform.config import Variant
from lejepa_platform.variants import title
from sweeps.paper.grids import listed
from sweeps.paper.item import PAPER, Item, Published, Trim
from sweeps.paper.items.common import (
    DEFAULT,
    LEARNING_RATE,
    ONE_SEED,
    PROBE,
    SLICES,
    SPLITS,
    VIT_DECAY,
    WARMUP,
    settings,
)
from sweeps.recipes import Recipe

VIT_L: Final = "vit_large_patch14_224"
IMAGENET: Final = "imagenet1k"
NOT_FREE: Final = (
    "the launch files of these ablations set teacher_student=true and patch_mask_ratio=0.3, which are heuristics that "
    "LeJEPA does without, and drop-path 0.1; none of them is here, so that numbers need not agree"
)
CROPS: Final = "global views of 238 and local ones of 98 px as in the launch files; the paper's text has 224 and 96"
WIDTHS: Final = (
    "widths that a table does not vary are the launch files' defaults, which were not published: 512 of the embedding, "
    "2048-2048-64 of the projector here"
)
KNOTS: Final = "points are counted on [-t, t]; by symmetry (points + 1) / 2 on [0, t] are the same quadrature"
DOMAINS: Final = (1.0, 3.0, 5.0)
POINTS: Final = (5, 17, 41)

INTEGRATION: Final = {
    (1.0, 512): (71.82, 72.13, 72.04),
    (1.0, 2048): (72.88, 72.30, 72.69),
    (3.0, 512): (73.95, 74.16, 74.04),
    (3.0, 2048): (75.02, 74.68, 74.77),
    (5.0, 512): (73.71, 74.21, 74.15),
    (5.0, 2048): (74.50, 74.80, 74.77),
}
"""(domain, slices) -> for each of `POINTS`."""
VIEWS: Final = {
    1: {4: 53.06, 6: 58.65, 8: 64.46, 10: 68.97},
    2: {4: 72.26, 6: 73.07, 8: 74.24, 10: 74.06},
    4: {6: 73.68, 8: 73.94, 10: 75.08},
}
"""Global views -> all views -> accuracy."""
BATCHES: Final = {128: 72.20, 256: 74.15, 512: 74.72, 1024: 74.07}
DIMS: Final = (64, 128, 256, 512, 1024)
WIDTH: Final = {
    (512, 1024): (75.29, 74.77, 74.56, 73.94, 73.65),
    (2048, 1024): (75.32, 75.09, 74.66, 74.11, 73.94),
    (512, 4096): (75.50, 75.26, 75.08, 74.81, 74.71),
    (2048, 4096): (75.65, 75.47, 75.02, 74.65, 74.79),
}
"""(embedding, slices) -> for each of `DIMS`."""
TOKENS: Final = (0, 1, 2, 4, 8)
REGISTERS: Final = {1024: (75.14, 75.18, 75.08, 75.34, 75.23), 4096: (75.61, 75.58, 75.67, 75.63, 75.84)}
"""Slices -> for each of `TOKENS`."""


def ablation(name: str, variants: Mapping[str, Variant]) -> Recipe:
    """What all parts of the table share."""
    return Recipe(
        name=f"paper-{name}",
        architectures=(VIT_L,),
        datasets=(IMAGENET,),
        lambdas=(DEFAULT,),
        learning_rates=(LEARNING_RATE,),
        weight_decays=(VIT_DECAY,),
        local_size=98,
        variants=variants,
        shared={
            **settings(epochs=100, views_global=2, views_local=6),
            "image_size": 238,
            "embedding_dim": 512,
        },
    )


def _item(part: str, title: str, values: Mapping[str, tuple[Mapping[str, Any], float]], about: str,
          differences: tuple[str, ...], trims: Mapping[Any, Trim]) -> Item:  # fmt: skip
    """A part of the table: name of a variant -> its settings and its accuracy."""
    name, source = f"table1{part}", f"{PAPER}, Table 1{part}"
    variants = listed(settings for settings, _ in values.values())
    return Item(
        name=name,
        title=title,
        about=f"Table 1({part}): ViT-L/14 on ImageNet-1k, 100 epochs. {about}",
        source=source,
        make=lambda: ablation(name, variants),
        published=tuple(
            Published(value=value, source=source, variant=variant, architecture=VIT_L, dataset=IMAGENET)
            for variant, (_, value) in values.items()
        ),
        differences=(NOT_FREE, CROPS, *differences, WARMUP, ONE_SEED, PROBE, SPLITS),
        protocols=("paper",),
        trims=trims,
    )


def _named(rows: list[tuple[dict[str, Any], float]]) -> dict[str, tuple[Mapping[str, Any], float]]:
    return {title(settings): (settings, value) for settings, value in rows}


TABLE1A: Final = _item(
    "a",
    "integration domain × slices × points",
    _named(
        [
            ({"t_max": domain, "slices": slices, "knots": (points + 1) // 2}, value)
            for (domain, slices), row in INTEGRATION.items()
            for points, value in zip(POINTS, row, strict=True)
        ]
    ),
    "Does the quadrature of SIGReg matter? Within 1.3 points from [-3, 3] on; [-1, 1] loses 2.",
    (KNOTS, WIDTHS, "the launch files have 512, 1024 and 4096 slices, the table prints 512 and 2048: these here"),
    {},
)
TABLE1B: Final = _item(
    "b",
    "global × all views",
    _named(
        [
            ({"views_global": large, "views_local": views - large}, value)
            for large, row in VIEWS.items()
            for views, value in row.items()
        ]
    ),
    "How many views? One global view loses 5 to 20 points, from two on little changes.",
    (SLICES, WIDTHS),
    {
        "cpu": Trim(variants=tuple(f"views_global={g} views_local={v - g}" for g, v in
                                   ((1, 4), (1, 8), (2, 4), (2, 8), (4, 8)))),
    },
)  # fmt: skip
TABLE1C: Final = _item(
    "c",
    "batch size",
    _named([({"batch_size": batch}, value) for batch, value in BATCHES.items()]),
    "Is a small batch enough? 128 loses 2 points.",
    (
        "λ is 0.05 for all: the weight of the Epps-Pulley integral, λN / (1 - λ), grows with the batch by itself; see "
        "batch-lambda",
        "whether the learning rate was scaled with the batch was not published: it is not here",
        SLICES,
        WIDTHS,
    ),
    {},
)
TABLE1D: Final = _item(
    "d",
    "embedding × projector × slices",
    _named(
        [
            ({"embedding_dim": embedding, "slices": slices, "projector_dim": dim}, value)
            for (embedding, slices), row in WIDTH.items()
            for dim, value in zip(DIMS, row, strict=True)
        ]
    ),
    "How wide may embeddings and projections be? A smaller projector output is better almost throughout.",
    ("embedding is taken to be a linear layer on the backbone, as in the reference's example: probes see it", WIDTHS),
    {},
)
TABLE1E: Final = _item(
    "e",
    "register tokens × slices",
    _named(
        [
            ({"register_tokens": tokens, "slices": slices}, value)
            for slices, row in REGISTERS.items()
            for tokens, value in zip(TOKENS, row, strict=True)
        ]
    ),
    "Do register tokens help? Within 0.3 points of each other.",
    (WIDTHS,),
    {},
)
