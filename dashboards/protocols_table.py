"""What probes other than the linear one say, in each cell at the λ that validation chose."""

from typing import Any, Final

import pandas as pd

from dashboards.statistics.scores import CELL, MEASURED, SETTINGS, choose, column

Json = dict[str, Any]
COLUMNS: Final = {
    "test/paper_top1": "paper's probe",
    "test/few_shot_linear_top1_at_1": "linear, 1 label per class",
    "test/few_shot_linear_top1_at_10": "linear, 10 labels",
    "test/few_shot_knn_top1_at_1": "k-NN, 1 label per class",
    "test/few_shot_knn_top1_at_10": "k-NN, 10 labels",
    "test/finetune_top1": "fine-tuned",
    "test/projection_linear_top1": "linear on projections",
    "test/projection_knn_top1": "k-NN on projections",
    "reference/supervised_top1": "supervised",
    "online/top1": "online",
    "check/shuffled_linear_top1": "linear, shuffled labels",
    "check/shuffled_knn_top1": "k-NN, shuffled labels",
}
"""Metric -> title."""


def protocols_table(points: pd.DataFrame) -> Json:
    """Means over seeds of what was measured.

    Args:
        points: Scored rows, as for `choose`; of a grid those of `at_best_settings`.

    Returns:
        `columns`, those of `COLUMNS` that any cell has, and `cells`: architecture, dataset, lambda, chance and
        `values`, metric -> mean and number of seeds n. Diverged trials have no value.
    """
    chosen = choose(points)[[*CELL, "lambda", *SETTINGS]]
    there = chosen.merge(points[points["outcome"].isin(MEASURED)], on=[*CELL, "lambda", *SETTINGS])
    names = [name for name in COLUMNS if column(there, name).notna().any()]
    return {
        "columns": {name: COLUMNS[name] for name in names},
        "cells": [_cell(cell, names) for _, cell in there.groupby(CELL)] if names else [],
    }


def _cell(cell: pd.DataFrame, names: list[str]) -> Json:
    known = {name: column(cell, name).dropna() for name in names}
    first = cell.iloc[0]
    return {
        **{name: first[name] for name in (*CELL, "lambda", "chance")},
        "values": {name: {"mean": float(v.mean()), "n": len(v)} for name, v in known.items() if len(v)},
    }
