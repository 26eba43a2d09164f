"""lightly's benchmark: ViT-S/16 on ImageNet-1k."""

from typing import Final

from sweeps.paper.item import Item, Published
from sweeps.paper.items.common import DEFAULT, LEARNING_RATE, ONE_SEED, REFERENCE, SPLITS, VIT_DECAY, WARMUP
from sweeps.recipes import Recipe

SOURCE: Final = "github.com/lightly-ai/lightly, benchmarks (2026-08)"
VIT_S: Final = "vit_small_patch16_224"


def recipe() -> Recipe:
    """ViT-S/16 on ImageNet-1k, 100 epochs."""
    return Recipe(
        name="paper-lightly",
        architectures=(VIT_S,),
        datasets=("imagenet1k",),
        lambdas=(DEFAULT,),
        learning_rates=(LEARNING_RATE,),
        weight_decays=(VIT_DECAY,),
        local_size=96,
        shared={
            **REFERENCE,
            "epochs": 100,
            "batch_size": 512,
            "image_size": 224,
            "views_global": 2,
            "views_local": 6,
            "slices": 1024,
            "projector_hidden": 2048,
            "projector_dim": 64,
        },
    )


ITEM: Final = Item(
    name="lightly",
    title="lightly's ImageNet-1k",
    about="Benchmark of lightly: ViT-S/16, 100 epochs, 64.0 by the linear probe, 78.7 fine-tuned, 47.1 by nearest "
    "neighbours; its DINO of the same size has 73.3.",
    source=SOURCE,
    make=recipe,
    published=(
        Published(value=64.0, source=SOURCE, architecture=VIT_S, dataset="imagenet1k"),
        Published(value=78.7, source=SOURCE, architecture=VIT_S, dataset="imagenet1k", metric="test/finetune_top1"),
        Published(value=47.1, source=SOURCE, architecture=VIT_S, dataset="imagenet1k", metric="test/knn_top1"),
        Published(value=73.3, source=SOURCE, architecture="DINO ViT-S/16", dataset="imagenet1k", aside=True),
    ),
    differences=(
        "made before lightly #2002: its loss took local views alone, and #1920: SIGReg's gradient was divided by "
        "the number of GPUs; it awaits another run",
        "learning rate and weight decay are the README's; its own were not looked up",
        WARMUP,
        ONE_SEED,
        SPLITS,
    ),
    protocols=("finetune",),
)
