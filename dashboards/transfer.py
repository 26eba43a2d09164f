"""What pretrained encoders are worth on other data sets, by λ and number of labels. Pure functions.

Each (data set, number of labels) is judged as the pretraining set is: the same table with other accuracies in it goes
through the same statistics. λ is chosen on the validation images of the other set, and reported on its test images.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboards.results import Results
from dashboards.statistics.scores import (
    CELL,
    MEASURED,
    Interval,
    at_best_settings,
    choose,
    column,
    labelled,
    pooled_intervals,
    score,
    t_interval,
)
from lejepa_core.evaluation.transfer import SHOTS, shots_suffix
from lejepa_platform.ledger import transfer_prefix

Json = dict[str, Any]
MIN_DRAWS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One other data set at one number of labels."""

    target: str
    shots: int | None
    """Labelled images per class; None = all."""
    trials: pd.DataFrame
    """`Results.trials` of the trials pretrained on something else, as if these were their accuracies. The data set
    of each is still the one that it was pretrained on."""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.target}, {'all labels' if self.shots is None else f'{self.shots} per class'}"


def views(results: Results) -> tuple[View, ...]:
    """Every data set that was evaluated on, from few labels to all; none if there is no such set."""
    return tuple(
        View(target=target, shots=shots, trials=_as_accuracies(results.trials, target, shots))
        for target in results.targets
        for shots in (*SHOTS, None)
    )


def transfer_table(results: Results) -> list[Json]:
    """A row for each (architecture, pretraining set, other set, labels, λ); of a search, for the chosen λ only.

    Accuracies are fractions. `low` and `high` are over training seeds, `draws_low` and `draws_high` over few-shot
    draws: of the mean over seeds, were other images drawn.
    """
    return [row for view in views(results) for row in _rows(view, results)]


def _as_accuracies(trials: pd.DataFrame, target: str, shots: int | None) -> pd.DataFrame:
    start, end = transfer_prefix(target), shots_suffix(shots)
    names = {
        "val/linear_top1": f"{start}val/linear_top1{end}",
        "test/linear_top1": f"{start}linear_top1{end}",
        "test/knn_top1": f"{start}knn_top1{end}",
        "floor/random_init_linear_top1": f"{start}floor/random_init_linear_top1{end}",
        "floor/chance": f"{start}floor/chance",
    }
    elsewhere = trials[trials["dataset"] != target]
    seen = elsewhere.assign(**{name: column(elsewhere, source) for name, source in names.items()})
    # Chance is the target's, whatever an encoder was pretrained on, and a diverged trial has measured none.
    return seen.assign(**{"floor/chance": seen["floor/chance"].max()})


def _rows(view: View, results: Results) -> list[Json]:
    scored = score(view.trials)
    usable = scored[scored["dataset"].isin(labelled(scored))]
    points = usable if results.searched else at_best_settings(usable)
    chosen = choose(points)
    if results.searched:
        table = chosen.rename(columns={"test": "mean"}).assign(low=None, high=None)
    else:
        table = pooled_intervals(points).query("n > 0") if len(points) else chosen
    best = {(row["architecture"], row["dataset"]): row["lambda"] for row in chosen.to_dict("records")}
    return [_row(row, view, points, results, best) for row in table.to_dict("records")]


def _row(
    row: dict[Any, Any], view: View, points: pd.DataFrame, results: Results, best: dict[tuple[str, str], float]
) -> Json:
    cell = (str(row["architecture"]), str(row["dataset"]))
    there = (points[CELL[0]] == cell[0]) & (points[CELL[1]] == cell[1]) & (points["lambda"] == row["lambda"])
    own = points[there & points["test"].notna()]
    draws = _over_draws(own, view, results)
    floor = float(own["floor"].mean())
    return {
        "architecture": cell[0],
        "dataset": cell[1],
        "target": view.target,
        "shots": view.shots,
        "lambda": row["lambda"],
        "chosen": best.get(cell) == row["lambda"],
        "test": row["mean"],
        "test_low": row["low"],
        "test_high": row["high"],
        "seeds": int(row["n"]),
        "draws": draws.n if draws else 0,
        "draws_low": draws.low if draws else None,
        "draws_high": draws.high if draws else None,
        "knn_test": float(column(own, "test/knn_top1").mean()),
        "floor": floor,
        "chance": float(own["chance"].max()),
        "gain_points": 100 * (row["mean"] - floor),
    }


def _over_draws(own: pd.DataFrame, view: View, results: Results) -> Interval | None:
    """The mean over seeds of each draw, and its interval; None where a trial has no draws."""
    name = f"linear_top1{shots_suffix(view.shots)}"
    if not own["outcome"].isin(MEASURED).all():
        return None
    by_trial = [results.draws.get(key, {}).get(view.target, {}).get(name, ()) for key in own["key"]]
    if not by_trial or not all(by_trial):
        return None
    means = [sum(values) / len(values) for values in zip(*by_trial, strict=True)]
    return t_interval(means, MIN_DRAWS)
