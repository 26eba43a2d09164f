"""The λ of one implementation in another, and what cannot be carried over."""

import math
from dataclasses import dataclass

from lejepa_core.conventions import Run, effective_weight, find_convention, scatter, term_weights
from lejepa_core.errors import SettingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A converted λ."""

    value: float
    """λ of the target."""
    factor: float
    """The source's loss is so many times the target's, for a learning rate that depends on the loss's scale."""
    effective_weight: float
    """Weight of the Epps-Pulley integral without N over weight of our prediction, of source and target alike."""
    notes: tuple[str, ...]
    """What differs still, and what was assumed."""


def convert(
    value: float,
    *,
    source: str,
    target: str = "ours",
    batch_size: int,
    views_global: int = 2,
    views_local: int = 6,
    world_size: int = 1,
    projection_dim: int | None = None,
) -> Conversion:
    """The target's λ whose gradient points where that of the source's λ does.

    With an optimiser such as AdamW, whose steps do not depend on the loss's scale, nothing else is to be done; with
    SGD the target's learning rate is the source's times `Conversion.factor`.

    Args:
        value: λ of the source.
        source: A name of `lejepa_core.conventions.CONVENTIONS`.
        target: Another.
        batch_size: Images per optimisation step, over all ranks together.
        views_global: Large crops per image.
        views_local: Small crops per image.
        world_size: Ranks that share the batch and average their gradients.
        projection_dim: Width of the projections, for a prediction that sums over dims.

    Returns:
        λ, the factor of the loss, and notes on what is not the same.

    Raises:
        UnknownNameError: If a name is unknown.
        SettingError: If a value is outside its range, or no finite λ of the target means the same.
    """
    run = Run(
        batch_size=batch_size,
        views_global=views_global,
        views_local=views_local,
        world_size=world_size,
        projection_dim=projection_dim,
    )
    weight = effective_weight(source, value, run)
    if math.isinf(weight) and find_convention(target).form == "additive":
        raise SettingError(
            f"λ = {value} of {source} came, which turns prediction off; {target} is an additive sum and would need an "
            "infinite λ: give less than 1"
        )
    return Conversion(
        value=_value(weight, target, run),
        factor=_factor(value, source, target, run),
        effective_weight=weight,
        notes=_notes(source, target, run, weight),
    )


def _value(weight: float, name: str, run: Run) -> float:
    prediction, sigreg = term_weights(name, run)
    odds = weight * prediction / sigreg
    if find_convention(name).form == "additive":
        return odds
    return 1.0 if math.isinf(odds) else odds / (1 + odds)


def _factor(value: float, source: str, target: str, run: Run) -> float:
    here, there = find_convention(source), find_convention(target)
    (prediction, sigreg), (prediction_there, sigreg_there) = term_weights(source, run), term_weights(target, run)
    if here.form == "convex" and value == 1:
        return sigreg / sigreg_there
    absolute = (1 - value if here.form == "convex" else 1) * prediction / prediction_there
    odds = effective_weight(source, value, run) * prediction_there / sigreg_there
    return absolute * (1 + odds if there.form == "convex" else 1)


def _notes(source: str, target: str, run: Run, weight: float) -> tuple[str, ...]:
    conventions = [find_convention(name) for name in (source, target)]
    notes = [_quadrature(source, target), _pooling(source, target), _prediction(source, target, run, weight)]
    if find_convention(source).factor_n != find_convention(target).factor_n:
        notes.append(f"this holds for batches of {run.batch_size}: only one of both multiplies SIGReg by the samples")
    if run.world_size > 1:
        notes += [convention.ranks_note for convention in conventions]
    return tuple(filter(None, dict.fromkeys([*notes, *(convention.remark for convention in conventions)])))


def _quadrature(source: str, target: str) -> str:
    here, there = find_convention(source), find_convention(target)
    if here.quadrature() == there.quadrature():
        return ""
    return (
        f"{source} integrates with {here.grid}, {target} with {there.grid}: on the same projections SIGReg of "
        f"{source} is, but for its factors, {here.floor / there.floor:.3f} times that of {target} where they are "
        f"Gaussian, {here.ceiling / there.ceiling:.3f} times where they collapsed; the converted λ leaves this out"
    )


def _pooling(source: str, target: str) -> str:
    if find_convention(source).pooled == find_convention(target).pooled:
        return ""
    pooled, apart = (source, target) if find_convention(source).pooled else (target, source)
    return (
        f"{pooled} tests the projections of all views as one sample, {apart} those of each view alone: the same "
        "gradient where all views have the same distribution, else another statistic (8 views of 256 images, 64 dims: "
        "cosine of both gradients 0.996 far from a Gaussian, 0.89 at one)"
    )


def _prediction(source: str, target: str, run: Run, weight: float) -> str:
    ratio = scatter(target, run) / scatter(source, run)
    if math.isclose(ratio, 1):
        return ""
    return (
        f"{source} draws {_drawn(source, run)}, {target} {_drawn(target, run)}: no λ makes these the same function; "
        f"where all views of an image scatter alike, prediction of {target} is {ratio:.3g} times as large, and "
        f"λ = {_value(weight * ratio, target, run):.3g} would keep the balance of both terms"
    )


def _drawn(name: str, run: Run) -> str:
    match find_convention(name).centre:
        case "the other of two views":
            return "two views to each other"
        case "all views":
            return f"{run.views} views to the mean of all"
        case "global views, for local views only" if run.views_local:
            return f"{run.views_local} local views to the mean of {run.views_global} global ones"
        case _:
            return f"{run.views} views to the mean of {run.views_global} global ones"
