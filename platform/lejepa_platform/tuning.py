"""What Ray Tune does and keeps for each trial, made independent of how many there were before.

Its own scheduler looks through all trials, ended ones too, whenever an actor is free: with ten thousand that is half of
the driver's time. And of each trial it keeps the whole result, with statistics of every number in it.
"""

from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

_NEEDED: Final = frozenset({"done", "training_iteration", "trial_id", "pid", "node_ip", "should_checkpoint"})
"""What Tune itself reads of a result; all else is in the ledger."""


class FirstCome(FIFOScheduler):  # type: ignore[misc,unused-ignore]
    """First come, first served, among the trials that have not ended."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A trial that waits, one that was never begun before one that was paused; None if there is none."""
        waiting = [t for t in tune_controller.get_live_trials() if t.status in (Trial.PENDING, Trial.PAUSED)]
        return min(waiting, key=lambda trial: trial.status != Trial.PENDING, default=None)


class Forget(Callback):  # type: ignore[misc,unused-ignore]
    """Leaves with a trial what Tune needs: what it keeps, it keeps to the end, and then writes all of it at once."""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take the rest out of a result, in place, as Tune allows."""
        for name in result.keys() - _NEEDED:
            del result[name]

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Take out the task, which its actor has read, and the name that Tune makes of it."""
        trial.config.clear()
        trial.evaluated_params.clear()
        trial.experiment_tag = ""
        trial.last_result.pop("experiment_tag", None)
