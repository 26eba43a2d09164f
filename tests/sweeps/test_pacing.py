"""The largest study that fits into a time."""

import pytest

from lejepa_core.errors import SettingError
from sweeps.pacing import CROWDED, FEWEST_STEPS, MOST_EPOCHS, Cost, Shape, fit
from sweeps.recommend import parse_duration

COSTS = {"first": Cost(step=0.1, fixed=2.0), "second": Cost(step=0.2, fixed=3.0)}
LADDER = [(2, 2), (2, 1), (1, 1)]


def fitted(seconds: float, images: int = 2000, parallel: int = 2) -> Shape:
    return fit(COSTS, LADDER, lambdas=5, images=images, batch_size=50, seconds=seconds, parallel=parallel,
               steps_wanted=300)  # fmt: skip


def expected_seconds(shape: Shape, images: int = 2000, parallel: int = 2) -> float:
    steps = shape.epochs * ((shape.limit_train or images) // 50)
    one = sum(COSTS[name].fixed + steps * COSTS[name].step for name in shape.architectures)
    return CROWDED * 5 * shape.seeds * one / parallel


@pytest.mark.parametrize(("seconds", "architectures", "seeds"), [(3000, 2, 2), (400, 2, 1), (150, 1, 1)])
def test_more_time_buys_more_architectures_and_seeds(seconds: float, architectures: int, seeds: int) -> None:
    shape = fitted(seconds)
    assert (len(shape.architectures), shape.seeds) == (architectures, seeds)
    assert shape.architectures[0] == "first"


@pytest.mark.parametrize("seconds", [150, 400, 900, 3000])
@pytest.mark.parametrize("images", [500, 2000, 100_000])
def test_the_time_is_used_and_not_exceeded(seconds: float, images: int) -> None:
    shape = fitted(seconds, images=images)
    took = expected_seconds(shape, images)
    assert took <= seconds
    assert took > 0.5 * seconds or shape.epochs == MOST_EPOCHS


def test_of_many_images_only_so_many_are_taken_that_each_is_seen_several_times() -> None:
    shape = fitted(900, images=100_000)
    assert shape.limit_train is not None and shape.limit_train < 100_000
    assert shape.epochs >= 8


def test_too_short_a_time_is_refused_with_what_would_do() -> None:
    with pytest.raises(SettingError, match=r"at least .* is wanted for 5 values of λ; raise --budget") as caught:
        fitted(30)
    assert "\n" not in str(caught.value)
    least = CROWDED * 5 * (2.0 + FEWEST_STEPS * 0.1) / 2
    assert len(fitted(least + 1).architectures) == 1


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "m", "0s", "-5m", "1d", "5 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="90s, 30m or 2h was wanted"):
        parse_duration(text)
