"""Smaller studies keep the shape of what they stand for, and say what they left out."""

from itertools import pairwise
from typing import Any

import pytest

from sweeps.paper.item import LINEAR, SCALES
from sweeps.paper.registry import ITEMS
from sweeps.paper.scaling import scaled, thinned

STUDIES = [name for name, item in ITEMS.items() if item.make is not None]


@pytest.mark.parametrize("most", [2, 3, 5, 9, 12, 20])
def test_fewer_values_keep_both_ends(most: int) -> None:
    values = tuple(range(12))
    kept = thinned(values, most)
    assert len(kept) == min(most, 12)
    assert (kept[0], kept[-1]) == (0, 11)
    assert list(kept) == sorted(set(kept))


@pytest.mark.parametrize("most", [3, 4, 5, 7, 9, 12])
@pytest.mark.parametrize("named", range(12))
def test_fewer_values_keep_those_that_are_named(most: int, named: int) -> None:
    kept = thinned(range(12), most, (named, 99))
    assert len(kept) == most and {0, named, 11} <= set(kept)
    assert thinned(range(12), 1, (named,)) == (named,)


def test_where_there_is_no_room_for_all_that_are_named_the_first_stay() -> None:
    assert thinned(range(12), 4, (5, 6, 7)) == (0, 5, 7, 11)
    assert thinned(range(12), 3, (4, 5)) == (0, 4, 11)
    assert thinned(range(12), 2, (4,)) == (0, 11)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_published_optima_and_defaults_are_in_every_grid(name: str, scale: Any) -> None:
    item, found = ITEMS[name], scaled(ITEMS[name], scale)
    grids = {found.variants.get(variant, variant): lambdas for variant, _, lambdas in found.recipe.resolved}
    optima: dict[str, tuple[float, float]] = {}
    for row in item.published:
        if row.lambda_ is not None and row.metric == LINEAR:
            optima[row.variant] = max(optima.get(row.variant, (0.0, 0.0)), (row.value, row.lambda_))
    for variant, (_, best) in optima.items():
        assert best in grids[variant]
    for variant, values in item.anchors.items():
        for grid in [grids[variant]] if variant else grids.values():
            assert set(values) <= set(grid)


def test_defaults_of_all_comparators_are_compared_at_every_scale() -> None:
    assert ITEMS["comparators"].anchors == {"lejepa": (0.05,), "vicreg": (0.5,), "simclr": (0.1,)}
    pilot = {variant: lambdas for variant, _, lambdas in scaled(ITEMS["table7"], "pilot").recipe.resolved}
    assert {0.01, 0.02, 0.05, 0.1} <= set(pilot["views_global=4"]) and 0.05 in pilot["views_global=8"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_smaller_grid_keeps_the_ends_of_lambda_and_adds_no_value(name: str) -> None:
    full, small = ITEMS[name].recipe(), scaled(ITEMS[name], "cpu")
    before = {variant: lambdas for variant, _, lambdas in full.resolved}
    for variant, _, lambdas in small.recipe.resolved:
        whole = before[small.variants.get(variant, variant)]
        assert set(lambdas) <= set(whole)
        assert (min(lambdas), max(lambdas)) == (min(whole), max(whole))


@pytest.mark.parametrize("scale", ["cpu", "pilot"])
@pytest.mark.parametrize("name", ["table1c", "batch-lambda"])
def test_batches_keep_their_ratios_and_none_falls_below_16(name: str, scale: Any) -> None:
    found = scaled(ITEMS[name], scale)
    assert [s["batch_size"] for _, s, _ in found.recipe.resolved] == [16, 32, 64, 128]
    assert list(found.variants.values()) == list(ITEMS[name].recipe().variants)


def test_what_an_item_varies_keeps_its_ratios() -> None:
    cells = {
        (s["embedding_dim"], s["slices"], s["projector_dim"])
        for _, s, _ in scaled(ITEMS["table1d"], "cpu").recipe.resolved
    }
    assert cells == {(e, s, p) for e in (32, 128) for s in (256, 1024) for p in (8, 128)}


def test_names_of_variants_say_what_they_are_here_and_stand_for_those_of_the_table() -> None:
    found = scaled(ITEMS["table1c"], "pilot")
    assert found.variants["batch_size=16"] == "batch_size=128"
    assert found.architectures == {"vit_mini_p4": "vit_large_patch14_224"}
    assert found.recipe.name == "paper-table1c-pilot"


def test_averages_of_weights_are_as_short_as_the_training() -> None:
    found = scaled(ITEMS["table4"], "cpu")
    assert {s["weight_average"] for _, s, _ in found.recipe.resolved} == {0.0, 0.9}
    assert found.variants["predictor_depth=0 weight_average=0.9 projector_depth=3"] == (
        "predictor_depth=0 weight_average=0.999 projector_depth=3"
    )


def test_every_change_is_said() -> None:
    said = "\n".join(scaled(ITEMS["table7"], "cpu").changes)
    for words in ("architectures: resnet50 → resnet10t_w32", "data sets: imagenet100 → patches", "epochs: 400 → 8",
                  "image-size: 224 → 16", "batch-size: 512 → 64", "precision: bfloat16 → float32", "8 times less",
                  "limit-train: all → 512"):  # fmt: skip
        assert words in said


def test_named_data_sets_replace_the_bundled_ones() -> None:
    found = scaled(ITEMS["table5"], "cpu", ("folder:cats", "folder:dogs"))
    assert found.recipe.datasets == ("folder:cats", "folder:dogs")
    assert found.datasets == {"folder:cats": "flowers102", "folder:dogs": "cifar100"}


@pytest.mark.parametrize("scale", ["cpu", "full"])
def test_an_items_own_data_sets_stand_for_themselves(scale: Any) -> None:
    named = ("folder:cats", "cifar10", "flowers102", "folder:dogs")
    assert scaled(ITEMS["table5"], scale, named).datasets == {
        "folder:cats": "cifar100", "cifar10": "cifar10", "flowers102": "flowers102", "folder:dogs": "food101",
    }  # fmt: skip
    assert scaled(ITEMS["lightly"], scale, ("imagenet1k", "cifar10")).datasets == {
        "imagenet1k": "imagenet1k", "cifar10": "",
    }  # fmt: skip


def test_nothing_is_said_to_change_that_stays_as_it_is() -> None:
    assert not [words for words in scaled(ITEMS["eb_jepa"], "cpu").changes if words.startswith("precision")]
    assert "precision: float32 → bfloat16" in scaled(ITEMS["eb_jepa"], "1gpu").changes
    said = scaled(ITEMS["table7"], "cpu").changes
    assert not [words for words in said if words.startswith("views-global")]
    assert "λ of views_global=2: 0.001, 0.005, 0.01, 0.02, 0.025 → 0.001, 0.01, 0.02, 0.025" in said


def test_a_warm_up_has_as_many_epochs_at_every_scale() -> None:
    for scale in SCALES:
        shared = scaled(ITEMS["minimal"], scale).recipe.shared
        assert shared["warmup"] * shared["epochs"] == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in STUDIES if any(not p.aside for p in ITEMS[name].published)])
def test_something_published_has_a_trial_to_stand_beside_it(name: str) -> None:
    item, found = ITEMS[name], scaled(ITEMS[name], "cpu")
    if name == "figure9":
        # Its rows are of architectures that no processor trains in minutes.
        assert set(found.architectures.values()) == {""}
        return
    grids = {found.variants.get(variant, variant): lambdas for variant, _, lambdas in found.recipe.resolved}
    beside = [
        row
        for row in item.published
        if row.architecture in found.architectures.values()
        and row.variant in grids
        and (row.lambda_ is None or row.lambda_ in grids[row.variant])
    ]
    assert beside


def test_dials_of_comparators_are_as_many_and_as_far_from_their_defaults() -> None:
    grids = {name: lambdas for name, _, lambdas in ITEMS["comparators"].recipe().resolved}
    assert {len(grid) for grid in grids.values()} == {7}
    assert grids["lejepa"][3] == pytest.approx(0.05) and grids["vicreg"][3] == pytest.approx(0.5)
    assert grids["simclr"][3] == pytest.approx(0.1)
    for grid in (grids["lejepa"], grids["vicreg"]):
        odds = [lam / (1 - lam) for lam in grid]
        assert [b / a for a, b in pairwise(odds)] == pytest.approx([2.0] * 6, rel=1e-3)


def test_batch_and_lambda_hold_the_weight_constant() -> None:
    weights = [
        tuple(lam / (1 - lam) * settings["batch_size"] for lam in lambdas)
        for _, settings, lambdas in ITEMS["batch-lambda"].recipe().resolved
    ]
    for other in weights[1:]:
        assert other == pytest.approx(weights[0], rel=1e-3)
