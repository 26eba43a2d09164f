"""What the registry holds, what it answers, and that asking costs nothing."""

import subprocess
import sys
from collections import Counter

import pytest

from lejepa_core.architectures import (
    ARCHITECTURES,
    OPTIMISERS,
    check_size,
    local_size,
    select_architectures,
    size_notes,
)
from lejepa_core.architectures.names import COPIES, FURTHER, PAPER, REFERENCE
from lejepa_core.architectures.select import SIZES
from lejepa_core.architectures.variants import VARIANTS
from lejepa_core.errors import SettingError, UnknownNameError

FIGURE_9 = """
maxvit_rmlp_pico_rw_256 resnet14t resnet26d resnet26t maxvit_nano_rw_256 maxvit_rmlp_nano_rw_256 maxvit_pico_rw_256
resnet26 resnet18d resnext26ts efficientnet_b0_g8_gn resnet32ts efficientnet_b0_gn vit_pe_core_tiny_patch16_384
levit_192 levit_conv_256 inception_next_atto levit_128 resnetblur18 convnext_atto_ols convnext_femto convnextv2_femto
levit_128s convnext_pico_ols convnext_nano resnet33ts convnext_zepto_rms convnext_zepto_rms_ols convnext_atto_rms
convnext_nano_ols
""".split()
TABLES = """
vit_large_patch14_224 resnet50 vit_small_patch8_224 vit_tiny_p8 convnextv2_nano levit_128 resnet18 resnet34
vit_small_patch14_dinov2 vit_small_patch16_dinov3 resnext26ts swin_tiny_patch4_window7_224 vit_huge_patch14_gap_224
convnextv2_huge vit_base_patch8_224 vit_base_p14 vit_giant_patch14_224
""".split()


def test_there_are_at_least_120_of_30_families() -> None:
    assert len(ARCHITECTURES) >= 120
    assert len({spec.family for spec in ARCHITECTURES.values()}) >= 30


def test_no_name_is_declared_twice() -> None:
    names = [name for part in (REFERENCE, PAPER, FURTHER) for members in part.values() for name in members]
    assert len([*names, *VARIANTS]) == len(ARCHITECTURES)


def test_the_108_of_the_reference_are_as_its_rule_selects_them() -> None:
    # Counts by module and by prefix as found in the reference's own table; the table itself is not distributed.
    assert {module: len(names) for module, names in REFERENCE.items()} == {
        "efficientnet": 42, "mobilenetv3": 15, "convnext": 15, "resnet": 8, "levit": 8, "vision_transformer": 5,
        "maxxvit": 5, "byobnet": 3, "eva": 2, "resnetv2": 2, "vision_transformer_hybrid": 2, "inception_next": 1,
    }  # fmt: skip
    names = [name for members in REFERENCE.values() for name in members]
    prefixes = ("mobilenet", "efficientnet", "convnext", "resnet", "vit", "levit", "maxvit", "inception", "maxxvit",
                "resnext")  # fmt: skip
    counted = Counter(prefix for name in names for prefix in prefixes if name.startswith(prefix))
    assert [counted[prefix] for prefix in prefixes] == [30, 27, 15, 12, 9, 8, 4, 1, 1, 1]
    assert all(ARCHITECTURES[name].parameters < 20e6 for name in names)


def test_every_model_that_the_paper_names_is_there() -> None:
    assert {*FIGURE_9, *TABLES} <= ARCHITECTURES.keys()


def test_every_entry_was_measured() -> None:
    for name, spec in ARCHITECTURES.items():
        assert spec.parameters > 0 and spec.features > 0, name
        assert spec.group in OPTIMISERS
        large = spec.parameters >= 20e6
        assert (spec.ms_64 is None) == (large or not spec.takes(64)), name
        assert (spec.ms_32 is None) == (large or not spec.takes(32)), name


def test_what_is_published_of_them() -> None:
    # He et al. 2016, Dosovitskiy et al. 2021, Woo et al. 2023: without the layer of 1000 classes.
    assert ARCHITECTURES["resnet50"].parameters == 25_557_032 - (2048 + 1) * 1000
    assert ARCHITECTURES["resnet50"].features == 2048
    assert ARCHITECTURES["vit_small_patch16_224"].features == 384
    assert round((ARCHITECTURES["vit_huge_patch14_224"].parameters + (1280 + 1) * 1000) / 1e6) == 632
    assert round((ARCHITECTURES["convnextv2_huge"].parameters + (2816 + 1) * 1000) / 1e6) == 660


def test_sizes_of_small_studies_stay_what_they_were() -> None:
    # Local sizes are part of a trial's key.
    pinned = {"resnet10t_w32": 16, "resnext14": 16, "resnet18": 32, "convnext_micro_p2": 32, "vit_nano_p8": 16,
              "vit_tiny_p16": 32, "mobilenetv3_small_050": 16, "efficientnet_b0": 32, "swin_nano": 16,
              "pvt_v2_nano": 32}  # fmt: skip
    assert {name: local_size(name, 32) for name in pinned} == pinned


@pytest.mark.parametrize("name", ["levit_128s", "maxvit_pico_rw_256", "cait_xxs24_224", "coatnet_micro"])
def test_local_views_are_as_large_as_global_ones_where_no_other_size_is_taken(name: str) -> None:
    assert local_size(name, 64) == 64


def test_a_side_of_local_views_is_had_where_it_is_taken() -> None:
    wanted = {"vit_large_patch14_224": 98, "resnet50": 98, "vit_small_patch16_224": 224, "levit_128": 224}
    assert {name: local_size(name, 224, 98) for name in wanted} == wanted
    assert local_size("resnet50", 224) == 112


def test_a_size_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingError, match=r"cannot take images of 40 px.*such as 32 or 48"):
        check_size("vit_tiny_p16", 40)
    with pytest.raises(SettingError, match=r"at least 32 px.*such as 32"):
        check_size("resnet18", 16)


def test_cost_grows_with_the_size_and_is_what_was_timed() -> None:
    spec = ARCHITECTURES["resnet18"]
    assert spec.milliseconds(32) == spec.ms_32
    assert spec.milliseconds(64) == pytest.approx(spec.ms_64)
    assert spec.milliseconds(224) > spec.milliseconds(64)
    assert ARCHITECTURES["vit_huge_patch14_224"].milliseconds(32) > 100


def test_patterns_stand_for_names_that_take_the_size() -> None:
    levits = select_architectures(["levit*", "levit_128"], 64)
    assert levits == ("levit_128", "levit_128s", "levit_192", "levit_256")
    assert "vit_tiny_p16" not in select_architectures(["vit_*"], 72)
    plain = ("resnet18", "timm:resnet34", "resnet18")
    assert select_architectures(plain, 64) == plain
    with pytest.raises(UnknownNameError, match="unknown architecture"):
        select_architectures(["resnot*"], 64)


def test_the_cheapest_are_sorted_by_cost() -> None:
    names = select_architectures(["cheapest:64"], 32)
    costs = [ARCHITECTURES[name].milliseconds(32) for name in names]
    assert len(set(names)) == 64
    assert costs == sorted(costs)
    assert "vit_tiny_patch16_224" in names and not {*names} & COPIES.keys()
    left_out = {n for n, s in ARCHITECTURES.items() if s.ms_32 is not None} - {*names, *COPIES}
    assert min(ARCHITECTURES[name].milliseconds(32) for name in left_out) >= costs[-1]


def test_copies_are_named_in_full_or_not_at_all() -> None:
    assert select_architectures(["levit*", "levit_conv_128"], 64)[-1] == "levit_conv_128"
    assert all(ARCHITECTURES[first].same_as == "" for first in COPIES.values())
    with pytest.raises(SettingError, match=r"levit_conv\* came, each of its 4 matches is a copy of another"):
        select_architectures(["levit_conv*"], 64)


def test_patterns_leave_out_what_has_no_weights_when_weights_are_wanted() -> None:
    names = select_architectures(["cheapest:64", "efficientnet*"], 64, pretrained=True)
    assert all(ARCHITECTURES[name].pretrained for name in names)
    assert "efficientnet_b0_gn" in select_architectures(["efficientnet*"], 64) and "efficientnet_b0_gn" not in names
    with pytest.raises(SettingError, match="without weights on the hub"):
        select_architectures(["vit_nano*"], 64, pretrained=True)


def test_what_a_size_leaves_out_is_told() -> None:
    assert size_notes(["resnet18", "cheapest:3", "levit*"], 64) == []
    (note,) = size_notes(["vit_*"], 72)
    assert note.startswith("vit_* leaves out what does not take 72 px: ") and "vit_tiny_patch16_224" in note


def test_a_size_that_leaves_too_few_is_named_with_the_smallest_that_works() -> None:
    with pytest.raises(SettingError, match=r"levit\* came at 16 px.*; 32 px takes 4: --image-size 32"):
        select_architectures(["levit*"], 16)
    with pytest.raises(SettingError, match=r"cheapest:64 came at 16 px.* from 1 to \d+ .*; 32 px takes .*size 32"):
        select_architectures(["cheapest:64"], 16)
    assert all(any(spec.takes(size) for size in SIZES) for spec in ARCHITECTURES.values())


@pytest.mark.parametrize("name", ["cheapest:", "cheapest:0", "cheapest:-1", "cheapest:9999", "cheapest:x"])
def test_a_count_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="cheapest:N with N from 1 to"):
        select_architectures([name], 32)


def test_the_registry_needs_neither_torch_nor_timm() -> None:
    code = "import sys, lejepa_core.architectures; print(sorted({'torch', 'timm'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
