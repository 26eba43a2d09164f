"""What a study is, as plain data with one canonical form."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain, product
from typing import Any, Literal, Self, TypeVar

from lejepa_core.errors import SettingError
from lejepa_platform.trial_config import METHOD_VERSION, Flat, TrialConfig, differences, plain, tupled
from lejepa_platform.variants import Grids, Resolved, Variant, Variants, check_variants, clashing, joined, resolved

__all__ = [
    "METHOD_VERSION",
    "STREAM_HINT",
    "Flat",
    "Search",
    "StudyConfig",
    "TrialConfig",
    "Variant",
    "check_lambdas",
    "check_study_variants",
    "differences",
    "union",
]

STREAM_HINT = " (streamed and decoded images have different fingerprints: give the --stream of before)"
"""What an error adds where a data set has other images than before."""

Search = Literal["grid", "tpe", "qmc"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """A named set of trials: the axes of a study and what all its trials share."""

    name: str
    """Name of the study, and of its folder under the storage."""
    preset: str
    """Recipe that it was made from."""
    architectures: tuple[str, ...]
    datasets: tuple[str, ...]
    """Names as the data sets call themselves; `study.json` holds beside this where the images are."""
    fingerprints: Mapping[str, str]
    """Data set name -> fingerprint of its images."""
    lambdas: tuple[float, ...]
    """The grid, or the two ends of the range to search."""
    optimisers: Mapping[str, tuple[tuple[float, float], ...]]
    """Architecture -> its (learning rate, weight decay) pairs."""
    families: Mapping[str, str]
    """Architecture -> family, the module of timm that holds it; a label."""
    local_sizes: Mapping[str, int]
    """Architecture -> side of its local views, in pixels: the global size where it takes one size only."""
    seeds: tuple[int, ...]
    search: Search = "grid"
    trials: int = 0
    """λ values tried per cell by a search; 0 for a grid."""
    labelled: bool = True
    """Whether the images have classes; without, nothing is probed."""
    evaluate_on: Mapping[str, str] = field(default_factory=dict)
    """Other data sets that the encoders are evaluated on: name -> fingerprint. No trial's key depends on it."""
    protocols: tuple[str, ...] = ()
    """What the encoders are measured by, besides what always is. No trial's key depends on it."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Architecture -> commit of its weights on the hub, where pretraining continues from these; else empty."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `TrialConfig`, the same in every trial, unless its variant has another value."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """Name -> what sets some trials apart from others; empty if nothing does. No trial's key depends on a name."""

    def __post_init__(self) -> None:
        """Refuse an empty or doubled axis, and a λ that is no trade-off."""
        for axis in ("architectures", "datasets", "lambdas", "seeds"):
            values = getattr(self, axis)
            if not values:
                raise SettingError(f"no {axis} came, at least one was wanted")
            if len(set(values)) != len(values):
                raise SettingError(f"{axis} hold a value twice: {' '.join(map(str, values))}")
        for architecture, pairs in self.optimisers.items():
            if len(set(pairs)) != len(pairs):
                raise SettingError(f"learning rates or weight decays of {architecture} hold a value twice: {pairs}")
        if len(set(self.fingerprints.values())) != len(self.fingerprints):
            raise SettingError(f"two data sets hold the same images: {' '.join(self.fingerprints)}")
        check_lambdas(self.lambdas)
        check_study_variants(self.shared, self.lambdas, self.variants, searched=self.search != "grid")
        if self.search == "tpe" and not self.labelled:
            raise SettingError("--search tpe needs accuracies to go by, and --unlabelled has none; use qmc or grid")
        if self.search != "grid" and (len(self.lambdas) < 2 or self.trials < 1):
            raise SettingError("a search needs two ends of λ and --trials of at least 1")

    @property
    def resolved(self) -> list[Resolved]:
        """Its variants, in order, each with all its settings; one without a name where there is none."""
        return resolved(self.shared, self.lambdas, self.variants)

    def cells(self) -> Iterator[tuple[str, str]]:
        """Every (architecture, data set), architectures turning fastest."""
        for dataset, architecture in product(self.datasets, self.architectures):
            yield architecture, dataset

    def trial(
        self,
        architecture: str,
        dataset: str,
        *,
        lambda_: float,
        optimiser: tuple[float, float],
        seed: int,
        settings: Mapping[str, Any] | None = None,
    ) -> TrialConfig:
        """One trial of this study; `settings` are those of its variant, None = what all share."""
        return TrialConfig(
            architecture=architecture,
            family=self.families[architecture],
            dataset=dataset,
            data_fingerprint=self.fingerprints[dataset],
            lambda_=lambda_,
            learning_rate=optimiser[0],
            weight_decay=optimiser[1],
            seed=seed,
            local_size=self.local_sizes[architecture],
            weights_revision=self.weights.get(architecture, ""),
            **(self.shared if settings is None else settings),
        )

    def grid(self) -> list[TrialConfig]:
        """Every trial of a grid study once; λ turns fastest and seeds slowest, so that cells fill up evenly."""
        return [
            self.trial(architecture, dataset, lambda_=lambda_, optimiser=optimiser, seed=seed, settings=settings)
            for seed in self.seeds
            for _, settings, lambdas in self.resolved
            for architecture, dataset in self.cells()
            for optimiser in self.optimisers[architecture]
            for lambda_ in lambdas
        ]

    def extended(self, other: Self) -> Self:
        """This study with the values that another adds to its axes.

        Raises:
            SettingError: If the two differ in more than their axes.
        """
        if different := self.conflicts(other):
            raise SettingError(
                f"--extend adds to the axes of a study; {self.name!r} has other {', '.join(different)}"
                f"{STREAM_HINT if self.other_images(other) else ''}"
            )
        optimisers = {
            name: union(self.optimisers.get(name, ()), other.optimisers.get(name, ()))
            for name in union(self.architectures, other.architectures)
        }
        return replace(
            self,
            architectures=union(self.architectures, other.architectures),
            datasets=union(self.datasets, other.datasets),
            fingerprints={**self.fingerprints, **other.fingerprints},
            lambdas=tuple(sorted(union(self.lambdas, other.lambdas))),
            optimisers=optimisers,
            evaluate_on=other.evaluate_on,
            protocols=union(self.protocols, other.protocols),
            families={**self.families, **other.families},
            local_sizes={**self.local_sizes, **other.local_sizes},
            weights={**self.weights, **other.weights},
            seeds=union(self.seeds, other.seeds),
            trials=max(self.trials, other.trials),
            variants=joined(Grids(self.variants, self.lambdas), Grids(other.variants, other.lambdas), self.shared),
        ).evaluated_on(self.evaluate_on)

    def conflicts(self, other: Self) -> list[str]:
        """In what two studies differ besides their axes and what their encoders are measured by."""
        different = differences(self.shared, other.shared)
        different += [k for k in ("search", "labelled") if getattr(self, k) != getattr(other, k)]
        different += [f"settings of variant {name}" for name in clashing(self.variants, other.variants)]
        different += [f"images of {name}" for name in self.other_images(other)]
        return different + [f"weights of {name}" for name in self.other_weights(other)]

    def evaluated_on(self, stored: Mapping[str, str]) -> Self:
        """This study, evaluated on what was stored as well.

        Raises:
            SettingError: If the images of a data set have changed meanwhile.
        """
        changed = [name for name, held in stored.items() if self.evaluate_on.get(name, held) != held]
        if changed:
            raise SettingError(
                f"study {self.name!r} is evaluated on {changed[0]}, and other images came under this name; restore "
                f"them, or name another study with --study{STREAM_HINT}"
            )
        return replace(self, evaluate_on={**stored, **self.evaluate_on})

    def other_images(self, other: Self) -> list[str]:
        """Data sets of both studies whose images are not the same."""
        return [name for name, held in self.fingerprints.items() if other.fingerprints.get(name, held) != held]

    def other_weights(self, other: Self) -> list[str]:
        """Architectures of both studies that begin from other weights of the hub."""
        return [name for name, held in self.weights.items() if other.weights.get(name, held) != held]

    @classmethod
    def from_flat(cls, flat: Mapping[str, Any]) -> Self:
        """Rebuild from `flat()`."""
        names = {f.name for f in fields(cls)} - {"shared"}
        later = {"evaluate_on": {}, "protocols": [], "weights": {}, "variants": {}, **flat}
        own = {name: tupled(later[name]) for name in names}
        own["variants"] = {name: Variant.from_flat(variant) for name, variant in later["variants"].items()}
        own["optimisers"] = {a: tuple(tuple(pair) for pair in pairs) for a, pairs in flat["optimisers"].items()}
        shared = {name: tupled(value) for name, value in flat.items() if name not in names}
        return cls(**own, shared=shared)

    def flat(self) -> Flat:
        """As a JSON object."""
        own = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "shared"}
        own["variants"] = {name: variant.flat() for name, variant in self.variants.items()}
        for name in ("evaluate_on", "protocols", "weights", "variants"):
            if not own[name]:
                # As it was before there was such a field, so that older studies stay what they are.
                del own[name]
        return json.loads(json.dumps({**own, **self.shared}))


def union(*sequences: Sequence[T]) -> tuple[T, ...]:
    """The values of all, each once, in the order in which they come."""
    return tuple(dict.fromkeys(chain.from_iterable(sequences)))


def check_study_variants(
    shared: Mapping[str, Any], lambdas: tuple[float, ...], variants: Variants, *, searched: bool
) -> None:
    """Refuse variants that no study could have.

    Args:
        shared: What all trials share unless their variant says otherwise.
        lambdas: The study's.
        variants: Its variants.
        searched: Whether its λ is searched.

    Raises:
        SettingError: If two hold the same trials, or their λ trade nothing off, or are searched.
    """
    if variants and searched:
        raise SettingError(
            "variants came with a search, which looks for one λ in each cell; use --search grid, or make a study of "
            "each variant"
        )
    for name, variant in variants.items():
        if not name or not name.isprintable():
            raise SettingError(f"a variant {name!r} came, a name of printable letters was wanted")
        own = variant.lambdas or lambdas
        if len(set(own)) != len(own):
            raise SettingError(f"variant {name!r} holds a value of λ twice: {' '.join(map(str, own))}")
        check_lambdas(own)
    check_variants(resolved(shared, lambdas, variants))


def check_lambdas(lambdas: Sequence[float]) -> None:
    """Refuse values of λ that trade nothing off.

    Raises:
        SettingError: If a value is not strictly between 0 and 1.
    """
    for value in lambdas:
        if not (math.isfinite(value) and 0 < value < 1):
            raise SettingError(
                f"λ = {value:g} came, a number strictly between 0 and 1 was wanted: at 0 nothing prevents collapse, "
                "at 1 nothing is predicted"
            )
