"""How much accuracy is lost by choosing without labels: criteria ranked by selection regret.

Regret of a choice = test accuracy of what validation labels choose - that of what the criterion chooses,
means over seeds. A free parameter is fitted on other data sets (or architectures) only.
"""
# B resamples, G groups, S seeds, K candidates, M members, Q criteria

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.regret import Floats, Indices, mean_of
from dashboards.statistics.scores import CELL, SETTINGS, Interval, score
from dashboards.statistics.selection_criteria import dead_runs
from dashboards.statistics.selection_families import PAPER_LAMBDA, Family, Kind, families
from dashboards.statistics.selection_intervals import Pairs, crossed_interval
from dashboards.statistics.selection_regret import (
    Layout,
    Outcomes,
    choose_member,
    cross_fit,
    lay_out,
    outcomes,
    regrets,
    resample_seeds,
)

By = Literal["cell", "dataset"]
Leave = Literal["dataset", "architecture"]
RESAMPLES: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """One criterion's selection regret. Accuracies are fractions."""

    name: str
    label: str
    about: str
    kind: Kind
    regret: Interval
    """Mean over the groups where it could choose; see `crossed_interval`."""
    note: str
    """Why there is no interval, or which groups are not counted."""
    worst: float
    """Largest regret of a group."""
    unguarded: float | None
    """Mean regret when dead runs may be chosen; None for references."""
    by_group: Mapping[str, float]
    """Group -> regret; NaN where the criterion could not choose."""
    member_by_group: Mapping[str, str]
    """Group -> the parameter fitted on the others; empty when there is none."""
    member: str
    """The parameter fitted on all groups: what to use elsewhere."""
    missing: int
    """Labelled trials without a value."""
    p_best: float | None
    """Share of resamples (architectures, data sets, and seeds within their pairs) in which no label-free
    criterion loses less; None for references, and for criteria that could choose in fewer groups than others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """All criteria on the same choices, least regret first; none of them where no trial has labels."""

    by: By
    leave: Leave
    """What free parameters are held apart from."""
    ranked: tuple[Ranked, ...]
    groups: tuple[str, ...]
    pairs: Pairs
    """Architecture and data set of each group."""
    candidates: int
    """Most measured candidates of a group."""
    seeds: int
    folds: int
    """Parts that were held out in turn."""
    n: int
    """Labelled trials."""
    dead: int
    """Collapsed or diverged ones of them."""
    left_out: int
    """Trials of the table without both accuracies."""
    best_elsewhere: Mapping[str, float]
    """Group -> regret of the criterion that is best on the groups held apart from it (chosen there as here,
    by cross-fitted regret): what picking the best of all these criteria is honestly worth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """One family's regrets."""

    label: str
    about: str
    kind: Kind
    members: tuple[str, ...]
    val_MBG: Floats
    test_MBG: Floats
    fitted_BG: Floats
    """Test regret, cross-fitted where there are several members."""
    member_G: Indices
    unguarded_G: Floats | None
    missing: int


def select(
    trials: pd.DataFrame,
    by: By = "cell",
    leave: Leave = "dataset",
    resamples: int = RESAMPLES,
    seed: int = 0,
    published: float = PAPER_LAMBDA,
) -> Selection:
    """Rank all criteria by cross-fitted selection regret.

    Args:
        trials: `Results.trials` of a grid study; those without both accuracies are left out and counted.
        by: `cell` chooses λ (with learning rate and weight decay, where the study has several) of each
            (architecture, data set); `dataset` chooses the architecture too.
        leave: Free parameters are fitted on other data sets, or on other architectures (`cell` only).
        resamples: Of groups and seeds, for `p_best`.
        seed: Of the resampling.
        published: λ that the loss was published with.

    Raises:
        ValueError: Architectures are to be held out of choices among architectures.
    """
    if by == "dataset" and leave == "architecture":
        raise ValueError("leave='architecture' came with by='dataset', which chooses the architecture; want 'dataset'")
    scored = score(trials)
    table = scored[scored["val"].notna() & scored["test"].notna()].reset_index(drop=True)
    columns = CELL if by == "cell" else ["dataset"]
    free = [name for name in (*CELL, "lambda", *SETTINGS) if name not in columns]
    layout = lay_out(table, columns, free)
    if table.empty:
        return _nothing(by, leave, layout, len(trials))
    held_G = layout.groups[leave].to_numpy(dtype=object)
    test_GSK = layout.spread(table["test"])
    weights_BGS = resample_seeds(test_GSK, resamples, seed)
    values = layout.spread(table["val"]), test_GSK, layout.spread(dead_runs(table).astype(float))
    means, once = outcomes(*values, weights_BGS), outcomes(*values, weights_BGS[:1])
    judged = {name: _judge(family, table, layout, means, once, held_G) for name, family in families(published).items()}
    judged |= {"fixed": _fixed(layout, means, held_G), "labels": _labels(means)}
    pairs = _pairs(layout)
    p_best = _p_best({name: j.fitted_BG for name, j in judged.items() if j.kind != "reference"}, pairs, seed)
    names = tuple(" on ".join(row) for row in layout.groups.astype(str).itertuples(index=False, name=None))
    folds = len(set(held_G))
    ranked = [_ranked(name, j, names, pairs, folds, p_best.get(name)) for name, j in judged.items()]
    elsewhere_G = _best_elsewhere([j for j in judged.values() if j.kind != "reference"], held_G)
    return Selection(
        by=by,
        leave=leave,
        ranked=tuple(sorted(ranked, key=lambda r: (np.isnan(r.regret.mean), r.regret.mean))),
        groups=names,
        pairs=pairs,
        candidates=int(np.isfinite(test_GSK).any(axis=1).sum(axis=1).max()),
        seeds=len(layout.seeds),
        folds=folds,
        n=len(table),
        dead=int(dead_runs(table).sum()),
        left_out=len(trials) - len(table),
        best_elsewhere=dict(zip(names, elsewhere_G.tolist(), strict=True)),
    )


def _nothing(by: By, leave: Leave, layout: Layout, left_out: int) -> Selection:
    return Selection(
        by=by,
        leave=leave,
        ranked=(),
        groups=(),
        pairs=_pairs(layout),
        candidates=0,
        seeds=0,
        folds=0,
        n=0,
        dead=0,
        left_out=left_out,
        best_elsewhere={},
    )


def _judge(
    family: Family,
    table: pd.DataFrame,
    layout: Layout,
    means: Outcomes,
    once: Outcomes,
    held_G: npt.NDArray[np.object_],
) -> _Judged:
    ranks = family.ranks(table, layout.by, family.guardable)
    pairs = [regrets(layout.spread(rank), means, family.guardable) for rank in ranks.values()]
    val_MBG, test_MBG = (np.stack(side) for side in zip(*pairs, strict=True))
    unguarded_G = None
    if family.guardable:
        raw = family.ranks(table, layout.by, False)
        loose = [regrets(layout.spread(rank), once, False) for rank in raw.values()]
        val_M1G, test_M1G = (np.stack(side) for side in zip(*loose, strict=True))
        unguarded_G = _fit(val_M1G, test_M1G, held_G)[0][0]
    fitted_BG, member_G = _fit(val_MBG, test_MBG, held_G)
    return _Judged(
        label=family.label,
        about=family.about,
        kind=family.kind,
        members=tuple(ranks),
        val_MBG=val_MBG,
        test_MBG=test_MBG,
        fitted_BG=fitted_BG,
        member_G=member_G,
        unguarded_G=unguarded_G,
        missing=max(int(rank.isna().sum()) for rank in ranks.values()),
    )


def _fit(val_MBG: Floats, test_MBG: Floats, held_G: npt.NDArray[np.object_]) -> tuple[Floats, Indices]:
    if len(test_MBG) == 1:
        return test_MBG[0], np.zeros(len(held_G), dtype=np.intp)
    return cross_fit(val_MBG, test_MBG, held_G)


def _fixed(layout: Layout, means: Outcomes, held_G: npt.NDArray[np.object_]) -> _Judged:
    """The one candidate that is best by the labels of other groups."""
    val_MBG = (means.best_val_BG[..., None] - means.val_BGK).transpose(2, 0, 1)
    test_MBG = (means.best_test_BG[..., None] - means.test_BGK).transpose(2, 0, 1)
    shown = layout.candidates.loc[:, layout.candidates.nunique() > 1]
    names = tuple(", ".join(f"{name} {value}" for name, value in row.items()) for row in shown.to_dict("records"))
    about = "the one candidate that is best by the labels of other groups"
    return _reference("fixed choice", about, names, val_MBG, test_MBG, cross_fit(val_MBG, test_MBG, held_G))


def _labels(means: Outcomes) -> _Judged:
    zeros_MBG = np.zeros_like(means.best_test_BG)[None]
    whole = zeros_MBG[0], np.zeros(zeros_MBG.shape[2], dtype=np.intp)
    about = "best mean validation accuracy: 0 by definition"
    return _reference("labels", about, ("",), zeros_MBG, zeros_MBG, whole)


def _reference(
    label: str, about: str, members: tuple[str, ...], val_MBG: Floats, test_MBG: Floats, fitted: tuple[Floats, Indices]
) -> _Judged:
    return _Judged(
        label=label,
        about=about,
        kind="reference",
        members=members,
        val_MBG=val_MBG,
        test_MBG=test_MBG,
        fitted_BG=fitted[0],
        member_G=fitted[1],
        unguarded_G=None,
        missing=0,
    )


def _pairs(layout: Layout) -> Pairs:
    whole = layout.groups.reindex(columns=CELL, fill_value="")
    return Pairs(
        architecture_G=whole["architecture"].to_numpy(dtype=object), dataset_G=whole["dataset"].to_numpy(dtype=object)
    )


def _p_best(regret_QBG: Mapping[str, Floats], pairs: Pairs, seed: int) -> dict[str, float]:
    n_Q = {name: int(np.isfinite(regret_BG[0]).sum()) for name, regret_BG in regret_QBG.items()}
    widely = [name for name, n in n_Q.items() if n == max(n_Q.values()) and n > 0]
    if not widely or len(regret_QBG[widely[0]]) < 2:
        return {}
    weights_BG = _draw_pairs(pairs, len(regret_QBG[widely[0]]) - 1, seed)
    mean_QB = np.stack([_weighted(regret_QBG[name][1:], weights_BG) for name in widely])
    rounded_QB = np.round(np.nan_to_num(mean_QB, nan=np.inf), 12)
    first_QB = rounded_QB == rounded_QB.min(axis=0)
    share_Q = (first_QB / first_QB.sum(axis=0)).mean(axis=1)
    return dict(zip(widely, share_Q.tolist(), strict=True))


def _draw_pairs(pairs: Pairs, resamples: int, seed: int) -> Floats:
    """How often each group counts: architectures and data sets are drawn again, apart from one another."""
    rng = np.random.default_rng(seed)
    weights_BG = np.ones((resamples, len(pairs.dataset_G)))
    for labels_G in (pairs.architecture_G, pairs.dataset_G):
        names, index_G = np.unique(labels_G.astype(str), return_inverse=True)
        weights_BG *= rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)[:, index_G]
    return weights_BG


def _weighted(values_BG: Floats, weights_BG: Floats) -> Floats:
    known_BG = np.where(np.isfinite(values_BG), weights_BG, 0.0)
    total_B = known_BG.sum(axis=1)
    sum_B = (known_BG * np.nan_to_num(values_BG)).sum(axis=1)
    return np.where(total_B > 0, sum_B / np.where(total_B > 0, total_B, 1.0), np.nan)


def _ranked(
    name: str, judged: _Judged, groups: Sequence[str], pairs: Pairs, folds: int, p_best: float | None
) -> Ranked:
    regret_G = judged.fitted_BG[0]
    interval, note = crossed_interval(regret_G, pairs, folds=folds if len(judged.members) > 1 else None)
    whole_B = choose_member(judged.val_MBG, np.ones(judged.val_MBG.shape[:2], dtype=bool))
    chosen = {g: judged.members[m] if m >= 0 else "" for g, m in zip(groups, judged.member_G, strict=True)}
    return Ranked(
        name=name,
        label=judged.label,
        about=judged.about,
        kind=judged.kind,
        regret=interval,
        note=note,
        worst=float(np.nanmax(regret_G)) if interval.n else np.nan,
        unguarded=None if judged.unguarded_G is None else float(mean_of(judged.unguarded_G, axis=0)),
        by_group=dict(zip(groups, regret_G.tolist(), strict=True)),
        member_by_group=chosen,
        member="" if whole_B is None else judged.members[whole_B[0]],
        missing=judged.missing,
        p_best=p_best,
    )


def _best_elsewhere(judged: Sequence[_Judged], held_G: npt.NDArray[np.object_]) -> Floats:
    """Regret of the family with the least cross-fitted validation regret on the groups held apart."""
    found_G = np.full(len(held_G), np.nan)
    for held in set(held_G):
        apart_G = held_G != held
        if not apart_G.any():
            continue
        vals = [j.val_MBG[:, :1, apart_G] for j in judged]
        inner_QBG = np.stack([_fit(val_M1G, val_M1G, held_G[apart_G])[0] for val_M1G in vals])
        for g in np.nonzero(~apart_G)[0]:
            possible_QB = np.array([[np.isfinite(j.fitted_BG[0, g])] for j in judged])
            best_B = choose_member(inner_QBG, possible_QB)
            if best_B is not None:
                found_G[g] = judged[best_B[0]].fitted_BG[0, g]
    return found_G
