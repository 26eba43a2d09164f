"""A study that grows: what is stored stays, what the command names is added to its axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lejepa_platform.config import StudyConfig
from sweeps.planning import Plan
from sweeps.recipes import Recipe

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredStudy:
    """What a study's folder says about it."""

    config: StudyConfig
    sources: Mapping[str, str]
    """Data set name -> where its images are."""
    notes: Sequence[str]
    """Lines for the report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Values that a command names; empty for an axis that it does not mention."""

    architectures: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    lambdas: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()


def grown_from(stored: StoredStudy, more: Axes) -> Recipe:
    """The recipe of a stored study with more values on its axes."""
    config = stored.config
    return Recipe(
        name=config.preset,
        architectures=_union(config.architectures, more.architectures),
        datasets=_union(tuple(stored.sources[name] for name in config.datasets), more.datasets),
        lambdas=_union(config.lambdas, more.lambdas),
        seeds=_union(config.seeds, more.seeds),
        search=config.search,
        trials=config.trials,
        shared=config.shared,
    )


def grown(plan: Plan, stored: StoredStudy, *, optimisers_named: bool) -> Plan:
    """A plan that keeps the stored optimisers unless the command names others, and the stored notes."""
    optimisers = dict(plan.config.optimisers)
    if not optimisers_named:
        optimisers |= stored.config.optimisers
    notes = list(dict.fromkeys([*stored.notes, *plan.notes]))
    return replace(plan, config=replace(plan.config, optimisers=optimisers), notes=notes)


def _union(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))
