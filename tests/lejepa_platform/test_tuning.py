"""What Tune is left with of trials that ended: a real run of it, and the order in which it takes those that wait."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from lejepa_platform.cluster import ray_session
from lejepa_platform.tuning import FirstCome, Forget


def waiting(*statuses: str) -> Any:
    trials = [Trial("trainable", trial_id=str(place), stub=True) for place in range(len(statuses))]
    for trial, status in zip(trials, statuses, strict=True):
        trial.status = status
    live = {trial for trial in trials if trial.status != Trial.TERMINATED}
    return SimpleNamespace(get_trials=lambda: trials, get_live_trials=lambda: live)


@pytest.mark.parametrize(
    "statuses",
    [
        ("TERMINATED", "RUNNING", "PENDING"),
        ("PAUSED", "PENDING", "RUNNING"),
        ("TERMINATED", "PAUSED", "RUNNING"),
        ("TERMINATED", "RUNNING"),
        (),
    ],
)
def test_the_choice_is_that_of_the_scheduler_of_tune(statuses: tuple[str, ...]) -> None:
    trials = waiting(*statuses)
    assert FirstCome().choose_trial_to_run(trials) is FIFOScheduler().choose_trial_to_run(trials)


def test_trials_that_ended_hold_neither_their_task_nor_their_result(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Watching(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
            seen.append(trials)

    def train(config: dict[str, Any]) -> None:
        tune.report({"outcome": "ok", "text": config["task"], "number": 1.0})

    with ray_session(None):
        tune.Tuner(
            tune.with_resources(train, {"CPU": 1}),
            param_space={"task": tune.grid_search(["a" * 1000, "b" * 1000, "c" * 1000])},
            tune_config=tune.TuneConfig(scheduler=FirstCome()),
            run_config=tune.RunConfig(
                name="tune", storage_path=str(tmp_path), verbose=0, callbacks=[Forget(), Watching()]
            ),
        ).fit()
    assert len(seen) == 3
    for trial in seen[-1]:
        assert trial.status == Trial.TERMINATED
        assert trial.last_result["done"] and trial.last_result.keys().isdisjoint({"outcome", "text", "number"})
        # Names of folders have a part of it.
        assert not trial.config and not any(letter * 200 in "".join(trial.get_json_state()) for letter in "abc")
