"""What the paper's tables have in common, and what is known to be wrong or missing about all of them."""

from collections.abc import Mapping
from typing import Any, Final

ALGORITHM: Final[Mapping[str, Any]] = {
    "knots": 9,
    "t_max": 5.0,
    "slices": 1024,
    "precision": "bfloat16",
    "global_scale": (0.3, 1.0),
    "local_scale": (0.05, 0.3),
}
"""Algorithm 1 has 17 points on [-5, 5]: by symmetry 9 on [0, 5]. Slices are those that the text recommends."""
REFERENCE: Final[Mapping[str, Any]] = {
    "knots": 17,
    "t_max": 3.0,
    "precision": "bfloat16",
    "global_scale": (0.3, 1.0),
    "local_scale": (0.05, 0.3),
}
"""The quadrature of the reference's code, which others took over."""
LEARNING_RATE: Final = 5e-4
VIT_DECAY: Final = 5e-2
RESNET_DECAY: Final = 5e-4
"""README of the reference."""
DEFAULT: Final = 0.05
"""λ that the paper recommends."""

PROBE: Final = (
    "the paper probes the last two layers with LayerNorm and AdamW and does not say how the rate was chosen; here the "
    "linear probe of every study is reported, and `paper`, that probe with its rate chosen on validation, beside it"
)
ONLINE: Final = (
    "what was published of an online probe on test images stands beside the linear probe of the frozen encoder: "
    "`online/top1` here is of augmented training views, before the probe learns them"
)
SPLITS: Final = (
    "the paper chooses and reports on the same images; here λ and settings are chosen on validation images that are "
    "taken from train, and reported on test"
)
WARMUP: Final = "the length of the warm-up was not published: a tenth of the steps here"
ONE_SEED: Final = "published without a seed or a spread: one run each"
SLICES: Final = "Algorithm 1 has 256 slices, the text recommends 1024: 1024 here"
PROJECTOR: Final = "the widths of the projector were not published for this table: 2048-2048-64 here"
NOT_VIT: Final = (
    "Algorithm 2 takes all views for global ones where a network is no ViT; here two of eight make the centre and six "
    "are of 96 px, whatever the network"
)
ONE_DECAY: Final = "one weight decay, 5e-2, for all networks, where the README has 5e-4 for ResNets"
LOCAL: Final = "local views of 96 px as in the paper; the reference's README has 98"
IMAGENET100: Final = "which 100 classes ImageNet-100 has was not published: CMC's list here"
INET10: Final = (
    "the paper's inet10 has 13,000 training images, an older edition of Imagenette; today's has 9,469, a tenth of them "
    "is validation here: accuracies are not directly comparable"
)
RIVALS: Final = "rows of other methods are as published; nothing here trains them"


def settings(*, epochs: int, views_global: int, views_local: int = 0) -> dict[str, Any]:
    """What most of the paper's tables share: 512 images at 224 px, and a projector of 2048-2048-64."""
    return {
        **ALGORITHM,
        "epochs": epochs,
        "batch_size": 512,
        "image_size": 224,
        "views_global": views_global,
        "views_local": views_local,
        "projector_hidden": 2048,
        "projector_dim": 64,
    }
