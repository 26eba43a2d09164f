"""Criteria as families of members: one member where nothing is free, several where a parameter is fitted."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import pandas as pd

from dashboards.statistics.selection_criteria import (
    COMBINATIONS,
    CRITERIA,
    MIXED,
    Score,
    rank_within,
    scaled_loss,
)
from lejepa_core.methods import LEJEPA, METHODS

Kind = Literal["criterion", "combination", "fitted", "reference"]
Ranks = Callable[[pd.DataFrame, Sequence[str], bool], Mapping[str, pd.Series]]
"""Scored rows, the columns that delimit one choice, whether dead runs are guarded against -> parameter as text
(empty when there is none) -> a rank per row."""
PAPER_LAMBDA: Final = METHODS[LEJEPA].default
ALPHA_STEPS: Final = tuple(round(-0.5 + 0.1 * step, 1) for step in range(21))
WEIGHT_STEPS: Final = 4
"""Weights of the fitted combination are multiples of 1 / this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A criterion with its free parameter, if it has one."""

    label: str
    about: str
    kind: Kind
    ranks: Ranks
    guardable: bool = True
    """False for references, which look at no trial."""


def families(published: float = PAPER_LAMBDA) -> dict[str, Family]:
    """Every label-free criterion by name, and the references that look at no label.

    Args:
        published: λ that the loss was published with.
    """
    found = {
        name: Family(label=c.label, about=c.about, kind="criterion", ranks=_scored({"": c.score}))
        for name, c in CRITERIA.items()
    }
    found |= {name: _combination(parts) for name, parts in COMBINATIONS.items()}
    found["loss_fitted"] = Family(
        label="loss / λ^α, α fitted",
        about="lowest, α fitted on other groups",
        kind="fitted",
        ranks=_scored({f"α = {alpha:g}": scaled_loss(alpha) for alpha in ALPHA_STEPS}),
    )
    found["mix_fitted"] = Family(
        label="fitted mixture of ranks",
        about="weights of " + ", ".join(CRITERIA[name].label for name in MIXED) + " fitted on other groups",
        kind="fitted",
        ranks=_mixed(_mixtures()),
    )
    found["paper_lambda"] = _reference(
        f"λ = {published:g}", "its paper's default, or what is nearest to it", partial(_near, published)
    )
    found["random"] = _reference("random choice", "the mean over all candidates", _constant)
    return found


def _scored(members: Mapping[str, Score]) -> Ranks:
    return lambda table, by, guarded: {
        name: rank_within(score(table, by), table, by, guarded) for name, score in members.items()
    }


def _combination(parts: Sequence[str]) -> Family:
    return Family(
        label=" + ".join(CRITERIA[name].label for name in parts),
        about="mean of ranks",
        kind="combination",
        ranks=_mixed({"": {name: 1 / len(parts) for name in parts}}),
    )


def _mixed(members: Mapping[str, Mapping[str, float]]) -> Ranks:
    names = tuple(dict.fromkeys(name for weights in members.values() for name in weights))

    def ranks(table: pd.DataFrame, by: Sequence[str], guarded: bool) -> dict[str, pd.Series]:
        parts = {name: rank_within(CRITERIA[name].score(table, by), table, by, guarded) for name in names}
        zero = pd.Series(0.0, index=table.index)
        return {
            member: sum((weight * parts[name] for name, weight in weights.items()), start=zero)
            for member, weights in members.items()
        }

    return ranks


def _mixtures() -> dict[str, dict[str, float]]:
    steps = range(WEIGHT_STEPS + 1)
    shares = (s for s in itertools.product(steps, repeat=len(MIXED)) if sum(s) == WEIGHT_STEPS)
    named = ({n: s / WEIGHT_STEPS for n, s in zip(MIXED, share, strict=True) if s} for share in shares)
    return {" + ".join(f"{w:g} {n}" for n, w in weights.items()): weights for weights in named}


def _reference(label: str, about: str, rank: Callable[[pd.DataFrame], pd.Series]) -> Family:
    return Family(
        label=label,
        about=about,
        kind="reference",
        ranks=lambda table, by, guarded: {"": rank(table)},
        guardable=False,
    )


def _near(wanted: float, table: pd.DataFrame) -> pd.Series:
    distance = np.abs(np.log(table["lambda"].where(table["lambda"] > 0) / wanted))
    return -distance.round(9).fillna(np.inf)


def _constant(table: pd.DataFrame) -> pd.Series:
    return pd.Series(0.0, index=table.index)
