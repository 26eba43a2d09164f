"""The reference's minimal example."""

from typing import Final

from sweeps.paper.item import Item, Published
from sweeps.paper.items.common import ONE_SEED, ONLINE, REFERENCE, SPLITS, VIT_DECAY
from sweeps.recipes import Recipe

SOURCE: Final = "github.com/rbalestr-lab/lejepa, MINIMAL.md (2025-11-20)"
VIT_S: Final = "vit_small_patch8_224"


def recipe() -> Recipe:
    """ViT-S/8 at 128 px on Imagenette, four equal views, 800 epochs."""
    return Recipe(
        name="paper-minimal",
        architectures=(VIT_S,),
        datasets=("imagenette",),
        lambdas=(0.02,),
        learning_rates=(2e-3,),
        weight_decays=(VIT_DECAY,),
        shared={
            **REFERENCE,
            "epochs": 800,
            "batch_size": 256,
            "image_size": 128,
            "global_scale": (0.08, 1.0),
            "warmup": 1 / 800,
            "views_global": 4,
            "views_local": 0,
            "slices": 256,
            "embedding_dim": 512,
            "projector_hidden": 2048,
            "projector_dim": 16,
        },
    )


ITEM: Final = Item(
    name="minimal",
    title="the reference's minimal example",
    about="MINIMAL.md: Imagenette with ViT-S/8 at 128 px, 90.7 by an online linear probe in 200 minutes on one GPU.",
    source=SOURCE,
    make=recipe,
    published=(Published(value=90.7, source=SOURCE, architecture=VIT_S, dataset="imagenette"),),
    differences=(
        ONLINE,
        "brightness, contrast, saturation and hue jitter by .8, .8, .8 and .2 there; by .4, .4, .2 and .1 here, as in "
        "the README",
        "its warm-up, of one epoch as here, begins at a hundredth of the peak, here at one step's part of it",
        "drop-path 0.1 there, none here; images of 160 px are enlarged from crops there, here likewise",
        "its cosine ends at 1e-3, half the peak; here at a thousandth of it, as in the README",
        "slices there come from the global generator of random numbers, here from (seed, step)",
        "lejepa #28: users could not reproduce the paper's inet10 with it",
        ONE_SEED,
        SPLITS,
    ),
)
