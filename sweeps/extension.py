"""A study that grows: what is stored stays, what the command names is added to its axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lejepa_core.errors import SettingError
from lejepa_core.settings import Stream
from lejepa_platform.config import StudyConfig, Variant, union
from lejepa_platform.variants import Grids, clashing, joined
from sweeps.planning import Plan
from sweeps.recipes import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredStudy:
    """What a study's folder says about it."""

    config: StudyConfig
    sources: Mapping[str, str]
    """Data set name -> where its images are."""
    notes: Sequence[str]
    """Lines for the report."""
    streams: Mapping[str, Stream]
    """Data set name -> whether it is streamed; studies were silent about it once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Values that a command names; empty for an axis that it does not mention."""

    architectures: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    lambdas: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    variants: Mapping[str, Variant] = field(default_factory=dict)


def grown_from(stored: StoredStudy, more: Axes) -> Recipe:
    """The recipe of a stored study with more values on its axes.

    Raises:
        SettingError: If a variant of that name has other settings in the study.
    """
    config = stored.config
    if clashing(config.variants, more.variants):
        (name, *_) = clashing(config.variants, more.variants)
        raise SettingError(f"study {config.name!r} has a variant {name!r} with other settings; name this one otherwise")
    variants = config.variants
    if more.variants:
        stored_grids, new_grids = Grids(config.variants, config.lambdas), Grids(more.variants, more.lambdas)
        variants = joined(stored_grids, new_grids, config.shared)
    return Recipe(
        name=config.preset,
        architectures=union(config.architectures, more.architectures),
        datasets=union(tuple(stored.sources[name] for name in config.datasets), more.datasets),
        lambdas=union(config.lambdas, more.lambdas),
        seeds=union(config.seeds, more.seeds),
        search=config.search,
        trials=config.trials,
        shared=config.shared,
        variants=variants,
    )


def grown(plan: Plan, stored: StoredStudy, *, optimisers_named: bool) -> Plan:
    """A plan that keeps the stored optimisers unless the command names others, and the stored notes."""
    optimisers = dict(plan.config.optimisers)
    if not optimisers_named:
        optimisers |= stored.config.optimisers
    notes = list(dict.fromkeys([*stored.notes, *plan.notes]))
    return replace(plan, config=replace(plan.config, optimisers=optimisers), notes=notes)
