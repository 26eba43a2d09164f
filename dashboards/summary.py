"""The numbers of a report as one JSON object: what `summary.json` holds and every sentence is made from.

Accuracies are fractions; whatever ends in `_points` is a difference in percentage points.
"""

import math
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboards.findings import WINDOW_EPS, Findings, as_json, estimate_json
from dashboards.protocols_table import protocols_table
from dashboards.results import PENDING, Results
from dashboards.statistics.aggregate import Aggregate
from dashboards.statistics.bootstrap import redraw_flat
from dashboards.statistics.regret import Grid, Measures, mean_of, measure, new_seed_test, observe
from dashboards.statistics.scores import (
    CELL,
    MEASURED,
    RankCorrelation,
    agreements,
    choose,
    column,
    labelled,
    pooled_intervals,
    rank_agreement,
    score,
)
from dashboards.statistics.stability import Difference, Stability
from dashboards.transfer import transfer_table

Json = dict[str, Any]
DRAWS: Final = 500
"""Studies without an effect of λ."""


def numbers(results: Results, found: Findings) -> Json:
    """Everything the report says in numbers.

    Args:
        results: From `read_results`; may be unfinished, unlabelled or searched.
        found: What was inferred from them.

    Returns:
        A JSON-serialisable object; what cannot be said is null, with the reason beside it.
    """
    scored = score(results.trials)
    with_labels = labelled(scored)
    usable = scored[scored["dataset"].isin(with_labels)]
    points, grid = found.points, found.grid
    pairs = agreements(scored)
    judged: Json = {"fixed": None, "regret_per_lambda": [], "worst": None, "window": None, "null": None}
    if grid.cells and not results.searched:
        judged = _judge(grid, found)
    return plain(
        {
            "name": results.name,
            "search": str(results.config.get("search", "grid")),
            "pretrained": results.pretrained,
            "labelled_datasets": list(with_labels),
            "unlabelled_datasets": unlabelled(scored),
            "counts": _counts(results),
            "lambdas": _lambdas(results.trials),
            "seeds": int(results.trials["seed"].nunique()),
            "gain": _gain(points, found.stability, results.searched),
            **judged,
            "cells": _cells(points, grid, pairs, results.searched),
            "agreement": _agreement(usable, pairs),
            "protocols": protocols_table(points),
            "transfer": transfer_table(results),
            "cost": _cost(results.trials),
            **as_json(found),
        }
    )


def plain(value: Any) -> Any:
    """The same value in JSON's own types, every NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unlabelled(scored: pd.DataFrame) -> list[str]:
    """Data sets with finished trials but not one accuracy."""
    finished = set(scored.loc[scored["outcome"].isin(MEASURED), "dataset"])
    return sorted(finished - set(labelled(scored)))


def _counts(results: Results) -> dict[str, int]:
    counts = {str(name): int(n) for name, n in results.trials["outcome"].value_counts().sort_index().items()}
    if results.unstarted:
        counts[PENDING] = counts.get(PENDING, 0) + results.unstarted
    return counts


def _lambdas(trials: pd.DataFrame) -> Json:
    values = sorted(float(value) for value in trials["lambda"].dropna().unique())
    positive = [value for value in values if value > 0]
    return {
        "values": values,
        "decades": math.log10(positive[-1] / positive[0]) if positive else None,
    }


def _gain(points: pd.DataFrame, stability: Stability | None, searched: bool) -> Json | None:
    """Test accuracy of the chosen λ above that of the backbone before training."""
    cells = choose(points).dropna(subset=["floor"])
    if not len(cells):
        return None
    if stability is not None and np.isfinite(stability.gain.value):
        found = stability.gain
        ends = {"low_points": _points(found.low), "high_points": _points(found.high)}
        return {"mean_points": 100 * found.value, **ends, "n": found.n, "cells": found.cells, "note": found.note}
    mean = 100 * float((cells["test"] - cells["floor"]).mean())
    seeds, n = int(points["seed"].nunique()), len(cells)
    some = f"{_plural(n, 'cell')} and {_plural(seeds, 'seed')}: too few for an interval"
    note = "λ was searched: no interval" if searched and seeds > 1 else some
    return {"mean_points": mean, "low_points": None, "high_points": None, "n": n, "cells": n, "note": note}


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _judge(grid: Grid, found: Findings) -> Json:
    stability, real = found.stability, observe(grid)
    flat = _flat(grid) if stability else None
    fixed = int(real.fixed_B[0])
    at_fixed = real.regret_BCL[0, :, fixed]
    mean = {"value": 100 * float(real.fixed_mean_B[0])} if stability is None else estimate_json(stability.regret, 100)
    worst = {"value": 100 * float(real.worst_B[0])} if stability is None else estimate_json(stability.worst, 100)
    width = {"value": float(real.width_B[0])} if stability is None else estimate_json(stability.windows[WINDOW_EPS], 1)
    return {
        "fixed": {
            "lambda": grid.lambdas[fixed],
            "max_regret_points": 100 * real.fixed_max_B[0],
            "worst_cell": list(grid.cells[int(np.nanargmax(at_fixed))]),
            "cells": int(np.isfinite(at_fixed).sum()),
            "regret": mean,
        },
        "worst": worst,
        "window": {**width, "eps_points": 100 * WINDOW_EPS},
        "regret_per_lambda": _per_lambda(grid, real, flat, found),
        "null": {
            "draws": DRAWS if stability else 0,
            "note": "" if stability else "one seed in each cell, or one λ: nothing tells an effect of λ from chance",
        },
    }


def _flat(grid: Grid) -> Measures:
    val_BCSL, test_BCSL = redraw_flat(grid, DRAWS)
    return measure(mean_of(val_BCSL, axis=2), mean_of(test_BCSL, axis=2), grid.lambdas)


def _per_lambda(grid: Grid, real: Measures, flat: Measures | None, found: Findings) -> list[Json]:
    rows = []
    iqm = {one.lam: one.aggregate for one in found.iqm}
    for index, lam in enumerate(grid.lambdas):
        column_C = 100 * real.regret_BCL[0, :, index]
        expected = None
        if flat is not None:
            expected = 100 * float(np.nanmean(mean_of(flat.regret_BCL[:, :, index], axis=1)))
        rows.append(
            {
                "lambda": lam,
                "mean_points": float(mean_of(column_C, axis=0)),
                "max_points": float(np.nanmax(column_C)),
                "null_mean_points": expected,
                "cells": int(np.isfinite(column_C).sum()),
                "iqm": _iqm(iqm.get(float(lam))),
                "against_best": _against(found.against.get(float(lam))),
            }
        )
    return rows


def _iqm(found: Aggregate | None) -> Json | None:
    if found is None:
        return None
    ends = {"value": found.iqm, "low": found.low, "high": found.high}
    return {**ends, "cells": found.cells, "runs": found.runs, "note": found.note}


def _against(found: Difference | None) -> Json | None:
    if found is None:
        return None
    here = found.these_cells
    ends = {"low_points": _points(here.low), "high_points": _points(here.high)}
    return {"points": 100 * found.value, **ends, "cells": found.n, "note": here.note}


def _cells(
    points: pd.DataFrame, grid: Grid, pairs: dict[tuple[str, str], RankCorrelation], searched: bool
) -> list[Json]:
    chosen = choose(points)
    if not searched:
        chosen = chosen.merge(pooled_intervals(points)[[*CELL, "lambda", "low", "high"]], how="left")
    held_out = dict(zip(grid.cells, new_seed_test(grid), strict=True)) if not searched else {}
    return [_cell(row, points, pairs, held_out) for row in chosen.to_dict("records")]


def _cell(
    row: dict[Any, Any],
    points: pd.DataFrame,
    pairs: dict[tuple[str, str], RankCorrelation],
    held_out: dict[tuple[str, str], float],
) -> Json:
    name = (str(row["architecture"]), str(row["dataset"]))
    own = points[(points["architecture"] == name[0]) & (points["dataset"] == name[1])]
    lambdas = own.loc[own["test"].notna(), "lambda"]
    there = own[(own["lambda"] == row["lambda"]) & own["outcome"].isin(MEASURED)]
    edge = {lambdas.min(): "low", lambdas.max(): "high"}.get(row["lambda"]) if lambdas.nunique() > 1 else None
    agreement = pairs.get(name, RankCorrelation(agreement=None, n=0))
    return {
        "architecture": name[0],
        "dataset": name[1],
        "lambda": row["lambda"],
        "learning_rate": row["learning_rate"],
        "weight_decay": row["weight_decay"],
        "edge": edge,
        "seeds": row["n"],
        "test": row["test"],
        "test_low": row.get("low"),
        "test_high": row.get("high"),
        "test_new_seed": held_out.get(name),
        "knn_test": float(column(there, "test/knn_top1").mean()),
        "floor": row["floor"],
        "gain_points": 100 * (row["test"] - row["floor"]),
        "collapsed": int((there["outcome"] == "collapsed").sum()),
        "agreement": agreement.agreement,
        "agreement_n": agreement.n,
    }


def _agreement(usable: pd.DataFrame, pairs: dict[tuple[str, str], RankCorrelation]) -> Json:
    within = [pair.agreement for pair in pairs.values() if pair.agreement is not None]
    pooled = rank_agreement(usable["loss"], usable["test"])
    return {
        "within_mean": sum(within) / len(within) if within else None,
        "within_cells": len(within),
        "pooled": pooled.agreement,
        "pooled_n": pooled.n,
    }


def _cost(trials: pd.DataFrame) -> Json:
    timed = trials.dropna(subset=["seconds"])
    rows = timed.groupby("architecture")["seconds"].agg(["count", "sum", "mean"]).sort_values("sum")
    return {
        "seconds": float(timed["seconds"].sum()),
        "architectures": [
            {"architecture": name, "trials": int(n), "seconds": total, "seconds_per_trial": mean}
            for name, n, total, mean in rows[::-1].itertuples(name=None)
        ],
    }
