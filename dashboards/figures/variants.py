"""The variants of a study in one picture each: a line per variant over λ, or a dot where λ is no axis; differences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from dashboards.figures.accuracy import AccuracyPanel, accuracy_data
from dashboards.figures.dots import Dot, DotPanel, SeedPoint
from dashboards.figures.paired import PairedRow, pair_label
from dashboards.results import Results
from dashboards.statistics.scores import CELL, column
from dashboards.summary import Json
from dashboards.variants import variant_pairs


def lines_data(results: Results) -> tuple[AccuracyPanel, ...]:
    """A panel per cell, in which each line is a variant; none for data sets without accuracies."""
    trials = results.trials.assign(family="")
    panels = []
    for (architecture, dataset), cell in trials.groupby(CELL):
        found = accuracy_data(cell.assign(architecture=cell["variant"]), order=results.variants)
        panels += [replace(panel, title=f"{architecture} · {dataset}") for panel in found]
    return tuple(panels)


def dots_data(results: Results, rows: Sequence[Json]) -> tuple[DotPanel, ...]:
    """A panel per cell with a dot per variant, for variants that have one λ each.

    Args:
        results: Of the study.
        rows: From `variant_rows`.
    """
    cells = dict.fromkeys((row["architecture"], row["dataset"]) for row in rows if row["test"] is not None)
    return tuple(_dots(results, [row for row in rows if (row["architecture"], row["dataset"]) == cell])
                 for cell in cells)  # fmt: skip


def _dots(results: Results, rows: Sequence[Json]) -> DotPanel:
    architecture, dataset = rows[0]["architecture"], rows[0]["dataset"]
    trials = results.trials[(results.trials["architecture"] == architecture) & (results.trials["dataset"] == dataset)]
    chance = column(trials, "floor/chance").max()
    return DotPanel(
        title=f"{architecture} · {dataset}",
        dots=tuple(
            Dot(
                architecture=row["variant"],
                index=results.variants.index(row["variant"]),
                lam=row["lambda"],
                mean=row["test"],
                low=row["low"],
                high=row["high"],
                points=_seeds(trials[trials["variant"] == row["variant"]], chance),
                floor=_floor(trials[trials["variant"] == row["variant"]]),
            )
            for row in rows
            if row["test"] is not None
        ),
        chance=None if pd.isna(chance) else float(chance),
        unmeasured=tuple(row["variant"] for row in rows if row["test"] is None),
    )


def _seeds(trials: pd.DataFrame, chance: float) -> tuple[SeedPoint, ...]:
    values = column(trials, "test/linear_top1").mask(trials["outcome"] == "diverged", chance)
    each = zip(trials["seed"], values, trials["outcome"], strict=True)
    return tuple(SeedPoint(seed=int(seed), value=float(value), outcome=str(outcome)) for seed, value, outcome in each
                 if not pd.isna(value))  # fmt: skip


def _floor(trials: pd.DataFrame) -> float | None:
    floor = column(trials, "floor/random_init_linear_top1").mean()
    return None if pd.isna(floor) else float(floor)


def differences_data(results: Results, points: Mapping[str, pd.DataFrame]) -> tuple[PairedRow, ...]:
    """A row per variant but the first: each of its trials less the first's, paired by `variants.variant_pairs`.

    Args:
        results: Of the study.
        points: Variant -> `comparison.points_of` it.
    """
    reference, *others = points
    rows = []
    for name in others:
        pairs = variant_pairs(results, points, reference, name)
        rows.append(
            PairedRow(
                name=name,
                points=tuple(float(value) for value in pairs["points"]),
                labels=tuple(
                    f"{pair['architecture']} · {pair['dataset']}, {pair_label(pair)}"
                    for pair in pairs.to_dict("records")
                ),
                mean=float(pairs.groupby(CELL)["points"].mean().mean()),
            )
        )
    return tuple(row for row in rows if row.points)
