"""What the commands print of items."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from lejepa_core.datasets.registry import DATASETS
from lejepa_platform.progress import duration
from sweeps.estimate import Estimate
from sweeps.paper.item import EVERY, Item, Published
from sweeps.paper.scaling import Scaled

Json = dict[str, Any]


def listing(item: Item) -> Json:
    """A row of `lejepa paper list`."""
    return {
        "name": item.name,
        "title": item.title,
        "published": sum(not row.aside for row in item.published),
        "trials": count(item),
        "source": item.source,
    }


def count(item: Item) -> int | None:
    """Trials at full scale; None for a benchmark."""
    if item.make is None:
        return None
    recipe = item.make()
    optimisers = len(recipe.learning_rates or (0,)) * len(recipe.weight_decays or (0,))
    cells = len(recipe.architectures) * len(recipe.datasets) * len(recipe.seeds) * optimisers
    return cells * sum(len(lambdas) for _, _, lambdas in recipe.resolved)


def about(item: Item) -> Iterator[str]:
    """Lines of `lejepa paper show`."""
    yield f"{item.name}: {item.title}"
    yield item.about
    yield f"source: {item.source}"
    if item.make is not None:
        recipe = item.make()
        yield ""
        yield f"architectures: {', '.join(recipe.architectures)}"
        yield f"data sets: {', '.join(recipe.datasets)}"
        if item.evaluate_on:
            yield f"evaluated on as well: {', '.join(item.evaluate_on)}"
        if item.protocols:
            yield f"measured besides: {', '.join(item.protocols)}"
        yield f"learning rates: {_values(recipe.learning_rates)}"
        yield f"weight decays: {_values(recipe.weight_decays)}"
        yield f"seeds: {_values(recipe.seeds)}"
        for name, settings, lambdas in recipe.resolved:
            yield f"{name or 'settings'}: λ {' '.join(f'{value:g}' for value in lambdas)}"
            if not name:
                yield from (f"  {key}: {value}" for key, value in settings.items())
        if recipe.variants:
            varied = {key for variant in recipe.variants.values() for key in variant.settings}
            yield from (f"  {key}: {value}" for key, value in recipe.shared.items() if key not in varied)
        if recipe.local_size is not None:
            yield f"  side of local views: {recipe.local_size}"
        yield f"{count(item)} trials"
    if item.published:
        yield ""
        yield "published:"
        yield from (f"  {published_words(row)}" for row in item.published)
    yield ""
    yield "what differs, and what the numbers hide:"
    yield from (f"- {line}" for line in item.differences)


def _values(values: Iterable[float] | None) -> str:
    return "the default of each group of families" if values is None else " ".join(f"{value:g}" for value in values)


def published_name(one: Published) -> str:
    """What a published number is of."""
    dial = one.label or ("" if one.lambda_ is None else f"λ {one.lambda_:g}")
    return " · ".join(part for part in (one.variant, one.architecture, one.dataset, dial) if part not in ("", EVERY))


def published_words(one: Published) -> str:
    """A published number in one line."""
    spread = "" if one.sd is None else f" ± {one.sd:g}"
    return f"{published_name(one)} [{one.metric}] {one.value:g}{spread}{' (not measured here)' if one.aside else ''}"


def plan_lines(found: Scaled, cost: Estimate) -> Iterator[str]:
    """Lines of `lejepa paper plan`."""
    machine = cost.machine
    unit = "core-hours" if machine.kind == "cpu" else "GPU-hours"
    devices = f"{machine.devices} {'cores' if machine.kind == 'cpu' else 'GPUs'}"
    yield f"{found.item.name} at scale {found.scale}: {found.item.title}"
    yield f"images   {images_words(found)}"
    yield f"trials   {cost.trials}"
    yield f"time     {hours(cost.device_seconds)} {unit}, {duration(cost.wall_seconds)} on {machine.name} ({devices})"
    yield f"memory   {size(cost.memory_bytes)} per trial{_fits(cost)}"
    yield f"disk     {size(cost.disk_bytes)}, without the images"
    yield f"MLflow   {cost.rows:,.0f} rows"
    yield f"assumed  {machine.assumed}"
    if found.changes:
        yield ""
        yield "changed from the full study:"
        yield from (f"- {line}" for line in found.changes)
    yield ""
    yield "differs from what was published:"
    yield from (f"- {line}" for line in found.item.differences)


def images_words(found: Scaled) -> str:
    """Data sets of a study, and which of them have to be fetched before it can run."""
    names = list(dict.fromkeys((*found.recipe.datasets, *found.evaluate_on)))
    away = [name for name in names if name in DATASETS and not DATASETS[name].bundled]
    which = "" if away == names else f" for {', '.join(away)}"
    return ", ".join(names) + (f" (lejepa datasets get NAME{which})" if away else "")


def _fits(cost: Estimate) -> str:
    room = cost.machine.memory / (cost.machine.devices if cost.machine.kind == "cpu" else 1)
    if cost.memory_bytes <= room:
        return f" of {size(room)}"
    return f", and {size(room)} are there: --micro-batch, or --workers-per-trial {math.ceil(cost.memory_bytes / room)}"


def hours(seconds: float) -> str:
    """Hours to two digits that count."""
    value = seconds / 3600
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def size(count_: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count_ < 1000:
            return f"{count_:.3g} {unit}"
        count_ /= 1000
    return f"{count_:,.3g} TB"


def plan_json(found: Scaled, cost: Estimate) -> Json:
    """What `lejepa paper plan --json` prints."""
    return {
        "item": found.item.name,
        "scale": found.scale,
        "machine": cost.machine.name,
        "assumed": cost.machine.assumed,
        "datasets": list(found.recipe.datasets),
        "evaluate_on": list(found.evaluate_on),
        "trials": cost.trials,
        "device_hours": cost.device_seconds / 3600,
        "wall_seconds": cost.wall_seconds,
        "memory_bytes": cost.memory_bytes,
        "disk_bytes": cost.disk_bytes,
        "mlflow_rows": round(cost.rows),
        "changes": list(found.changes),
        "differences": list(found.item.differences),
    }
