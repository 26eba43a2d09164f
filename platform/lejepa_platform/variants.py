"""Variants: settings that a study compares, each of them over its cells, seeds and values of λ.

No trial knows of its variant, since its key is a hash of the settings that it has, whoever asked for them. To which
variant it belongs is told by these settings: see `stored_variants`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import chain
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

from lejepa_core.errors import SettingError, UnknownNameError
from lejepa_platform.trial_config import DEFAULTS, Flat, TrialConfig, tupled

AXES: Final = frozenset({"architecture", "dataset", "lambda_", "learning_rate", "weight_decay", "seed"})
"""Settings that have an axis of their own in every study."""
_SAME: Final = frozenset({"family", "data_fingerprint", "image_size", "local_size", "pretrained", "weights_revision"})
"""Settings that decide which images or weights a study begins from: these are looked at once for all its trials."""
VARYING: Final = tuple(f.name for f in fields(TrialConfig) if f.name not in AXES | _SAME)
"""Settings in which variants may differ."""
_HINTS: Final[Mapping[str, Any]] = get_type_hints(TrialConfig)
_WORDS: Final[Mapping[Any, str]] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What sets some of a study's trials apart from the others.

    Raises:
        UnknownNameError: If a trial has no such setting.
        SettingError: If variants cannot differ in a setting, or a value is of another kind.
    """

    settings: Mapping[str, Any]
    """Fields of `TrialConfig` -> their values here, in place of those that the study shares."""
    lambdas: tuple[float, ...] | None = None
    """Its own values of λ; None = the study's."""

    def __post_init__(self) -> None:
        """Give each value the type that the trial has it in: what equals must have equal keys."""
        settings = {name: as_setting(name, value) for name, value in self.settings.items()}
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "lambdas", self.lambdas and tuple(sorted(self.lambdas)))

    def flat(self) -> Flat:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_flat(cls, flat: Mapping[str, Any]) -> Self:
        """Rebuild from `flat()`."""
        return cls(settings=flat["settings"], lambdas=tupled(flat["lambdas"]))


Variants = Mapping[str, Variant]
"""Name -> variant; empty for a study whose trials are all alike."""


class Grids(NamedTuple):
    """The variants of a study, and the values of λ of those that have none of their own."""

    variants: Variants
    lambdas: tuple[float, ...]


class Resolved(NamedTuple):
    """A variant with what it shares with the others."""

    name: str
    """Empty for a study without variants."""
    settings: Mapping[str, Any]
    lambdas: tuple[float, ...]


def resolved(shared: Mapping[str, Any], lambdas: tuple[float, ...], variants: Variants) -> list[Resolved]:
    """Every variant of a study, in order; one without a name where there is none.

    Args:
        shared: What all trials share unless their variant says otherwise.
        lambdas: The study's.
        variants: What they differ in.
    """
    if not variants:
        return [Resolved("", shared, lambdas)]
    return [
        Resolved(name, {**shared, **variant.settings}, variant.lambdas or lambdas) for name, variant in variants.items()
    ]


def as_setting(name: str, value: Any) -> Any:
    """A value in the type that a trial has it in: whole numbers become floats, lists tuples, where these are wanted.

    Raises:
        UnknownNameError: If a trial has no such setting.
        SettingError: If variants cannot differ in it, or the value is of another kind.
    """
    if name in AXES:
        raise SettingError(f"variants came that differ in {name.rstrip('_')}, which is an axis of its own; name its "
                           "values there")  # fmt: skip
    if name in _SAME:
        raise SettingError(f"variants came that differ in {name}, which all trials of a study share; make a study each "
                           "and put them side by side with lejepa compare")  # fmt: skip
    if name not in VARYING:
        raise UnknownNameError("setting", name, VARYING, " ".join(VARYING))
    try:
        return _converted(_HINTS[name], value)
    except ValueError:
        raise SettingError(f"{name} = {value} came, {_wanted(_HINTS[name])} was wanted") from None


def _converted(hint: Any, value: Any) -> Any:
    kind = get_origin(hint)
    if kind is UnionType:
        return None if value is None else _converted(get_args(hint)[0], value)
    if kind is Literal and value in get_args(hint):
        return value
    if kind is tuple and isinstance(value, list | tuple) and len(value) == len(get_args(hint)):
        return tuple(_converted(part, each) for part, each in zip(get_args(hint), value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint:
        return value
    raise ValueError


def _wanted(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} numbers in brackets"
    choices = get_args(hint) or (hint,)
    return " or ".join(_WORDS.get(choice, str(choice)) for choice in choices)


def shown(value: Any) -> str:
    """A value of a setting in a variant's name."""
    if isinstance(value, tuple | list):
        return f"[{','.join(map(shown, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def title(settings: Mapping[str, Any]) -> str:
    """The name of a variant that has no better one, such as `views_global=2 slices=256`."""
    return " ".join(f"{name}={shown(value)}" for name, value in settings.items())


def check_variants(every: Iterable[Resolved]) -> None:
    """Refuse trials that belong to two variants.

    Raises:
        SettingError: If there are any.
    """
    every = list(every)
    varied = dict.fromkeys(chain.from_iterable(one.settings for one in every))
    seen: dict[tuple[Any, ...], str] = {}
    for name, settings, lambdas in every:
        values = tuple(tupled(settings.get(field, DEFAULTS.get(field))) for field in varied)
        for lambda_ in lambdas:
            other = seen.setdefault((values, lambda_), name)
            if other != name:
                raise SettingError(f"variants {other!r} and {name!r} hold the same trials; leave out one, or give each "
                                   "other values of λ")  # fmt: skip


def clashing(first: Variants, second: Variants) -> list[str]:
    """Names that stand for other variants in one study than in another."""
    return [name for name, one in first.items() if name in second and not _alike(one, second[name])]


def _alike(one: Variant, other: Variant) -> bool:
    return one.settings == other.settings and (one.lambdas is None) is (other.lambdas is None)


def joined(first: Grids, second: Grids, shared: Mapping[str, Any]) -> dict[str, Variant]:
    """The variants of two studies that share all else; a study without variants counts as one beside the other's.

    Args:
        first: Does not clash with the second.
        second: Its values of λ are added where both have a variant.
        shared: What all trials of both share.
    """
    one = first.variants or _unnamed(second.variants, shared, first.lambdas)
    other = second.variants or _unnamed(first.variants, shared, second.lambdas)
    return {
        name: Variant(
            settings=(one.get(name) or other[name]).settings,
            lambdas=tuple({*_own(one, name), *_own(other, name)}) or None,
        )
        for name in dict.fromkeys([*one, *other])
    }


def _own(variants: Variants, name: str) -> tuple[float, ...]:
    return (variants[name].lambdas or ()) if name in variants else ()


def _unnamed(others: Variants, shared: Mapping[str, Any], lambdas: tuple[float, ...]) -> dict[str, Variant]:
    """What a study without variants is beside others: as they are named, if it is one of them, with its own λ."""
    if not others:
        return {}
    values = {**DEFAULTS, **shared}
    settings = {name: values[name] for other in others.values() for name in other.settings}
    own = Variant(settings=settings)
    alike = [name for name, other in others.items() if {**own.settings, **other.settings} == own.settings]
    if not alike:
        return {title(own.settings): own}
    if common := [name for name in alike if others[name].lambdas is None]:
        return {common[0]: others[common[0]]}
    name, *rest = alike
    held = set(chain.from_iterable(_own(others, other) for other in rest))
    return {name: Variant(settings=others[name].settings, lambdas=tuple(v for v in lambdas if v not in held))}
