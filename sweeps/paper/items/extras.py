"""Sweeps that nobody has published: comparators, tests of normality, slices, batch × λ, views × λ."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from lejepa_core.methods import LEJEPA, METHODS, Method
from lejepa_core.settings import Regularizer, Sampler
from lejepa_platform.config import Variant
from sweeps.paper.grids import crossed
from sweeps.paper.item import Item, Trim
from sweeps.paper.items.common import DEFAULT
from sweeps.recipes import Recipe

OWN: Final = "this project"
UNPUBLISHED: Final = "nothing was published to set beside it; measured values stand alone"
FACTORS: Final = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""Of the published default, the same for all that are compared."""
BEST: Final = (DEFAULT, 0.02)
"""λ of 8 and of 4 views in Table 7."""
REFERENCE_BATCH: Final = 256
AT_REFERENCE: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
"""λ at the batch of reference; elsewhere that of the same weight."""
SHARED: Final[Mapping[str, Any]] = {
    "epochs": 200,
    "batch_size": 256,
    "image_size": 64,
    "views_global": 4,
    "views_local": 0,
    "projector_hidden": 2048,
    "projector_dim": 64,
    "slices": 1024,
    "precision": "bfloat16",
}


def around_default(method: Method) -> tuple[float, ...]:
    """Values of λ that come to what the published default does, times each of `FACTORS`."""
    dials = [factor * method.turned(method.default) for factor in FACTORS]
    return tuple(round(dial / (1 + dial) if method.weighs else dial, 6) for dial in dials)


def at_weight(lambda_: float, batch: int) -> float:
    """λ whose weight of the Epps-Pulley integral, λN / (1 - λ), is that of a λ at the batch of reference."""
    odds = lambda_ / (1 - lambda_) * REFERENCE_BATCH / batch
    return round(odds / (1 + odds), 6)


def _recipe(name: str, variants: Mapping[str, Variant], lambdas: tuple[float, ...]) -> Recipe:
    return Recipe(
        name=f"paper-{name}",
        architectures=("resnet18", "vit_tiny_p8"),
        datasets=("cifar10", "cifar100"),
        lambdas=lambdas,
        seeds=(0, 1, 2),
        variants=variants,
        shared=SHARED,
    )


def comparators() -> Recipe:
    """LeJEPA, VICReg and SimCLR, each over seven values around its published default."""
    return _recipe(
        "comparators",
        {
            name: Variant(settings={"objective": name}, lambdas=around_default(method))
            for name, method in METHODS.items()
        },
        around_default(METHODS[LEJEPA]),
    )


def regularizers() -> Recipe:
    """SIGReg and each other test of normality, over λ."""
    return _recipe(
        "regularizers", crossed({"regularizer": get_args(Regularizer)}), (0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
    )


def slices_samplers() -> Recipe:
    """How many directions, and how they are drawn."""
    return _recipe("slices-samplers", crossed({"slices": (64, 256, 1024, 4096), "sampler": get_args(Sampler)}), (0.05,))


def batch_lambda() -> Recipe:
    """Batch sizes, each over the same weights of the Epps-Pulley integral."""
    return _recipe(
        "batch-lambda",
        {
            f"batch_size={batch}": Variant(
                settings={"batch_size": batch}, lambdas=tuple(at_weight(value, batch) for value in AT_REFERENCE)
            )
            for batch in (64, 128, 256, 512)
        },
        AT_REFERENCE,
    )


def views_lambda() -> Recipe:
    """Numbers of views, each over the same λ."""
    return _recipe("views-lambda", crossed({"views_global": (2, 4, 8)}), (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4))


def _item(
    name: str,
    title: str,
    about: str,
    make: Any,
    differences: tuple[str, ...],
    trims: Mapping[Any, Trim],
    anchors: Mapping[str, tuple[float, ...]] | None = None,
) -> Item:
    return Item(
        name=name,
        title=title,
        about=about,
        source=OWN,
        make=make,
        differences=(UNPUBLISHED, *differences),
        anchors=anchors or {},
        trims=trims,
    )


_ONE: Final = {"resnet10t_w32": "resnet18"}
_PILOT: Final = Trim(datasets=("digits", "patches"), seeds=3)
ITEMS: Final = (
    _item(
        "comparators",
        "LeJEPA, VICReg, SimCLR",
        "Stable compared with what? The same networks, views and optimiser under three objectives, each over seven "
        "values of its dial from an eighth of its published default to eight times it.",
        comparators,
        (
            "dials: λ = 0.05 of LeJEPA and the weights 25, 25, 1 of VICReg (λ = 0.5 here), by their odds λ / (1 - λ); "
            "the temperature 0.1 that SimCLR has for ImageNet; its 0.5 for CIFAR-10 lies near the grid's upper end",
            "the projector is LeJEPA's for all, 64 wide: VICReg was published with 8192, where its covariance, a sum "
            "over pairs of dims divided by the number of dims, is about 130 times as much at the same correlations",
            "AdamW and batches of 256 for all: VICReg was published with LARS at 2048, SimCLR with LARS at 4096, and "
            "at 512 for CIFAR-10",
            "four views for all, of which VICReg and SimCLR take pairs; they were published with two",
            "one learning rate for all three, that of the architecture's group",
        ),
        {
            "cpu": Trim(lambdas=4, seeds=3, architectures=_ONE),
            "pilot": replace(_PILOT, architectures={**_ONE, "vit_nano_p8": "vit_tiny_p8"}),
        },
        {name: (method.default,) for name, method in METHODS.items()},
    ),
    _item(
        "regularizers",
        "tests of normality against each other",
        "SIGReg is one test of normality among many. What do the others do in its place, each over the same λ?",
        regularizers,
        ("their statistics have other scales, so that the same λ means another weight: read the best, not the place",),
        {
            "cpu": Trim(lambdas=3, seeds=2, architectures=_ONE),
            "pilot": Trim(datasets=("patches",), seeds=2, architectures=_ONE),
        },
        {"": (DEFAULT,)},
    ),
    _item(
        "slices-samplers",
        "slices × samplers",
        "How many random directions does SIGReg need, and does it help to spread them evenly?",
        slices_samplers,
        (),
        {"cpu": Trim(seeds=3, architectures=_ONE), "pilot": _PILOT},
    ),
    _item(
        "batch-lambda",
        "batch × λ at constant effective weight",
        "SIGReg grows with the batch N. Is the best λN / (1 - λ) the same for all batches?",
        batch_lambda,
        ("one learning rate for all batches, and so fewer steps for larger ones",),
        {"cpu": Trim(lambdas=3, seeds=3, architectures=_ONE), "pilot": _PILOT},
    ),
    _item(
        "views-lambda",
        "number of views × λ",
        "Does the best λ grow with the number of views, as Table 7 says, and is λ / (1 - λ) per view the right scale?",
        views_lambda,
        (),
        {
            "cpu": Trim(lambdas=4, seeds=3, architectures=_ONE),
            "pilot": Trim(datasets=("digits", "patches"), seeds=3, architectures=_ONE),
        },
        {"": BEST},
    ),
)
