"""Variants of a study: which trials they are, what they may not be, and how a stored study tells them apart."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from toys import STUDY

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_platform.config import StudyConfig, TrialConfig, Variant, differences
from lejepa_platform.stored_variants import namer, planned_trials, report_files, slugs, variant_config
from lejepa_platform.variants import Grids, joined

VIEWS = {
    "few": Variant(settings={"views_global": 2, "slices": 256}),
    "many": Variant(settings={"views_global": 8, "global_scale": [0.2, 1]}, lambdas=(0.2, 0.05, 0.1)),
}
VARIED = replace(STUDY, variants=VIEWS)


def test_a_study_of_variants_has_the_trials_of_a_study_of_each() -> None:
    few = replace(STUDY, shared={**STUDY.shared, "views_global": 2, "slices": 256})
    many = replace(
        STUDY, lambdas=(0.05, 0.1, 0.2), shared={**STUDY.shared, "views_global": 8, "global_scale": (0.2, 1.0)}
    )
    keys = [trial.key for trial in VARIED.grid()]
    assert len(keys) == len(set(keys))
    assert set(keys) == {trial.key for study in (few, many) for trial in study.grid()}


def test_seeds_turn_slowest_so_that_every_variant_has_a_first_seed_early() -> None:
    trials = VARIED.grid()
    assert [trial.seed for trial in trials] == sorted(trial.seed for trial in trials)
    first = [trial for trial in trials if trial.seed == 0]
    assert {trial.views_global for trial in first} == {2, 8}


def test_it_survives_json_and_a_study_without_variants_is_written_as_before() -> None:
    assert StudyConfig.from_flat(json.loads(json.dumps(VARIED.flat()))) == VARIED
    assert "variants" not in STUDY.flat()
    assert differences(STUDY.flat(), VARIED.flat()) == ["variants"]


def test_each_trial_tells_its_variant_also_without_settings_at_their_default() -> None:
    study = replace(VARIED, variants={**VIEWS, "all images": Variant(settings={"views_global": 4}, lambdas=(0.3,)),
                                      "some": Variant(settings={"views_global": 4, "limit_train": 9}),
                                      "again": Variant(settings={"views_global": 4}, lambdas=(0.4,))})  # fmt: skip
    flat = json.loads(json.dumps(study.flat()))
    name_of = namer(flat)
    told: Counter[str] = Counter()
    for trial in study.grid():
        own = {name: value for name, value in trial.flat().items() if value not in (None, "")}
        assert name_of(own) == name_of(json.loads(json.dumps(trial.flat())))
        told[name_of(own)] += 1
    # 2 data sets x 3 seeds x 3 optimisers, by λ
    assert told == {"few": 36, "many": 54, "all images": 18, "some": 36, "again": 18} == planned_trials(flat)
    foreign = replace(STUDY.grid()[0], views_global=3)
    assert name_of(foreign.flat()) == ""
    assert namer(STUDY.flat())(STUDY.grid()[0].flat()) == ""


def test_the_settings_of_one_variant_are_those_of_a_study_of_it_alone() -> None:
    alone = replace(
        STUDY, lambdas=(0.05, 0.1, 0.2), shared={**STUDY.shared, "views_global": 8, "global_scale": (0.2, 1.0)}
    )
    assert variant_config(VARIED.flat(), "many") == alone.flat()


@pytest.mark.parametrize(
    ("settings", "error", "line"),
    [
        ({"lambda_": 0.1}, SettingError, "differ in lambda, which is an axis of its own"),
        ({"seed": 1}, SettingError, "which is an axis of its own"),
        ({"image_size": 64}, SettingError, "differ in image_size, which all trials of a study share"),
        ({"pretrained": True}, SettingError, "which all trials of a study share"),
        ({"slice": 1}, UnknownNameError, "unknown setting 'slice'; closest: slices"),
        ({"slices": 1.5}, SettingError, "slices = 1.5 came, a whole number was wanted"),
        ({"slices": True}, SettingError, "a whole number was wanted"),
        ({"t_max": "five"}, SettingError, "t_max = five came, a number was wanted"),
        ({"sampler": "sobel"}, SettingError, "gaussian or orthogonal or sobol was wanted"),
        ({"global_scale": 0.2}, SettingError, "2 numbers in brackets was wanted"),
        ({"limit_train": "all"}, SettingError, "a whole number or null was wanted"),
    ],
)
def test_what_no_variant_can_set_is_refused(settings: dict[str, object], error: type[SettingError], line: str) -> None:
    with pytest.raises(error, match=line) as caught:
        Variant(settings=settings)
    assert "\n" not in str(caught.value)


def test_equal_values_have_equal_keys_however_they_are_written() -> None:
    studies = [replace(STUDY, variants={"t": Variant(settings={"t_max": value})}) for value in (5, 5.0)]
    assert [trial.key for trial in studies[0].grid()] == [trial.key for trial in studies[1].grid()]


@pytest.mark.parametrize(
    ("variants", "line"),
    [
        ({"a": {}, "b": {"slices": 1024}}, "variants 'a' and 'b' hold the same trials"),
        ({"a": {"epochs": 3}, "b": {"batch_size": 64}}, "hold the same trials"),
        ({"": {"epochs": 4}}, "a name of printable letters was wanted"),
        ({"a\n": {"epochs": 4}}, "a name of printable letters was wanted"),
    ],
)
def test_doubled_and_nameless_variants_are_refused(variants: dict[str, dict[str, object]], line: str) -> None:
    with pytest.raises(SettingError, match=line):
        replace(STUDY, variants={name: Variant(settings=settings) for name, settings in variants.items()})


def test_the_same_settings_at_other_lambdas_are_another_variant() -> None:
    apart = {"low": Variant(settings={}, lambdas=(0.01,)), "high": Variant(settings={}, lambdas=(0.3,))}
    assert len(replace(STUDY, variants=apart).grid()) == len(STUDY.grid())
    with pytest.raises(SettingError, match="hold the same trials"):
        replace(STUDY, variants={**apart, "low too": Variant(settings={}, lambdas=(0.01,))})
    with pytest.raises(SettingError, match="'a' holds a value of λ twice"):
        replace(STUDY, variants={"a": Variant(settings={}, lambdas=(0.2, 0.2))})
    with pytest.raises(SettingError, match="strictly between 0 and 1"):
        replace(STUDY, variants={"a": Variant(settings={}, lambdas=(1.0,))})


def test_a_search_has_no_variants() -> None:
    with pytest.raises(SettingError, match="use --search grid, or make a study of each variant"):
        replace(VARIED, search="tpe", trials=3)


def test_variants_are_an_axis_that_grows() -> None:
    more = replace(VARIED, variants={"most": Variant(settings={"views_global": 16}), "few": VIEWS["few"],
                                     "many": replace(VIEWS["many"], lambdas=(0.4,))})  # fmt: skip
    bigger = VARIED.extended(more)
    assert list(bigger.variants) == ["few", "many", "most"]
    assert bigger.variants["many"].lambdas == (0.05, 0.1, 0.2, 0.4)
    assert {trial.key for trial in VARIED.grid()} < {trial.key for trial in bigger.grid()}
    other = replace(VARIED, variants={"few": Variant(settings={"views_global": 3})})
    with pytest.raises(SettingError, match="has other settings of variant few"):
        VARIED.extended(other)


@pytest.mark.parametrize("turned", [False, True])
def test_a_study_without_variants_becomes_one_beside_others(turned: bool) -> None:
    studies = [STUDY, replace(STUDY, variants={"views_global=8": Variant(settings={"views_global": 8})})]
    first, second = reversed(studies) if turned else studies
    grown = first.extended(second)
    assert set(grown.variants) == {"views_global=2", "views_global=8"}
    assert {trial.key for trial in grown.grid()} == {trial.key for study in studies for trial in study.grid()}
    assert STUDY.extended(STUDY).variants == {}


def test_a_study_that_is_one_of_the_others_variants_gets_its_name() -> None:
    known = {"two": Variant(settings={"views_global": 2}), "eight": Variant(settings={"views_global": 8})}
    assert joined(Grids({}, (0.1,)), Grids(known, (0.2,)), STUDY.shared) == known


OWN_GRIDS = {
    "one of two": {"few": Variant(settings={"views_global": 2}, lambdas=(0.1, 0.2)),
                   "many": Variant(settings={"views_global": 8}, lambdas=(0.1,))},
    "the others": {"many": Variant(settings={"views_global": 8}, lambdas=(0.1, 0.3))},
    "split by λ": {"low": Variant(settings={"views_global": 2}, lambdas=(0.1,)),
                   "high": Variant(settings={"views_global": 2}, lambdas=(0.3, 0.4))},
    "λ alone": {"low": Variant(settings={}, lambdas=(0.1,)), "high": Variant(settings={}, lambdas=(0.3, 0.4))},
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("variants", OWN_GRIDS.values(), ids=OWN_GRIDS)
def test_trials_of_a_study_without_variants_stay_beside_grids_of_their_own(
    variants: dict[str, Variant], turned: bool
) -> None:
    studies = [replace(STUDY, lambdas=(0.25, 0.3)), replace(STUDY, lambdas=(0.3,), variants=variants)]
    first, second = reversed(studies) if turned else studies
    kept = {trial.key for trial in first.extended(second).grid()}
    assert kept == {trial.key for study in studies for trial in study.grid()}


def test_files_of_variants_are_told_apart_on_any_disk() -> None:
    names = ["views_global=2 slices=256", "Views global=2, slices=256", "../x", ""]
    found = slugs(names)
    assert found["views_global=2 slices=256"] == "-views-global-2-slices-256"
    assert len({slug.lower() for slug in found.values()}) == len(names)
    assert not any("/" in slug or ".." in slug for slug in found.values())
    assert report_files({}) == ["report.html", "summary.json"]
    assert report_files({"variants": {"a": {}}}) == ["report.html", "summary.json", "report-a.html", "summary-a.json"]


def test_a_trial_does_not_know_of_variants() -> None:
    assert not {"variant", "variants"} & TrialConfig.__dataclass_fields__.keys()
