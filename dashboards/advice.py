"""Which λ and architecture to take where there are no labels, by the criterion that lost least where there were."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from dashboards.formats import signed
from dashboards.results import Results
from dashboards.statistics.scores import MEASURED, column
from dashboards.statistics.selection_best import rank_candidates
from dashboards.statistics.selection_families import families

Json = dict[str, Any]
KNOWN: Final = Path(__file__).parent / "known_regret.json"
"""How far choices without labels were from the labelled best in a study with labels, from `known_from`."""
CHOICES: Final = {"lambda": "λ", "architecture_and_lambda": "architecture and λ"}


def known_regret() -> Json:
    """As `known_from` makes it: `criterion`, `member`, `study`, and regrets by criterion for each kind of choice."""
    known: Json = json.loads(KNOWN.read_text(encoding="utf-8"))
    return known


def known_from(summary: Json, study: str) -> Json:
    """What is known of choices without labels from a study with labels, and the criterion to go by from then on.

    Args:
        summary: Its `summary.json`.
        study: What the study was, in a few words.

    Returns:
        `criterion` and `member`, of those whose regret in choosing λ has an interval the one that lost least; `study`;
        `regret`: kind of choice -> criterion -> mean, low and high in points, and n.
    """
    ranked = [one for one in summary["selection"]["lambda"]["ranked"] if one["kind"] != "reference"]
    best = min(ranked, key=lambda one: (one["low"] is None, one["mean"]))
    return {
        "criterion": best["name"],
        "member": best["member"],
        "study": study,
        "regret": {
            choice: {one["name"]: {end: one[end] for end in ("mean", "low", "high", "n")} for one in found["ranked"]}
            for choice, found in summary["selection"].items()
        },
    }


def advise(results: Results) -> list[Json]:
    """For each data set of a study: what the label-free criterion chooses, and how the alternatives rank.

    Args:
        results: A grid study, labelled or not; labels are not looked at.
    """
    known = known_regret()
    trials = _blinded(results.trials)
    return [
        _advice(str(dataset), part, known, results.unstarted)
        for dataset, part in trials.groupby("dataset")
        if part["outcome"].isin((*MEASURED, "diverged")).any()
    ]


def _blinded(trials: pd.DataFrame) -> pd.DataFrame:
    """Without anything that was learnt from labels."""
    labelled = [name for name in trials if str(name).startswith(("val/", "test/", "floor/", "online/"))]
    return trials.assign(**dict.fromkeys(map(str, labelled), float("nan")))


def _advice(dataset: str, trials: pd.DataFrame, known: Mapping[str, Any], unstarted: int) -> Json:
    name, member = known["criterion"], known["member"]
    overall = rank_candidates(trials, name, member, by="dataset")
    within = rank_candidates(trials, name, member, by="cell")
    judged = _judged(overall)
    first = judged.iloc[0] if len(judged) else None
    choice = None
    if first is not None:
        choice = {column: first[column] for column in ("architecture", "lambda", "learning_rate", "weight_decay")}
        choice |= {"dead": first["dead"], "seeds_agreeing": _agreeing(trials, name, member, first)}
    return {
        "dataset": dataset,
        "criterion": families()[name].label,
        "choice": choice,
        "candidates": overall.to_dict("records"),
        "lambda_by_architecture": {
            str(architecture): float(rows.iloc[0]["lambda"])
            for architecture, rows in _judged(within).groupby("architecture")
        },
        "measured": int(trials["outcome"].isin(MEASURED).sum()),
        "unfinished": int((trials["outcome"] == "pending").sum()),
        "unstarted": unstarted,
        "collapsed": int((trials["outcome"] == "collapsed").sum()),
        "retrieval": _mean(trials, first, "heldout/retrieval_top1"),
        "known": dict(known),
    }


def _judged(candidates: pd.DataFrame) -> pd.DataFrame:
    """Those that left an encoder to take: with a rank, and not dead in every seed."""
    return candidates[candidates["rank"].notna() & (candidates["dead"] < 1)]


def _agreeing(trials: pd.DataFrame, name: str, member: str, first: pd.Series) -> Json:
    """In how many seeds, each judged alone, the same λ wins for the chosen architecture."""
    own = trials[trials["architecture"] == first["architecture"]]
    seeds = [rank_candidates(seed, name, member, by="cell") for _, seed in own.groupby("seed")]
    # Where few have finished, the best of them says little.
    most = max(ranked["rank"].count() for ranked in seeds)
    live = [_judged(ranked) for ranked in seeds if ranked["rank"].count() == most]
    picks = [float(ranked.iloc[0]["lambda"]) for ranked in live if len(ranked)]
    return {"same": sum(pick == first["lambda"] for pick in picks), "of": len(picks)}


def _mean(trials: pd.DataFrame, first: pd.Series | None, name: str) -> float | None:
    if first is None:
        return None
    chosen = (trials["architecture"] == first["architecture"]) & (trials["lambda"] == first["lambda"])
    value = column(trials[chosen], name).mean()
    return None if pd.isna(value) else float(value)


def advice_words(advice: Json) -> list[str]:
    """The advice in a few lines for a terminal."""
    choice = advice["choice"]
    if choice is None:
        return [f"No advice for {advice['dataset']}: no trial left an encoder to judge. See the report."]
    lines = [
        f"For {advice['dataset']}: λ = {choice['lambda']:g} with {choice['architecture']} "
        f"(learning rate {choice['learning_rate']:g}, weight decay {choice['weight_decay']:g}).",
        f"Chosen without labels by {advice['criterion']}, among {len(advice['candidates'])} candidates, "
        f"{advice['measured']} trials measured{_left(advice)}. {_sure(choice['seeds_agreeing'])}",
        "By architecture: "
        + ", ".join(f"{name} λ = {lam:g}" for name, lam in advice["lambda_by_architecture"].items())
        + ".",
    ]
    return [*lines, known_words(advice["known"])]


def known_words(known: Json) -> str:
    """How far such choices were from the labelled best where that is known."""
    if not known["regret"]:
        return "How far such choices are from the labelled best has not been measured yet."
    parts = [
        f"{_interval(regret[known['criterion']])} points of test accuracy in choosing {CHOICES[choice]} "
        f"(a random choice {_interval(regret['random'])})"
        for choice, regret in known["regret"].items()
    ]
    return f"Where labels were there to compare with ({known['study']}), this criterion lost {', and '.join(parts)}."


def _interval(regret: Json) -> str:
    if regret["low"] is None:
        return f"{signed(regret['mean'])} ({regret['n']} choices, too few for an interval)"
    ends = f"{signed(regret['low'])} to {signed(regret['high'])}"
    return f"{signed(regret['mean'])} (95 % CI {ends}, {regret['n']} choices)"


def _left(advice: Json) -> str:
    names = {"collapsed": "collapsed", "unfinished": "unfinished", "unstarted": "of the study never begun"}
    parts = [f"{advice[name]} {words}" for name, words in names.items() if advice[name]]
    return f" ({', '.join(parts)})" if parts else ""


def _sure(agreeing: Json) -> str:
    if agreeing["of"] < 2:
        return "One seed: nothing tells this choice from luck."
    return f"Judged one by one, {agreeing['same']} of {agreeing['of']} seeds choose this λ for it."
