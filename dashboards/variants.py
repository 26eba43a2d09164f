"""What the variants of a study say beside each other. Pure functions.

Accuracies are fractions; whatever ends in `_points` is a difference in percentage points. Each variant is judged as the
study that it would be by itself; only differences between two look at the trials of both, paired as common random
numbers pair them, see `comparison`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import pandas as pd

from dashboards.comparison import difference, difference_words, paired, points_of
from dashboards.formats import percent
from dashboards.results import PENDING, Results
from dashboards.statistics.scores import CELL, at_best_settings, choose, pooled_intervals, score
from dashboards.summary import Json, plain
from lejepa_core.methods import label_of, method_of
from lejepa_platform.stored_variants import lambdas_of, report_files, variant_config

POOLED = "spread pooled over λ"
POOLED_MORE = "spread pooled over λ and variants"
UNKNOWN = "no interval: too few seeds, or one diverged"


def variant_rows(results: Results) -> list[Json]:
    """What was measured, by (variant, architecture, data set, λ), in the order of variants.

    With several learning rates or weight decays, those best on validation at each λ are reported.

    Returns:
        Of each `test`, the mean of linear top-1 over seeds (None if no seed has one; a diverged one counts as chance),
        `low` and `high`, its 95 % t-interval over seeds (None where it would not be honest) and how that was made,
        `interval`; `n`, seeds that `test` is of; `outcomes`, outcome -> trials of any learning rate, those that were
        never started not among them.
    """
    best = pd.concat([at_best_settings(score(results.only(name).trials)) for name in results.variants])
    if best.empty:
        return []
    by = ["variant", *CELL, "lambda"]
    alone = pd.concat([pooled_intervals(part).assign(variant=name) for name, part in best.groupby("variant")])
    together = pooled_intervals(best, apart=["variant"])
    table = together.merge(alone[[*by, "low", "high"]], on=by, suffixes=("_together", ""))
    outcomes = {key: Counter(part["outcome"]) for key, part in results.trials.groupby(by)}
    places = {name: place for place, name in enumerate(results.variants)}
    rows = sorted(table.to_dict("records"), key=lambda row: places[row["variant"]])
    return [plain(_row(row, outcomes[tuple(row[name] for name in by)])) for row in rows]


def _row(row: Mapping[Any, Any], outcomes: Mapping[str, int]) -> Json:
    kind = POOLED
    low, high = row["low"], row["high"]
    if pd.isna(low):
        # One λ, as most tables of the paper have: then it is the variants of the cell that lend each other theirs.
        low, high, kind = row["low_together"], row["high_together"], POOLED_MORE
    return {
        **{name: row[name] for name in ("variant", *CELL, "lambda")},
        "test": row["mean"],
        "low": low,
        "high": high,
        "interval": UNKNOWN if pd.isna(low) else kind,
        "n": int(row["n"]),
        "outcomes": dict(outcomes),
    }


def overview(results: Results, summaries: Mapping[str, Json]) -> Json:
    """Everything that the page of a study with variants says.

    Args:
        results: Of the study.
        summaries: Name of each variant, in order -> what `report.summarise` says of it alone.

    Returns:
        A JSON-serialisable object: `verdict` and `warnings` in words; `varied`, names of the settings that vary;
        `counts` of outcomes; `variants`, each with its own; `dials`, variant -> name of what its λ comes to, if not
        all have the same λ, so that windows in decades of λ cannot be compared; `rows`, see `variant_rows`;
        `differences` of all variants
        to the first; `notes`.
    """
    points = {name: points_of(results.only(name)) for name in results.variants}
    variants = [_variant(results, name, summary) for name, summary in summaries.items()]
    found = {
        "name": results.name,
        "search": "grid",
        "varied": varied(results),
        "counts": _added(summary["counts"] for summary in summaries.values()),
        "variants": variants,
        "dials": _dials(results),
        "at_chosen": _at_chosen(points),
        "rows": variant_rows(results),
        "differences": differences(results, points),
        "notes": list(results.notes),
    }
    texts = {"verdict": _verdict(found, results, points), "warnings": _warnings(found)}
    return plain({**texts, **found})


def varied(results: Results) -> list[str]:
    """Names of the settings in which variants differ; λ where they have values of their own."""
    variants = results.config["variants"].values()
    names = list(dict.fromkeys(chain.from_iterable(variant["settings"] for variant in variants)))
    return names + ["λ"] * any(variant.get("lambdas") is not None for variant in variants)


def _dials(results: Results) -> dict[str, str]:
    config = results.config
    dials = {name: method_of(variant_config(config, name)).dial for name in results.variants}
    alike = len({(dial, *lambdas_of(config, name)) for name, dial in dials.items()}) == 1
    return {} if alike else dials


def _variant(results: Results, name: str, summary: Json) -> Json:
    first = 2 * (1 + results.variants.index(name))
    page, numbers = report_files(results.config)[first : first + 2]
    return {
        "name": name,
        "page": page,
        "summary": numbers,
        "settings": dict(results.config["variants"][name]["settings"]),
        "lambdas": lambdas_of(results.config, name),
        "trials": sum(summary["counts"].values()),
        **{key: summary[key] for key in ("verdict", "counts", "cells", "window", "window_dial", "worst")},
        "cut": sum(bool(cell["censored_low"] or cell["censored_high"]) for cell in summary["windows"]),
        "phi": (summary["stability"] or {}).get("phi"),
        "seconds": summary["cost"]["seconds"],
    }


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def same_lambdas(results: Results, first: str, second: str) -> bool:
    """Whether two variants have the same λ, which mean the same in both.

    Where they have some in common only, these say little: they may be those that one of the two does worst at.
    """
    config = results.config
    if label_of(variant_config(config, first)) != label_of(variant_config(config, second)):
        return False
    return set(lambdas_of(config, first)) == set(lambdas_of(config, second))


def variant_pairs(results: Results, points: Mapping[str, pd.DataFrame], first: str, second: str) -> pd.DataFrame:
    """`comparison.paired` trials of two variants.

    Args:
        results: Of the study.
        points: Variant -> `comparison.points_of` it.
        first: Name of a variant.
        second: Of another.
    """
    return paired(points[first], points[second], same_dial=same_lambdas(results, first, second))


def differences(results: Results, points: Mapping[str, pd.DataFrame]) -> list[Json]:
    """Each variant less the first, see `variant_pairs`.

    Args:
        results: Of the study.
        points: Variant -> `comparison.points_of` it.

    Returns:
        `difference`, with the `variant`, what it is compared with, `reference`, and `at_chosen`, whether
        each is at the λ that it chose because λ is not the same in both.
    """
    reference, *others = points
    return [
        {
            "variant": name,
            "reference": reference,
            "at_chosen": not same_lambdas(results, reference, name),
            **difference(variant_pairs(results, points, reference, name)),
        }
        for name in others
    ]


def _at_chosen(points: Mapping[str, pd.DataFrame]) -> Json:
    """Accuracy of each variant at its chosen λ: mean over the cells in which all that have accuracies have one."""
    chosen = {name: choose(part).set_index(CELL) for name, part in points.items()}
    chosen = {name: cells for name, cells in chosen.items() if len(cells)}
    shared = set.intersection(*(set(cells.index) for cells in chosen.values())) if chosen else set()
    means = {name: cells.loc[cells.index.isin(shared), ["val", "test"]].mean() for name, cells in chosen.items()}
    variants = {name: {"val": mean["val"], "test": mean["test"]} for name, mean in means.items()} if shared else {}
    return {"cells": len(shared), "variants": variants}


def _verdict(found: Json, results: Results, points: Mapping[str, pd.DataFrame]) -> str:
    what = ", ".join(found["varied"])
    n = len(found["variants"])
    head = f"{n} variant{'s' * (n != 1)} of {what}"
    counts, known = found["counts"], found["at_chosen"]["variants"]
    total = sum(counts.values())
    ended = f"{counts.get('ok', 0)} of {total} trials ended ok{_others(counts)}."
    if not known:
        none = counts.get(PENDING, 0) == total
        return f"{head}: {'no trial has finished yet' if none else 'no accuracies to compare'}; {ended}"
    cells = found["at_chosen"]["cells"]
    best, *others = sorted(known, key=lambda name: -round(known[name]["val"], 12))
    text = (
        f"{head}: on validation {best} is best, and reaches {percent(known[best]['test'])} on test "
        "at the λ chosen there"
        f"{f', mean over {cells} cells' if cells > 1 else ''}"
    )
    if not others:
        return f"{text}; {ended}"
    first = next(iter(points))
    other = others[0] if best == first else first
    about = difference(variant_pairs(results, points, other, best))
    words = difference_words({"studies": [{"name": other}, {"name": best}], "difference": about}).removesuffix(".")
    if n > 2:
        words += f", the best of {n} variants, not corrected for how many there are"
    if same_lambdas(results, other, best):
        return f"{text}; over all λ, {words}; {ended}"
    return f"{text}; each at the λ that it chose, since λ is not the same in both, {words}; {ended}"


def _others(counts: Mapping[str, int]) -> str:
    others = ", ".join(f"{n} {name}" for name, n in counts.items() if name != "ok")
    return f" ({others})" if others else ""


def _warnings(found: Json) -> list[str]:
    warnings = [
        f"{one['name']}: {one['counts'].get('ok', 0)} of {one['trials']} trials ended ok{_others(one['counts'])}."
        for one in found["variants"]
        if set(one["counts"]) - {"ok"}
    ]
    if found["rows"] and all(row["n"] <= 1 for row in found["rows"]):
        warnings.append("There is one seed: nothing here tells an effect of a setting from the luck of a run.")
    apart = [row["variant"] for row in found["differences"] if row["at_chosen"]]
    if apart:
        warnings.append(
            f"λ is not the same in {found['variants'][0]['name']} and in "
            f"{', '.join(apart) if len(apart) < 5 else f'{len(apart)} others'}: these are compared at the λ that each "
            "chose on validation."
        )
    return warnings
