"""From an item to a smaller study of the same shape, with every change in words. Pure functions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from lejepa_core.architectures import find_architecture
from lejepa_platform.config import Variant
from lejepa_platform.variants import title
from sweeps.paper.item import Item, Scale, Trim
from sweeps.paper.scales import BOUNDS, Bounds
from sweeps.recipes import Recipe

T = TypeVar("T")
DEFAULTS: Final = {"slices": 1024, "projector_hidden": 512, "projector_dim": 64}
"""What settings are where a recipe does not say."""
LEAST: Final = {"batch_size": 16}
MOST_SEEDS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaled:
    """An item at a scale."""

    item: Item
    scale: Scale
    recipe: Recipe
    changes: tuple[str, ...] = ()
    """What was made smaller, in words; empty at full scale."""
    variants: Mapping[str, str] = field(default_factory=dict)
    """Name here -> name at full scale."""
    architectures: Mapping[str, str] = field(default_factory=dict)
    """Stand-in -> whom it stands in for."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    evaluate_on: tuple[str, ...] = ()


def scaled(item: Item, scale: Scale, datasets: Sequence[str] | None = None) -> Scaled:
    """An item at a scale.

    Args:
        item: Of `ITEMS`, and no benchmark.
        scale: full changes nothing.
        datasets: In place of those that the scale would choose.

    Raises:
        SettingError: If the item is a benchmark.
    """
    full = item.recipe()
    if scale == "full":
        return _as_published(item, full, datasets)
    bounds, trim = BOUNDS[scale], item.trims.get(scale, Trim())
    architectures = _architectures(full, bounds, trim)
    chosen = _datasets(full, bounds, trim, datasets)
    variants = _variants(full, bounds, trim)
    recipe = replace(
        full,
        name=f"{full.name}-{scale}",
        architectures=tuple(architectures),
        datasets=tuple(chosen),
        lambdas=thinned(full.lambdas, trim.lambdas or bounds.lambdas),
        learning_rates=full.learning_rates if bounds.optimisers else None,
        weight_decays=full.weight_decays if bounds.optimisers else None,
        local_size=full.local_size if bounds.image_size >= full.shared["image_size"] else None,
        variants={new: variant for new, (_, variant) in variants.items()},
        shared={**_shared(full, bounds), **trim.shared},
    )
    recipe = replace(recipe, seeds=_seeds(recipe, bounds, trim))
    protocols = tuple(p for p in item.protocols if bounds.protocols is None or p in bounds.protocols)
    targets = item.evaluate_on if bounds.evaluate_on is None or not item.evaluate_on else bounds.evaluate_on
    return Scaled(
        item=item,
        scale=scale,
        recipe=recipe,
        changes=tuple(_changes(full, recipe, item, protocols, targets)),
        variants={new: old for new, (old, _) in variants.items()},
        architectures=architectures,
        datasets=chosen,
        protocols=protocols,
        evaluate_on=tuple(name for name in targets if name not in chosen or len(chosen) > 1),
    )


def _as_published(item: Item, full: Recipe, datasets: Sequence[str] | None) -> Scaled:
    recipe = replace(full, name=f"{full.name}-full", datasets=tuple(datasets or full.datasets))
    changed = recipe.datasets != full.datasets
    return Scaled(
        item=item,
        scale="full",
        recipe=recipe,
        changes=(_listed("data sets", full.datasets, recipe.datasets),) if changed else (),
        variants={name: name for name in full.variants},
        architectures={name: name for name in full.architectures},
        datasets=dict(zip(recipe.datasets, [*full.datasets, *[""] * len(recipe.datasets)], strict=False)),
        protocols=item.protocols,
        evaluate_on=item.evaluate_on,
    )


def thinned(values: Sequence[T], most: int) -> tuple[T, ...]:
    """At most so many of some values, evenly spread, both ends among them.

    Args:
        values: In order.
        most: At least 1; with 1 the middle one stays.
    """
    if len(values) <= most:
        return tuple(values)
    if most == 1:
        return (values[len(values) // 2],)
    last = len(values) - 1
    return tuple(values[round(i * last / (most - 1))] for i in range(most))


def _architectures(full: Recipe, bounds: Bounds, trim: Trim) -> dict[str, str]:
    """Stand-in -> whom it stands in for."""
    if trim.architectures is not None:
        return dict(trim.architectures)
    found: dict[str, str] = {}
    for name in full.architectures:
        spec = find_architecture(name)
        kind = (name,) if spec.parameters <= bounds.parameters else bounds.stand_ins.get(spec.group, ())
        free = next((other for other in kind if other not in found), None)
        if free is not None:
            found[free] = name
    return found


def _datasets(full: Recipe, bounds: Bounds, trim: Trim, named: Sequence[str] | None) -> dict[str, str]:
    """Data set -> which it stands in for."""
    if named is not None or trim.datasets is not None:
        chosen = tuple(named if named is not None else trim.datasets or ())
        return dict(zip(chosen, [*full.datasets, *[full.datasets[-1]] * len(chosen)], strict=False))
    found: dict[str, str] = {}
    for name in full.datasets:
        for other in bounds.datasets.get(name, bounds.datasets.get("*", (name,))):
            found.setdefault(other, name)
    return found


def _shared(full: Recipe, bounds: Bounds) -> dict[str, Any]:
    shared = dict(full.shared)
    shared["epochs"] = min(shared["epochs"], bounds.epochs)
    shared["image_size"] = min(shared["image_size"], bounds.image_size)
    shared["precision"] = bounds.precision
    if bounds.limit_train is not None:
        shared["limit_train"] = bounds.limit_train
    if shared["views_local"]:
        shared["views_local"] = min(shared["views_local"], bounds.views_local)
    else:
        shared["views_global"] = min(shared["views_global"], bounds.views_global)
    return shared | {name: _bounded(full, name, value, bounds) for name, value in _bound_in(full.shared, bounds)}


def _bound_in(settings: Mapping[str, Any], bounds: Bounds) -> list[tuple[str, int]]:
    return [(name, int(settings[name])) for name in bounds.values if name in settings]


def _bounded(full: Recipe, name: str, value: int, bounds: Bounds) -> int:
    """A value divided by the power of two that brings all values of its setting within bounds."""
    every = [variant.settings[name] for variant in full.variants.values() if name in variant.settings] or [
        full.shared.get(name, DEFAULTS.get(name, value))
    ]
    factor = 2 ** max(0, math.ceil(math.log2(max(every) / bounds.values[name])))
    return max(LEAST.get(name, 1), value // factor) if value else 0


def _variants(full: Recipe, bounds: Bounds, trim: Trim) -> dict[str, tuple[str, Variant]]:
    """Name -> (name at full scale, variant)."""
    kept = trim.variants if trim.variants is not None else _kept(full.variants, bounds.variants)
    found = {}
    for name in kept:
        variant = full.variants[name]
        smaller = {s: _bounded(full, s, v, bounds) for s, v in _bound_in(variant.settings, bounds)}
        settings = {**variant.settings, **smaller}
        if "weight_average" in settings:
            settings["weight_average"] = min(settings["weight_average"], bounds.weight_average)
        lambdas = None if variant.lambdas is None else thinned(variant.lambdas, trim.lambdas or bounds.lambdas)
        new = title(settings) if name == title(variant.settings) else name
        found[new] = (name, Variant(settings=settings, lambdas=lambdas))
    return found


def _kept(variants: Mapping[str, Variant], most: int) -> tuple[str, ...]:
    """Names of at most so many variants: of each setting fewer values, its ends among them; or as few as that gives."""
    values: dict[str, set[Any]] = {}
    for variant in variants.values():
        for name, value in variant.settings.items():
            values.setdefault(name, set()).add(value)
    numbers = {name: sorted(held) for name, held in values.items() if all(isinstance(v, int | float) for v in held)}
    names = tuple(variants)
    for count in range(max((len(held) for held in numbers.values()), default=0), 1, -1):
        stay = {name: thinned(held, count) for name, held in numbers.items()}
        names = tuple(
            name
            for name, variant in variants.items()
            if all(value in stay.get(setting, (value,)) for setting, value in variant.settings.items())
        )
        if len(names) <= most:
            break
    return names


def _seeds(recipe: Recipe, bounds: Bounds, trim: Trim) -> tuple[int, ...]:
    if trim.seeds is not None:
        return tuple(range(trim.seeds))
    if bounds.seeds is None or bounds.trials is None:
        return recipe.seeds
    cells = len(recipe.architectures) * len(recipe.datasets)
    each = [len(variant.lambdas or recipe.lambdas) for variant in recipe.variants.values()] or [len(recipe.lambdas)]
    return tuple(range(min(MOST_SEEDS, max(bounds.seeds, bounds.trials // (cells * sum(each))))))


def _changes(
    full: Recipe, small: Recipe, item: Item, protocols: tuple[str, ...], targets: tuple[str, ...]
) -> list[str]:
    axes = [
        ("architectures", full.architectures, small.architectures),
        ("data sets", full.datasets, small.datasets),
        ("λ", full.lambdas, small.lambdas),
        ("seeds", full.seeds, small.seeds),
        ("learning rates", full.learning_rates or ("default",), small.learning_rates or ("default",)),
        ("weight decays", full.weight_decays or ("default",), small.weight_decays or ("default",)),
        ("variants", tuple(full.variants), tuple(small.variants)),
        ("protocols", item.protocols, protocols),
        ("other data sets", item.evaluate_on, targets),
    ]
    words = [_listed(title, before, after) for title, before, after in axes if before != after]
    names = dict.fromkeys([*full.shared, *small.shared])
    words += [
        f"{name.replace('_', '-')}: {full.shared.get(name, 'all')} → {small.shared[name]}"
        for name in names
        if full.shared.get(name) != small.shared.get(name)
    ]
    if full.local_size != small.local_size:
        words.append(f"side of local views: {full.local_size} → half of the global ones")
    if full.shared["batch_size"] != small.shared["batch_size"]:
        words.append(
            "λ is not converted: SIGReg has the factor N of the batch, so that the same λ weighs it "
            f"{full.shared['batch_size'] / small.shared['batch_size']:g} times less here"
        )
    return words


def _listed(title: str, before: Iterable[object], after: Iterable[object]) -> str:
    first, second = [str(v) for v in before], [str(v) for v in after]
    return f"{title}: {_few(first)} → {_few(second)}"


def _few(names: list[str]) -> str:
    shown = "; ".join(names[:6]) if any(" " in name for name in names) else ", ".join(names[:6])
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (shown or "none") + more
