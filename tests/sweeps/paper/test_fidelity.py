"""Full-scale studies are those that were published: settings typed once more, and as many trials."""

from typing import Any

import pytest

from lejepa_core.architectures import find_architecture
from lejepa_core.architectures.names import REFERENCE
from sweeps.paper.item import EVERY, PAPER, SCALES
from sweeps.paper.items.common import LOCAL, NOT_VIT, ONE_DECAY, ONLINE, PROBE
from sweeps.paper.planning import study_of
from sweeps.paper.registry import ITEMS
from sweeps.paper.scaling import scaled
from sweeps.paper.words import count

LAUNCHED = {"epochs": 100, "batch_size": 512, "image_size": 238, "views_global": 2, "views_local": 6, "knots": 9,
            "t_max": 5.0, "learning_rate": 5e-4, "weight_decay": 5e-2, "lambda_": 0.05, "local_size": 98}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "table7": {"epochs": 400, "batch_size": 512, "image_size": 224, "views_local": 0, "knots": 9, "t_max": 5.0},
    "table1d": LAUNCHED,
    "table1e": LAUNCHED,
    "table1a": {k: v for k, v in LAUNCHED.items() if k not in ("knots", "t_max")},
    "table1b": {k: v for k, v in LAUNCHED.items() if not k.startswith("views")},
    "table1c": {k: v for k, v in LAUNCHED.items() if k != "batch_size"},
    "table2": {"epochs": 100, "image_size": 224, "local_size": 96, "views_global": 2, "views_local": 6},
    "table3": {"epochs": 400, "image_size": 224},
    "table4": {"epochs": 400, "image_size": 224},
    "figure9": {"epochs": 400, "batch_size": 512, "image_size": 224, "views_global": 8, "views_local": 0,
                "slices": 1000, "embedding_dim": 512, "projector_dim": 512},
    "minimal": {"epochs": 800, "batch_size": 256, "image_size": 128, "views_global": 4, "views_local": 0,
                "slices": 256, "projector_dim": 16, "lambda_": 0.02, "learning_rate": 2e-3, "knots": 17, "t_max": 3.0,
                "embedding_dim": 512, "projector_hidden": 2048, "global_scale": (0.08, 1.0), "warmup": 1 / 800},
    "stable-pretraining": {"epochs": 200, "batch_size": 128, "views_global": 2, "views_local": 6, "slices": 1024,
                           "learning_rate": 4e-4, "projector_dim": 512, "projector_hidden": 2048, "embedding_dim": 512},
    "eb_jepa": {"epochs": 300, "batch_size": 256, "views_global": 2, "views_local": 0, "slices": 256,
                "projector_dim": 128, "image_size": 32},
    "lightly": {"epochs": 100, "batch_size": 512, "lambda_": 0.05, "views_global": 2, "views_local": 6, "slices": 1024,
                "projector_hidden": 2048, "projector_dim": 64, "knots": 17, "t_max": 3.0},
}  # fmt: skip
TRIALS = {
    "table7": 5 + 9 + 12, "table1a": 3 * 2 * 3, "table1b": 4 + 4 + 3, "table1c": 4, "table1d": 2 * 2 * 5,
    "table1e": 2 * 5, "table2": 2, "table3": 4 * 3, "table4": 3 * 4 * 3, "table5": 5 * 6,
    "figure9": 108 * 4 * 2 * 2, "figure11": 4 * 5 * 2 * 3, "figure11-imagenet1k": 5 * 2 * 3,
    "figure11-flowers102": 5 * 2 * 3, "abstract": 1, "minimal": 1, "stable-pretraining": 1, "eb_jepa": 4, "lightly": 1,
    "comparators": 4 * 3 * 3 * 7, "regularizers": 4 * 3 * 13 * 7, "slices-samplers": 4 * 3 * 12,
    "batch-lambda": 4 * 3 * 4 * 5, "views-lambda": 4 * 3 * 3 * 7,
}  # fmt: skip
CELLS = {
    "table7": ({"resnet50"}, {"imagenet100"}),
    "table4": ({"resnet50", "vit_small_patch8_224", "vit_tiny_p8"}, {"imagenet100"}),
    "table5": (
        {"convnextv2_nano", "resnet18", "resnet34", "resnext26ts", "swin_tiny_patch4_window7_224"},
        {"flowers102", "cifar100", "food101", "imagenette", "cifar10", "galaxy10"},
    ),
    "figure9": ({name for names in REFERENCE.values() for name in names}, {"imagenette"}),
    "abstract": ({"vit_huge_patch14_224"}, {"imagenet1k"}),
    "lightly": ({"vit_small_patch16_224"}, {"imagenet1k"}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_are_those_that_were_published(name: str) -> None:
    for trial in study_of(scaled(ITEMS[name], "full")).grid():
        assert {field: getattr(trial, field) for field in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize("name", TRIALS)
def test_trials_are_rows_times_columns(name: str) -> None:
    trials = study_of(scaled(ITEMS[name], "full")).grid()
    assert len({trial.key for trial in trials}) == len(trials) == TRIALS[name] == count(ITEMS[name])


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_those_that_were_published(name: str) -> None:
    trials = study_of(scaled(ITEMS[name], "full")).grid()
    assert ({t.architecture for t in trials}, {t.dataset for t in trials}) == CELLS[name]


def test_quadrature_of_table_1a_has_as_many_points_on_both_sides() -> None:
    trials = study_of(scaled(ITEMS["table1a"], "full")).grid()
    assert {(t.t_max, t.slices, 2 * t.knots - 1) for t in trials} == {
        (domain, slices, points) for domain in (1, 3, 5) for slices in (512, 2048) for points in (5, 17, 41)
    }


def test_optimisers_of_figure_9_are_those_of_the_launch_file() -> None:
    trials = study_of(scaled(ITEMS["figure9"], "full")).grid()
    assert {(t.lambda_, t.learning_rate, t.weight_decay) for t in trials} == {
        (lam, rate, decay) for lam in (0.01, 0.02, 0.05, 0.1) for rate in (3e-3, 1e-4) for decay in (3e-2, 1e-5)
    }


@pytest.mark.parametrize("name", ITEMS)
def test_every_published_number_is_of_a_trial_or_stands_aside(name: str) -> None:
    item = ITEMS[name]
    if item.make is None:
        assert item.published
        return
    recipe = item.make()
    grids = {variant: lambdas for variant, _, lambdas in recipe.resolved}
    for row in item.published:
        assert row.source and row.value > 0
        if not row.aside:
            assert row.variant in grids
            assert row.architecture in recipe.architectures
            assert row.dataset in (*recipe.datasets, EVERY)
            assert row.lambda_ is None or row.lambda_ in grids[row.variant]


def test_no_published_number_stands_beside_what_training_views_gave() -> None:
    assert not [row for item in ITEMS.values() for row in item.published if row.metric.startswith("online/")]
    assert ONLINE in ITEMS["table2"].differences and ONLINE in ITEMS["minimal"].differences
    assert ".8, .8, .8 and .2" in "\n".join(ITEMS["minimal"].differences)


@pytest.mark.parametrize("name", [name for name, item in ITEMS.items() if item.make and PAPER in item.source])
def test_what_the_papers_tables_have_in_common_is_said_where_it_holds(name: str) -> None:
    item, recipe = ITEMS[name], ITEMS[name].recipe()
    groups = {find_architecture(architecture).group for architecture in recipe.architectures}
    assert PROBE in item.differences and "paper" in item.protocols
    assert (NOT_VIT in item.differences) is (groups != {"vit"} and recipe.shared["views_local"] > 0)
    assert (ONE_DECAY in item.differences) is ("resnet" in groups and recipe.weight_decays == (5e-2,))
    assert LOCAL not in item.differences or recipe.local_size == 96


def test_words_on_table_1_hold_for_its_numbers() -> None:
    values = [row.value for row in ITEMS["table1a"].published if not row.variant.startswith("t_max=1")]
    assert "Within 1.3 points" in ITEMS["table1a"].about and round(max(values) - min(values), 1) == 1.3
    assert "almost throughout" in ITEMS["table1d"].about
    for part in "abcde":
        assert "widths that a table does not vary" in "\n".join(ITEMS[f"table1{part}"].differences)


def test_enough_items_and_each_says_what_differs() -> None:
    assert len(ITEMS) >= 13
    assert all(item.differences and item.about and item.source for item in ITEMS.values())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", [name for name, item in ITEMS.items() if item.make is not None])
def test_every_item_is_a_study_at_every_scale(name: str, scale: Any) -> None:
    found = scaled(ITEMS[name], scale)
    trials = study_of(found).grid()
    assert len({trial.key for trial in trials}) == len(trials) > 0
    assert bool(found.changes) or scale in ("1gpu", "cluster", "full")
    assert not found.changes or scale != "full"
