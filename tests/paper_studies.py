"""Items of the paper as if they had been run, with accuracies that a test chooses."""

import math
from dataclasses import replace
from typing import Any

from dashboards.results import Results, tabulate, trial_row
from sweeps.paper.planning import study_of
from sweeps.paper.scaling import Scaled


def results_of(
    found: Scaled, accuracy: Any, *, seeds: int = 3, outcome: Any = lambda _: "ok", **metrics: Any
) -> Results:
    """A study as if it had been run; `accuracy`, `outcome` and metrics are functions of (trial)."""
    config = replace(study_of(found), seeds=tuple(range(seeds)))
    rows = [
        trial_row(
            {
                "key": trial.key,
                "config": trial.flat(),
                "outcome": outcome(trial),
                "reason": "",
                "seconds": 1.0,
                "metrics": {
                    "test/linear_top1": accuracy(trial) + 0.001 * trial.seed,
                    "val/linear_top1": accuracy(trial) + 0.001 * trial.seed,
                    "floor/chance": 0.1,
                    "train/loss": 1.0,
                    **{name: function(trial) for name, function in metrics.items()},
                },
            }
        )
        for trial in config.grid()
    ]
    about = {"name": config.name, "config": config.flat(), "planned": [row["key"] for row in rows], "notes": []}
    return tabulate(about, rows, {row["key"]: {} for row in rows}, {}, ())


def peak(best: float) -> Any:
    """An accuracy that falls with the distance from a λ, in decades."""
    return lambda trial: 0.8 - 0.1 * abs(math.log10(trial.lambda_ / best))
