"""Figure 9: one recipe over many architectures."""

from typing import Final

from lejepa_core.architectures.names import REFERENCE as NAMES
from sweeps.paper.item import PAPER, Item, Published, Trim
from sweeps.paper.items.common import INET10, ONE_SEED, PROBE, REFERENCE, SPLITS, WARMUP
from sweeps.recipes import Recipe

SOURCE: Final = f"{PAPER}, Figure 9"
LAUNCH: Final = "lejepa, scripts/launch_inet10.py"
READ: Final = {
    95.0: ("maxvit_rmlp_pico_rw_256", "resnet14t", "resnet26d", "resnet26t", "maxvit_nano_rw_256",
           "maxvit_rmlp_nano_rw_256"),
    94.5: ("maxvit_pico_rw_256", "resnet26", "resnet18d"),
    93.75: ("efficientnet_b0_g8_gn", "resnet32ts", "resnext26ts"),
    93.0: ("efficientnet_b0_gn", "levit_192", "levit_conv_256", "vit_pe_core_tiny_patch16_384"),
    92.5: ("inception_next_atto", "levit_128", "resnetblur18"),
    92.0: ("convnext_atto_ols", "convnext_femto", "convnext_nano", "convnext_pico_ols", "convnextv2_femto",
           "levit_128s", "resnet33ts"),
    91.5: ("convnext_atto_rms", "convnext_nano_ols", "convnext_zepto_rms", "convnext_zepto_rms_ols"),
}  # fmt: skip
"""About so much, read off the figure by OCR -> labels that could be read."""

MICRO: Final = (
    "resnet10t_w32", "mambaout_micro", "repvgg_micro", "efficientnet_micro", "coatnet_micro", "vit_nano_p8",
    "maxvit_micro", "nfnet_micro",
)  # fmt: skip
"""Of the figure's kinds, small enough for a processor."""
NANO: Final = ("resnext14", "convnext_micro_p2", "mobilenetv3_small_050", "pvt_v2_nano")


def recipe() -> Recipe:
    """The 108 networks of the reference's launch file, at 16 settings each."""
    return Recipe(
        name="paper-figure9",
        architectures=tuple(name for members in NAMES.values() for name in members),
        datasets=("imagenette",),
        lambdas=(0.01, 0.02, 0.05, 0.1),
        learning_rates=(3e-3, 1e-4),
        weight_decays=(3e-2, 1e-5),
        shared={
            **REFERENCE,
            "epochs": 400,
            "batch_size": 512,
            "image_size": 224,
            "views_global": 8,
            "views_local": 0,
            "slices": 1000,
            "embedding_dim": 512,
            "projector_hidden": 512,
            "projector_dim": 512,
        },
    )


ITEM: Final = Item(
    name="figure9",
    title="50+ architectures",
    about="Figure 9: about 50 networks of timm under 20 million parameters, of 8 families, on inet10, all between 91.5 "
    "and 95 with one recipe.",
    source=SOURCE,
    make=recipe,
    published=tuple(
        Published(value=value, source=f"{SOURCE}, OCR, ± 0.5", architecture=name, dataset="imagenette")
        for value, names in READ.items()
        for name in names
    ),
    differences=(
        INET10,
        f"settings of {LAUNCH}; the text has learning rates 5e-3 and 5e-4 and weight decays 1e-1, 1e-2 and 1e-5",
        "the launch file's rule gives 108 names, 30 of them MobileNets, which the figure's legend does not have; which "
        "50 it shows was not published",
        "the numbers are read off the figure: the order is better known than the values",
        "λ, learning rate and weight decay are chosen on validation images per network; the paper says cross-validated",
        WARMUP,
        ONE_SEED,
        PROBE,
        SPLITS,
    ),
    protocols=("paper",),
    trims={
        "cpu": Trim(
            architectures=dict.fromkeys(MICRO, ""),
            lambdas=2,
            shared={"image_size": 32, "views_global": 2, "views_local": 2},
        ),
        "pilot": Trim(architectures=dict.fromkeys((*MICRO, *NANO), "")),
    },
)
