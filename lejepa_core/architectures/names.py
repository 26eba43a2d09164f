"""Models of timm that a study can name as timm does, by the module that holds them."""

from collections.abc import Mapping
from typing import Final

Names = Mapping[str, tuple[str, ...]]

REFERENCE: Final[Names] = {
    "byobnet": ("resnet32ts", "resnet33ts", "resnext26ts"),
    "convnext": (
        "convnext_atto", "convnext_atto_ols", "convnext_atto_rms", "convnext_femto", "convnext_femto_ols",
        "convnext_nano", "convnext_nano_ols", "convnext_pico", "convnext_pico_ols", "convnext_zepto_rms",
        "convnext_zepto_rms_ols", "convnextv2_atto", "convnextv2_femto", "convnextv2_nano", "convnextv2_pico",
    ),
    "efficientnet": (
        "efficientnet_b0", "efficientnet_b0_g16_evos", "efficientnet_b0_g8_gn", "efficientnet_b0_gn",
        "efficientnet_b1", "efficientnet_b1_pruned", "efficientnet_b2", "efficientnet_b2_pruned", "efficientnet_b3",
        "efficientnet_b3_g8_gn", "efficientnet_b3_gn", "efficientnet_b3_pruned", "efficientnet_b4",
        "efficientnet_blur_b0", "efficientnet_cc_b0_4e", "efficientnet_el", "efficientnet_el_pruned",
        "efficientnet_em", "efficientnet_es", "efficientnet_es_pruned", "efficientnet_lite0", "efficientnet_lite1",
        "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4", "efficientnet_x_b3", "efficientnetv2_rw_t",
        "mobilenet_edgetpu_100", "mobilenet_edgetpu_v2_l", "mobilenet_edgetpu_v2_m", "mobilenet_edgetpu_v2_s",
        "mobilenet_edgetpu_v2_xs", "mobilenetv1_100", "mobilenetv1_100h", "mobilenetv1_125", "mobilenetv2_035",
        "mobilenetv2_050", "mobilenetv2_075", "mobilenetv2_100", "mobilenetv2_110d", "mobilenetv2_120d",
        "mobilenetv2_140",
    ),
    "eva": ("vit_pe_core_tiny_patch16_384", "vit_pe_spatial_tiny_patch16_512"),
    "inception_next": ("inception_next_atto",),
    "levit": (
        "levit_128", "levit_128s", "levit_192", "levit_256", "levit_conv_128", "levit_conv_128s", "levit_conv_192",
        "levit_conv_256",
    ),
    "maxxvit": (
        "maxvit_nano_rw_256", "maxvit_pico_rw_256", "maxvit_rmlp_nano_rw_256", "maxvit_rmlp_pico_rw_256",
        "maxxvit_rmlp_nano_rw_256",
    ),
    "mobilenetv3": (
        "mobilenetv3_large_075", "mobilenetv3_large_100", "mobilenetv3_large_150d", "mobilenetv3_rw",
        "mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100", "mobilenetv4_conv_aa_medium",
        "mobilenetv4_conv_blur_medium", "mobilenetv4_conv_medium", "mobilenetv4_conv_small",
        "mobilenetv4_conv_small_035", "mobilenetv4_conv_small_050", "mobilenetv4_hybrid_medium",
        "mobilenetv4_hybrid_medium_075",
    ),
    "resnet": (
        "resnet10t", "resnet14t", "resnet18", "resnet18d", "resnet26", "resnet26d", "resnet26t", "resnetblur18",
    ),
    "resnetv2": ("resnetv2_18", "resnetv2_18d"),
    "vision_transformer": (
        "vit_pwee_patch16_reg1_gap_256", "vit_tiny_patch16_224", "vit_tiny_patch16_384",
        "vit_wee_patch16_reg1_gap_256", "vit_xsmall_patch16_clip_224",
    ),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", "vit_tiny_r_s16_p8_384"),
}  # fmt: skip
"""The 108 of the reference's own architecture study (lejepa, scripts/launch_inet10.py).

Its rule: names without a dot, under 20 million parameters without a head, in the table of stable-pretraining, which
holds the models whose names begin with vit_, swin, levit, maxvit, maxxvit, convnext, resnetv2, resnet, resnext,
efficientnet, mobilenet, convmixer or inception. What timm added after that table (December 2025 and later) is not among
them: vit_dwee, vit_dpwee and vit_tiny_patch16_dinov3_qkvb.
"""

PAPER: Final[Names] = {
    "convnext": ("convnextv2_tiny", "convnextv2_base", "convnextv2_large", "convnextv2_huge"),
    "eva": ("vit_small_patch16_dinov3",),
    "resnet": ("resnet34", "resnet50", "resnet101"),
    "swin_transformer": ("swin_tiny_patch4_window7_224",),
    "vision_transformer": (
        "vit_small_patch8_224", "vit_small_patch14_dinov2", "vit_small_patch16_224", "vit_base_patch8_224",
        "vit_base_patch14_dinov2", "vit_base_patch16_224", "vit_large_patch14_224", "vit_large_patch16_224",
        "vit_huge_patch14_224", "vit_huge_patch14_gap_224", "vit_giant_patch14_224", "vit_gigantic_patch14_224",
    ),
}  # fmt: skip
"""What the paper's figures and tables name besides: ViT-S/8 to ViT-g/14 and I-JEPA's ViT-H/14, ConvNeXt-V2 up to H."""

FURTHER: Final[Names] = {
    "byoanet": ("lambda_resnet26t", "botnet26t_256"),
    "byobnet": ("mobileone_s0", "repvgg_a0", "gcresnext26ts"),
    "cait": ("cait_xxs24_224",),
    "coat": ("coat_lite_tiny",),
    "convit": ("convit_tiny",),
    "convmixer": ("convmixer_768_32",),
    "cspnet": ("cs3darknet_s",),
    "cspnext": ("cspnext_tiny",),
    "deit": ("deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"),
    "densenet": ("densenet121",),
    "dla": ("dla46x_c", "dla34"),
    "dpn": ("dpn48b",),
    "edgenext": ("edgenext_xx_small", "edgenext_x_small"),
    "efficientformer_v2": ("efficientformerv2_s0",),
    "efficientnet": ("mnasnet_small", "semnasnet_075", "tinynet_e", "tinynet_c", "mixnet_s"),
    "efficientvim": ("efficientvim_m1",),
    "efficientvit_mit": ("efficientvit_b0",),
    "efficientvit_msra": ("efficientvit_m0",),
    "eva": ("eva02_tiny_patch14_224",),
    "fasternet": ("fasternet_t0",),
    "fastvit": ("fastvit_t8",),
    "gcvit": ("gcvit_xxtiny",),
    "ghostnet": ("ghostnet_050", "ghostnet_100"),
    "hardcorenas": ("hardcorenas_a",),
    "hgnet": ("hgnetv2_b0",),
    "hrnet": ("hrnet_w18_small",),
    "iformer": ("iformer_t",),
    "lcnetv2": ("lcnetv2_small",),
    "lowformer": ("lowformer_b0",),
    "mambaout": ("mambaout_femto",),
    "maxxvit": ("coatnet_pico_rw_224",),
    "metaformer": ("poolformerv2_s12",),
    "mlp_mixer": ("gmlp_ti16_224", "mixer_s32_224", "resmlp_12_224"),
    "mobilenetv3": ("lcnet_050", "lcnet_100"),
    "mobilevit": ("mobilevit_xxs", "mobilevitv2_050"),
    "nest": ("nest_tiny",),
    "nfnet": ("nf_regnet_b0", "nf_resnet26"),
    "pit": ("pit_ti_224",),
    "pvt_v2": ("pvt_v2_b0",),
    "regnet": ("regnetx_002", "regnety_002", "regnetx_004"),
    "repghost": ("repghostnet_050", "repghostnet_100"),
    "repvit": ("repvit_m0_9",),
    "resnest": ("resnest14d",),
    "resnet": ("seresnet18",),
    "rexnet": ("rexnet_100",),
    "senet": ("legacy_seresnet18",),
    "shvit": ("shvit_s1",),
    "sknet": ("skresnet18",),
    "starnet": ("starnet_s050", "starnet_s1"),
    "swiftformer": ("swiftformer_xs",),
    "visformer": ("visformer_tiny",),
    "vovnet": ("ese_vovnet19b_slim_dw",),
    "xcit": ("xcit_nano_12_p16_224",),
}  # fmt: skip
"""Further families, by their smaller members."""

COPIES: Final[Mapping[str, str]] = {
    "deit_tiny_patch16_224": "vit_tiny_patch16_224",
    "efficientnet_el_pruned": "efficientnet_el",
    "efficientnet_es_pruned": "efficientnet_es",
    "levit_conv_128": "levit_128",
    "levit_conv_128s": "levit_128s",
    "levit_conv_192": "levit_192",
    "levit_conv_256": "levit_256",
    "vit_small_p16": "vit_small_patch16_224",
    "vit_tiny_p16": "vit_tiny_patch16_224",
    "vit_tiny_patch16_384": "vit_tiny_patch16_224",
    "vit_tiny_r_s16_p8_384": "vit_tiny_r_s16_p8_224",
}
"""Entry -> the entry that is the same network: equal weights from a seed, equal embeddings but for rounding.

timm tells them apart by the image size or the weights of the hub, and the levit_conv_* compute in another order.
"""

WITHOUT_WEIGHTS: Final = (
    "coatnet_micro", "coatnet_pico_rw_224", "convnext_atto_rms", "cs3darknet_s", "dpn48b", "efficientnet_b0_g16_evos",
    "efficientnet_b0_g8_gn", "efficientnet_b0_gn", "efficientnet_b3_g8_gn", "efficientnet_b3_gn",
    "efficientnet_blur_b0", "efficientnet_cc_b0_4e", "efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3",
    "efficientnet_lite4", "efficientnet_x_b3", "ese_vovnet19b_slim_dw", "gcvit_xxtiny", "ghostnet_050",
    "gmlp_ti16_224", "legacy_seresnet18", "mambaout_micro", "maxvit_micro", "maxvit_pico_rw_256", "mixer_s32_224",
    "mobilenet_edgetpu_100", "mobilenet_edgetpu_v2_l", "mobilenet_edgetpu_v2_s", "mobilenet_edgetpu_v2_xs",
    "mobilenetv2_035", "mobilenetv2_075", "mobilenetv3_large_075", "mobilenetv4_conv_aa_medium",
    "mobilenetv4_conv_small_035", "mobilenetv4_hybrid_medium_075", "nest_tiny", "nf_regnet_b0", "nf_resnet26",
    "resnetblur18", "seresnet18", "starnet_s050", "vit_giant_patch14_224", "vit_gigantic_patch14_224",
    "vit_huge_patch14_gap_224", "vit_large_patch14_224",
)  # fmt: skip
"""Entries that are as timm has them, and that the hub has no weights of."""
