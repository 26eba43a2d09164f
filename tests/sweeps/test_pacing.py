"""The largest study that fits into a time."""

import heapq
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import TRIAL, stripes

from lejepa_core.errors import SettingError
from sweeps.pacing import CROWDED, FEWEST_STEPS, MOST_EPOCHS, Cost, Shape, finished_at, fit, measure_cost
from sweeps.recommend import parse_duration

COSTS = {"first": Cost(step=0.1, fixed=2.0), "second": Cost(step=0.2, fixed=3.0)}
LADDER = [(2, 2), (2, 1), (1, 1)]


def fitted(seconds: float, images: int = 2000, parallel: int = 2) -> Shape:
    return fit(COSTS, LADDER, lambdas=5, images=images, batch_size=50, seconds=seconds, parallel=parallel,
               steps_wanted=300)  # fmt: skip


def simulated_seconds(shape: Shape, images: int = 2000, parallel: int = 2) -> float:
    """Trials begin one by one, each where a place is free first; the longest come last, which is the worst order."""
    steps = shape.epochs * ((shape.limit_train or images) // 50)
    trials = [COSTS[name] for name in shape.architectures for _ in range(5 * shape.seeds)]
    free = [0.0] * parallel
    for cost in sorted(trials, key=lambda cost: cost.step):
        heapq.heapreplace(free, free[0] + CROWDED * (cost.fixed + steps * cost.step))
    return max(free)


@pytest.mark.parametrize(("seconds", "architectures", "seeds"), [(3000, 2, 2), (400, 2, 1), (150, 1, 1)])
def test_more_time_buys_more_architectures_and_seeds(seconds: float, architectures: int, seeds: int) -> None:
    shape = fitted(seconds)
    assert (len(shape.architectures), shape.seeds) == (architectures, seeds)
    assert shape.architectures[0] == "first"


@pytest.mark.parametrize("parallel", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("seconds", [320, 900, 3000])
@pytest.mark.parametrize("images", [500, 2000, 100_000])
def test_the_time_is_used_and_not_exceeded(seconds: float, images: int, parallel: int) -> None:
    shape = fitted(seconds, images=images, parallel=parallel)
    took = simulated_seconds(shape, images, parallel)
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
    least = CROWDED * 3 * (2.0 + FEWEST_STEPS * 0.1)
    assert len(fitted(least + 1).architectures) == 1


@pytest.mark.parametrize("per_class", [10, 40])
def test_a_cost_is_measured_even_where_an_epoch_is_one_step(tmp_path: Path, per_class: int) -> None:
    data = stripes(tmp_path, per_class=per_class)
    settings = replace(TRIAL, batch_size=16, image_size=32, local_size=32, views_local=0, projector_dim=8, slices=8)
    assert (len(data.splits["train"]) // 16 == 1) is (per_class == 10)
    cost = measure_cost(settings, data, torch.device("cpu"), threads=1)
    assert cost.step > 0 and cost.fixed > 0


def test_on_a_gpu_time_is_told_when_its_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for name in ("cpu", "cuda"):
        finished_at(torch.device(name))
    assert waited == [torch.device("cuda")]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "m", "0s", "-5m", "1d", "5 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="90s, 30m or 2h was wanted"):
        parse_duration(text)
