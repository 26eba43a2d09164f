"""What a conversion promises: round trips, limits, refusals and notes. Gradients are in test_conventions.py."""

import math

import pytest

from lejepa_core.conventions import CONVENTIONS, Run, effective_weight
from lejepa_core.conversion import convert
from lejepa_core.errors import SettingError, UnknownNameError


@pytest.mark.parametrize("target", CONVENTIONS)
@pytest.mark.parametrize("source", CONVENTIONS)
def test_there_and_back_is_where_one_was(source, target) -> None:
    options = {"batch_size": 96, "world_size": 4, "projection_dim": 64}
    there = convert(0.3, source=source, target=target, **options)
    back = convert(there.value, source=target, target=source, **options)
    assert back.value == pytest.approx(0.3, rel=1e-12)
    assert there.factor * back.factor == pytest.approx(1, rel=1e-12)


def test_through_a_third_is_the_same_as_straight() -> None:
    halfway = convert(10, source="eb_jepa", target="stable-pretraining", batch_size=256)
    assert convert(halfway.value, source="stable-pretraining", batch_size=256).value == pytest.approx(
        convert(10, source="eb_jepa", batch_size=256).value
    )


@pytest.mark.parametrize(("value", "published"), [(0.1, 0.0004), (1, 0.0039), (10, 0.038), (100, 0.28)])
def test_eb_jepa_is_a_quarter_of_what_its_weights_alone_say(value, published) -> None:
    """Additive without N is λ·N / (1 - λ); its mean (z1 - z2)² is four times the distance from the mean of two."""
    weight = effective_weight("eb_jepa", value, Run(batch_size=256, views_local=0))
    assert 4 * weight / (256 + 4 * weight) == pytest.approx(published, rel=0.03)
    assert convert(value, source="eb_jepa", batch_size=256).value == pytest.approx(weight / (256 + weight))


def test_stable_pretrainings_published_lambda() -> None:
    assert convert(0.02, source="stable-pretraining", batch_size=128).value == pytest.approx(0.16 / 1.16)


@pytest.mark.parametrize("source", CONVENTIONS)
def test_no_sigreg_stays_no_sigreg(source) -> None:
    assert convert(0.0, source=source, batch_size=32, projection_dim=8).value == 0
    assert convert(0.0, source="ours", target=source, batch_size=32, projection_dim=8).value == 0


def test_no_prediction_stays_no_prediction_between_convex_sums() -> None:
    conversion = convert(1.0, source="lejepa-before-2025-12-08", batch_size=32)
    assert (conversion.value, conversion.factor) == (1.0, 1 / 32)
    assert math.isinf(conversion.effective_weight)


def test_no_prediction_is_no_additive_lambda() -> None:
    with pytest.raises(SettingError, match=r"λ = 1.0 of ours came, .* infinite λ"):
        convert(1.0, source="ours", target="eb_jepa", batch_size=32)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"value": 1.5}, r"λ = 1.5 came, a number in \[0, 1\] was wanted"),
        ({"value": -1, "source": "eb_jepa"}, "a number >= 0 was wanted"),
        ({"value": math.nan, "source": "eb_jepa"}, "λ = nan came"),
        ({"source": "vicreg"}, "the λ of --objective vicreg is no weight of SIGReg"),
        ({"target": "simclr"}, "the λ of --objective simclr is no weight of SIGReg"),
        ({"batch_size": 1}, "batch-size = 1 came, at least 2"),
        ({"views_global": 0}, "views-global = 0 came"),
        ({"views_global": 1, "views_local": 0}, "at least 2 was wanted"),
        ({"batch_size": 4, "world_size": 8}, "batch-size / world-size = 0.5 came"),
        ({"source": "paper-equation"}, "projection-dim is missing"),
        ({"source": "paper-equation", "projection_dim": 0}, "projection-dim = 0 came"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, line) -> None:
    with pytest.raises(SettingError, match=line) as caught:
        convert(**{"value": 0.1, "source": "lightly", "batch_size": 32} | options)
    assert "\n" not in str(caught.value)


def test_an_unknown_convention_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown convention 'lightley'; closest: lightly"):
        convert(0.1, source="lightley", batch_size=32)


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("lite_ssl", {}, ["5 knots on [-3, 3]", "0.844 times", "1.145 times", "6 local views to the mean of 2 global"]),
        ("stable-pretraining", {}, ["all views as one sample"]),
        ("stable-pretraining", {"world_size": 2}, ["Ray Train", "ignores its all-reduce's result"]),
        ("lite_ssl", {"world_size": 2}, ["divided by the world size"]),
        ("eb_jepa", {}, ["two views to each other", "2.5 times as large", "batches of 64", "2048 x 128"]),
        ("eb_jepa", {"world_size": 2}, ["with gloo SIGReg's gradient is divided"]),
        ("minimal", {}, ["8 views to the mean of all", "1.43 times as large"]),
    ],
)
def test_notes_say_what_is_not_converted(source, options, words) -> None:
    notes = "\n".join(convert(0.1, source=source, batch_size=64, **options).notes)
    assert [word for word in words if word not in notes] == []


@pytest.mark.parametrize(("source", "views_local"), [("ours", 6), ("lejepa", 6), ("lightly", 6), ("minimal", 0)])
def test_the_same_loss_is_the_same_lambda(source, views_local) -> None:
    conversion = convert(0.1, source=source, batch_size=64, views_local=views_local)
    assert (conversion.value, conversion.factor) == (pytest.approx(0.1), pytest.approx(1))
    assert not [note for note in conversion.notes if "no loss of its own" not in note]


def test_a_note_offers_the_lambda_that_equals_sizes_where_views_scatter_alike() -> None:
    conversion = convert(10, source="eb_jepa", batch_size=256)
    ratio = 1.25 / 2  # of our prediction with 2 + 6 views to mean (z1 - z2)², in variances of a view
    odds = 10 * ratio / 256
    assert any(f"λ = {odds / (1 + odds):.3g} would keep the balance" in note for note in conversion.notes)
