"""From an item to a smaller study of the same shape, with every change in words. Pure functions."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from lejepa_core.architectures import find_architecture
from lejepa_core.datasets.folder import folder_name
from lejepa_platform.config import Variant
from lejepa_platform.trial_config import DEFAULTS
from lejepa_platform.variants import shown, title
from sweeps.paper.item import Item, Scale, Trim
from sweeps.paper.scales import BOUNDS, LEAST, Bounds
from sweeps.recipes import Recipe

T = TypeVar("T")
MOST_SEEDS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaled:
    """An item at a scale."""

    item: Item
    scale: Scale
    recipe: Recipe
    changes: tuple[str, ...] = ()
    """What was made smaller or otherwise changed, in words; empty at full scale."""
    variants: Mapping[str, str] = field(default_factory=dict)
    """Name here -> name at full scale."""
    architectures: Mapping[str, str] = field(default_factory=dict)
    """Stand-in -> whom it stands in for."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Data set -> which of the item's it stands in for; "" = none."""
    protocols: tuple[str, ...] = ()
    evaluate_on: tuple[str, ...] = ()


def scaled(item: Item, scale: Scale, datasets: Sequence[str] | None = None) -> Scaled:
    """An item at a scale.

    Args:
        item: Of `ITEMS`, and no benchmark.
        scale: full changes nothing.
        datasets: In place of those that the scale would choose. The item's own stand for themselves.

    Raises:
        SettingError: If the item is a benchmark.
    """
    full = item.recipe()
    if scale == "full":
        return _as_published(item, full, datasets)
    bounds, trim = BOUNDS[scale], item.trims.get(scale, Trim())
    architectures = _architectures(full, bounds, trim)
    chosen = _datasets(full, bounds, trim, datasets)
    variants = _variants(full, bounds, trim, item.anchors)
    recipe = replace(
        full,
        name=f"{full.name}-{scale}",
        architectures=tuple(architectures),
        datasets=tuple(chosen),
        lambdas=thinned(full.lambdas, trim.lambdas or bounds.lambdas, item.anchors.get("", ())),
        learning_rates=full.learning_rates if bounds.optimisers else None,
        weight_decays=full.weight_decays if bounds.optimisers else None,
        local_size=full.local_size if bounds.image_size >= full.shared["image_size"] else None,
        variants={new: variant for new, (_, variant) in variants.items()},
        shared={**_shared(full, bounds), **trim.shared},
    )
    recipe = replace(recipe, seeds=_seeds(recipe, bounds, trim))
    names = {new: old for new, (old, _) in variants.items()}
    protocols = tuple(p for p in item.protocols if bounds.protocols is None or p in bounds.protocols)
    targets = item.evaluate_on if bounds.evaluate_on is None or not item.evaluate_on else bounds.evaluate_on
    return Scaled(
        item=item,
        scale=scale,
        recipe=recipe,
        changes=tuple(_changes(full, recipe, item, names, protocols, targets)),
        variants=names,
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
        datasets=_paired(full.datasets, recipe.datasets),
        protocols=item.protocols,
        evaluate_on=item.evaluate_on,
    )


def thinned(values: Sequence[T], most: int, kept: Sequence[T] = ()) -> tuple[T, ...]:
    """At most so many of some values, evenly spread, both ends among them.

    Args:
        values: In order.
        most: At least 1; with 1 the middle one stays.
        kept: Values that stay, the first of them first where there is no room for all: the nearest of the others gives
            way to each. What is not among the values is of no consequence.
    """
    last = len(values) - 1
    if last < most:
        return tuple(values)
    chosen = {round(i * last / (most - 1)) for i in range(most)} if most > 1 else {len(values) // 2}
    wanted = [values.index(value) for value in kept if value in values]
    fixed = ({0, last} if most > 1 else set()) | (chosen & set(wanted))
    for place in wanted:
        free = sorted(chosen - fixed)
        if place not in chosen and free:
            chosen = chosen - {min(free, key=lambda other: abs(other - place))} | {place}
            fixed.add(place)
    return tuple(values[i] for i in sorted(chosen))


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
        return _paired(full.datasets, named if named is not None else trim.datasets or ())
    found: dict[str, str] = {}
    for name in full.datasets:
        for other in bounds.datasets.get(name, bounds.datasets.get("*", (name,))):
            found.setdefault(other, name)
    return found


def _paired(own: Sequence[str], chosen: Sequence[str]) -> dict[str, str]:
    """Data set -> which of an item's own it stands in for: itself, or one that nobody is yet; "" = none."""
    left = iter([name for name in own if name not in chosen])
    return {name: name if name in own else next(left, "") for name in chosen}


def _shared(full: Recipe, bounds: Bounds) -> dict[str, Any]:
    shared = dict(full.shared)
    shared["epochs"] = min(shared["epochs"], bounds.epochs)
    shared["image_size"] = min(shared["image_size"], bounds.image_size)
    shared["precision"] = bounds.precision
    if "warmup" in shared:
        # As many epochs as it was.
        shared["warmup"] *= full.shared["epochs"] / shared["epochs"]
    if bounds.limit_train is not None:
        shared["limit_train"] = bounds.limit_train
    if shared["views_local"]:
        shared["views_local"] = min(shared["views_local"], bounds.views_local)
    else:
        shared["views_global"] = min(shared["views_global"], bounds.views_global)
    return shared | _bounded(full.shared, full, bounds)


def _bounded(settings: Mapping[str, Any], full: Recipe, bounds: Bounds) -> dict[str, int]:
    """Those of some settings that a scale bounds, made smaller."""
    return {name: settings[name] // _divisor(full, name, bounds) for name in bounds.values if name in settings}


def _divisor(full: Recipe, name: str, bounds: Bounds) -> int:
    """The power of two that brings all values of a setting within bounds, as far as none falls below `LEAST`."""
    every = [value for _, settings, _ in full.resolved if (value := settings.get(name))]
    if not every:
        return 1
    wanted = math.ceil(math.log2(max(every) / bounds.values[name]))
    possible = math.floor(math.log2(min(every) / LEAST.get(name, 1)))
    return 2 ** max(0, min(wanted, possible))


def _variants(
    full: Recipe, bounds: Bounds, trim: Trim, anchors: Mapping[str, tuple[float, ...]]
) -> dict[str, tuple[str, Variant]]:
    """Name -> (name at full scale, variant)."""
    kept = trim.variants if trim.variants is not None else _kept(full.variants, bounds.variants)
    found = {}
    for name in kept:
        variant = full.variants[name]
        settings = {**variant.settings, **_bounded(variant.settings, full, bounds)}
        if "weight_average" in settings:
            settings["weight_average"] = min(settings["weight_average"], bounds.weight_average)
        lambdas = variant.lambdas and thinned(variant.lambdas, trim.lambdas or bounds.lambdas, anchors.get(name, ()))
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
    full: Recipe,
    small: Recipe,
    item: Item,
    variants: Mapping[str, str],
    protocols: tuple[str, ...],
    targets: tuple[str, ...],
) -> list[str]:
    axes = [
        ("architectures", full.architectures, small.architectures),
        ("data sets", full.datasets, tuple(map(_called, small.datasets))),
        *_lambdas(full, small, variants),
        ("seeds", full.seeds, small.seeds),
        ("learning rates", full.learning_rates or ("default",), small.learning_rates or ("default",)),
        ("weight decays", full.weight_decays or ("default",), small.weight_decays or ("default",)),
        ("variants", tuple(full.variants), tuple(small.variants)),
        ("protocols", item.protocols, protocols),
        ("other data sets", item.evaluate_on, targets),
    ]
    words = [_listed(title, before, after) for title, before, after in axes if before != after]
    varied = set.intersection(*(set(one.settings) for one in small.variants.values())) if small.variants else set()
    settings = {name: full.shared.get(name, DEFAULTS.get(name)) for name in small.shared if name not in varied}
    words += [
        f"{name.replace('_', '-')}: {'all' if before is None else shown(before)} → {shown(small.shared[name])}"
        for name, before in settings.items()
        if before != small.shared[name]
    ]
    if full.local_size != small.local_size:
        words.append(f"side of local views: {full.local_size} → half of the global ones")
    if full.shared["batch_size"] != small.shared["batch_size"]:
        words.append(
            "λ is not converted: SIGReg has the factor N of the batch, so that the same λ weighs it "
            f"{full.shared['batch_size'] / small.shared['batch_size']:g} times less here"
        )
    return words


def _lambdas(
    full: Recipe, small: Recipe, variants: Mapping[str, str]
) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Each grid of λ and what became of it: that of the study, or that of a variant which has its own."""
    own = {new: old for new, old in variants.items() if small.variants[new].lambdas}
    if len(own) < max(1, len(variants)):
        yield "λ", full.lambdas, small.lambdas
    for new, old in own.items():
        yield f"λ of {new}", full.variants[old].lambdas or (), small.variants[new].lambdas or ()


def _listed(title: str, before: Iterable[object], after: Iterable[object]) -> str:
    first, second = [str(v) for v in before], [str(v) for v in after]
    return f"{title}: {_few(first)} → {_few(second)}"


def _called(dataset: str) -> str:
    kind, colon, path = dataset.partition(":")
    return folder_name(Path(path)) if colon and kind == "folder" else dataset


def _few(names: list[str]) -> str:
    first = "; ".join(names[:6]) if any(" " in name for name in names) else ", ".join(names[:6])
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (first or "none") + more
