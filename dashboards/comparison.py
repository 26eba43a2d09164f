"""What differs between two studies: settings, accuracies of the trials that both have, and the λ that each chose.

Pure functions. Trials are paired by architecture, data set, λ and seed: by common random numbers both of a pair saw the
same images in the same order, as far as the settings that differ allow. Where λ weighs other terms in one study than in
the other, or is another dial, equal numbers mean nothing: each study is then taken at the λ that it chose. Accuracies
are fractions, whatever ends in `_points` is a difference, second study less first, in percentage points.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from dashboards.formats import signed
from dashboards.results import Results
from dashboards.statistics.intervals import of_cells
from dashboards.statistics.scores import CELL, at_best_settings, choose, labelled, score
from dashboards.summary import Json, plain

PAIR: Final = [*CELL, "lambda", "seed"]
ABSENT: Final = "not set"


def compare(first: Results, second: Results) -> Json:
    """Everything that `lejepa compare` says.

    Returns:
        A JSON-serialisable object: `studies`, `settings` (name, first, second), `differences` (of all pairs and of each
        cell, see `difference`), `at_chosen` (whether pairs have the λ that each study chose, because λ is not the same
        in both), `chosen` (a row per cell of either study) and `notes`.
    """
    points = points_of(first), points_of(second)
    pairs = paired(*points, same_dial=same_dial(first, second))
    return plain(
        {
            "studies": [_about(results) for results in (first, second)],
            "settings": settings(_settings(first), _settings(second)),
            "difference": difference(pairs),
            "at_chosen": not same_dial(first, second),
            "cells": _cells(pairs),
            "chosen": _chosen(points),
            "notes": _notes((first, second), points, pairs),
        }
    )


def pairs_of(first: Results, second: Results) -> pd.DataFrame:
    """`paired` of two studies: with several learning rates, of the trials best on validation at each λ."""
    return paired(points_of(first), points_of(second), same_dial=same_dial(first, second))


def same_dial(first: Results, second: Results) -> bool:
    """Whether λ weighs the same term in two studies, so that equal λ mean the same."""
    return first.regularizer == second.regularizer


def difference_words(found: Json) -> str:
    """The difference in one sentence, from what `compare` gave."""
    first, second = (study["name"] for study in found["studies"])
    about = found["difference"]
    if about["mean_points"] is None:
        return f"{second} and {first} have no pair of trials with accuracies: {about['note']}."
    interval = ""
    if about["low_points"] is not None:
        interval = f"95 % CI {signed(about['low_points'])} to {signed(about['high_points'])} "
    mean = about["mean_points"]
    side = "above" if mean >= 0 else "below"
    return (
        f"{second} is {signed(abs(mean))} points {side} {first} on test ({interval}{about['note']}; "
        f"{about['pairs']} pairs of trials)."
    )


def settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, str]]:
    """The settings in which two studies differ, as texts; a setting that one of them lacks is `not set`."""
    names = sorted(first.keys() | second.keys())
    texts = [(name, _text(first, name), _text(second, name)) for name in names if name != "name"]
    return [{"name": name, "first": one, "second": two} for name, one, two in texts if one != two]


def paired(first: pd.DataFrame, second: pd.DataFrame, *, same_dial: bool) -> pd.DataFrame:
    """Trials of both studies that have an accuracy, by (architecture, data set, λ, seed).

    Args:
        first: Scored trials, one for each of these.
        second: Likewise.
        same_dial: Whether equal λ mean the same. If not, pairs are by (architecture, data set, seed), each study at the
            λ that it chose on validation in that cell.

    Returns:
        Columns of `PAIR`, `first` and `second` (test accuracy), `points`, their difference, and `same`, whether both
        are one trial that both studies hold. Where λ is not the same, `lambda` is the first's, `lambda_second` the
        other's.
    """
    by = PAIR if same_dial else [*CELL, "seed"]
    if not same_dial:
        first, second = (part.merge(choose(part)[[*CELL, "lambda"]]) for part in (first, second))
    kept = [part.dropna(subset=["test"])[[*PAIR, "test", "key"]] for part in (first, second)]
    pairs = (
        kept[0]
        .rename(columns={"test": "first"})
        .merge(kept[1].rename(columns={"test": "second"}), on=by, suffixes=("", "_second"))
    )
    pairs["same"] = pairs["key"] == pairs["key_second"]
    pairs = pairs.drop(columns=["key", "key_second"])
    return pairs.assign(points=100 * (pairs["second"] - pairs["first"]))


def difference(pairs: pd.DataFrame) -> Json:
    """The mean difference over cells, with the interval of `intervals.of_cells`.

    A seed's difference in a cell is the mean over the λ that it has there, and a cell's that of its seeds.

    Returns:
        `mean_points`, `low_points`, `high_points` (None where there are too few seeds and cells), `cells`, `pairs` and
        `note`; `mean_points` is None without pairs.
    """
    if pairs.empty:
        return {"mean_points": None, "low_points": None, "high_points": None, "cells": 0, "pairs": 0,
                "note": "no trial is in both"}  # fmt: skip
    table = pairs.pivot_table(index=CELL, columns="seed", values="points")
    interval, note = of_cells(table.to_numpy(dtype=float), list(table.index.get_level_values("architecture")))
    return {
        "mean_points": interval.mean,
        "low_points": interval.low,
        "high_points": interval.high,
        "cells": interval.n,
        "pairs": len(pairs),
        "note": note,
    }


def points_of(results: Results) -> pd.DataFrame:
    """One scored trial for each of `PAIR`: with several learning rates, those best on validation at each λ.

    Args:
        results: Of a study without variants, or of one variant.
    """
    scored = score(results.trials)
    usable = scored[scored["dataset"].isin(labelled(scored))]
    points = at_best_settings(usable)
    return points.drop_duplicates(PAIR)


def _about(results: Results) -> Json:
    ok = int((results.trials["outcome"] == "ok").sum())
    return {"name": results.name, "trials": len(results.trials) + results.unstarted, "ok": ok}


def _settings(results: Results) -> Mapping[str, Any]:
    return {**results.config, "method_version": results.study.get("method_version")}


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name)
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cells(pairs: pd.DataFrame) -> list[Json]:
    table = pairs.groupby(CELL)[["first", "second", "points"]].mean().assign(n=pairs.groupby(CELL).size())
    rows = table.reset_index().rename(columns={"n": "pairs"}).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _chosen(points: tuple[pd.DataFrame, pd.DataFrame]) -> list[Json]:
    """The λ that each study chose on validation in each cell, and its test accuracy there; None where it has none."""
    chosen = [
        choose(part).set_index(CELL)[["lambda", "test", "n"]].rename(columns={"n": "seeds"}).add_prefix(f"{side}_")
        for side, part in zip(("first", "second"), points, strict=True)
    ]
    rows = chosen[0].join(chosen[1], how="outer").reset_index().to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _notes(both: tuple[Results, Results], points: tuple[pd.DataFrame, pd.DataFrame], pairs: pd.DataFrame) -> list[str]:
    found = []
    alike = same_dial(*both)
    if not alike:
        found.append("λ is not the same in both: a pair has the λ that each chose on validation in its cell.")
    if same := int(pairs["same"].sum()):
        found.append(f"{same} of {len(pairs)} pairs are one and the same trial, which both studies hold.")
    for results, part in zip(both, points, strict=True):
        alone = int(part["test"].notna().sum()) - len(pairs)
        if alone and alike:
            found.append(
                f"{alone} trials of {results.name} with an accuracy have no partner: left out of the differences."
            )
        if results.searched and alike:
            found.append(f"{results.name} searched λ: few values, if any, are in both.")
        diverged = int((part["outcome"] == "diverged").sum())
        if diverged:
            found.append(f"{diverged} trials of {results.name} diverged; they count as chance accuracy.")
    return found
