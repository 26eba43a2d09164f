"""What a study, as it is stored, says of its variants: which trials belong to which, and how many there are.

All of it from plain documents, since those who ask may have nothing but these: a tracker, a report.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from lejepa_platform.trial_config import DEFAULTS, Flat, tupled


def namer(study: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    """What tells the variant that a trial of a study belongs to.

    Args:
        study: `StudyConfig.flat()`.

    Returns:
        From `TrialConfig.flat()` to a name; empty for a study without variants, and for a trial that is in none.
    """
    variants: Mapping[str, Flat] = study.get("variants") or {}
    varied = tuple(dict.fromkeys(chain.from_iterable(variant["settings"] for variant in variants.values())))

    def values(settings: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(tupled(settings.get(name, DEFAULTS.get(name))) for name in varied)

    known: dict[tuple[Any, ...], list[str]] = {}
    for name, variant in variants.items():
        known.setdefault(values({**study, **variant["settings"]}), []).append(name)

    def name_of(trial: Mapping[str, Any]) -> str:
        found = known.get(values(trial), [])
        # Variants that differ in λ alone.
        return next((name for name in found if len(found) == 1 or trial["lambda"] in lambdas_of(study, name)), "")

    return name_of


def lambdas_of(study: Mapping[str, Any], name: str) -> list[float]:
    """The values of λ of a variant.

    Args:
        study: `StudyConfig.flat()`.
        name: Of the variant.
    """
    variant = (study.get("variants") or {}).get(name) or {}
    found: list[float] = variant.get("lambdas") or study["lambdas"]
    return found


def variant_config(study: Mapping[str, Any], name: str) -> Flat:
    """A study that has this variant and no other, and is without a name for it.

    Args:
        study: `StudyConfig.flat()`.
        name: Of the variant.
    """
    variant = study["variants"][name]
    rest = {key: value for key, value in study.items() if key != "variants"}
    own = {} if variant.get("lambdas") is None else {"lambdas": variant["lambdas"]}
    return {**rest, **variant["settings"], **own}


def planned_trials(study: Mapping[str, Any]) -> dict[str, int]:
    """How many trials each variant of a grid has.

    Args:
        study: `StudyConfig.flat()`, with variants.
    """
    optimisers = sum(len(study["optimisers"][architecture]) for architecture in study["architectures"])
    each = len(study["seeds"]) * len(study["datasets"]) * optimisers
    return {name: each * len(lambdas_of(study, name)) for name in study["variants"]}


def slugs(names: Iterable[str]) -> dict[str, str]:
    """What stands for each variant in the names of files: `-` and its letters and digits; nothing for the empty one."""
    found: dict[str, str] = {}
    for name in names:
        slug = "-" + re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:100] if name else ""
        taken = found.values()
        found[name] = slug if slug not in taken else next(f"{slug}-{n}" for n in range(2, 10**9) if
                                                          f"{slug}-{n}" not in taken)  # fmt: skip
    return found


def report_files(study: Mapping[str, Any]) -> list[str]:
    """Names of the files that a report of a study is made of.

    Args:
        study: `StudyConfig.flat()`.
    """
    ends = dict.fromkeys(["", *slugs(study.get("variants") or ()).values()])
    return [f"{start}{end}.{kind}" for end in ends for start, kind in (("report", "html"), ("summary", "json"))]
