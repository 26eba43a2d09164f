"""What is lost by choosing by ranks instead of by validation labels, for many resamples of seeds at once."""
# B resamples, G groups, S seeds, K candidates, M members

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.statistics.judge_alpha import best_index
from dashboards.statistics.regret import Floats, Indices, mean_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where each labelled trial stands: choices (groups) x seeds x candidates."""

    by: tuple[str, ...]
    """The columns that delimit a choice."""
    groups: pd.DataFrame
    """One row per choice, columns `by`."""
    candidates: pd.DataFrame
    """One row per candidate: the other columns that are free."""
    seeds: tuple[int, ...]
    group_N: Indices
    seed_N: Indices
    candidate_N: Indices

    def spread(self, values: pd.Series) -> Floats:
        """A column as an array, (G, S, K); trials in one place are averaged, an empty place is NaN."""
        shape = (len(self.groups), len(self.seeds), len(self.candidates))
        place_N = np.ravel_multi_index((self.group_N, self.seed_N, self.candidate_N), shape)
        value_N = values.to_numpy(dtype=float)
        known_N = ~np.isnan(value_N)
        size = int(np.prod(shape))
        n = np.bincount(place_N[known_N], minlength=size)
        total = np.bincount(place_N[known_N], weights=value_N[known_N], minlength=size)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """Means over (resampled) seeds, and what labels choose."""

    weights_BGS: Floats
    val_BGK: Floats
    test_BGK: Floats
    dead_BGK: Floats
    """Share of dead runs; NaN where there is no trial."""
    best_val_BG: Floats
    """Of the candidate with the best mean validation accuracy; the mean over several if they tie."""
    best_test_BG: Floats
    """Test accuracy of that candidate."""


def lay_out(table: pd.DataFrame, by: Sequence[str], free: Sequence[str]) -> Layout:
    """Number the choices, seeds and candidates of a table of labelled trials."""
    group_N, groups = _numbered(table[list(by)])
    candidate_N, candidates = _numbered(table[list(free)])
    seed_N, seeds = _numbered(table[["seed"]])
    return Layout(
        by=tuple(by),
        groups=groups,
        candidates=candidates,
        seeds=tuple(int(seed) for seed in seeds["seed"]),
        group_N=group_N,
        seed_N=seed_N,
        candidate_N=candidate_N,
    )


def _numbered(keys: pd.DataFrame) -> tuple[Indices, pd.DataFrame]:
    number = keys.groupby(list(keys.columns), dropna=False).ngroup()
    distinct = keys.assign(number=number).drop_duplicates("number").sort_values("number", ignore_index=True)
    return np.asarray(number, dtype=np.intp), distinct.drop(columns="number")


def resample_seeds(values_GSK: Floats, resamples: int, seed: int) -> Floats:
    """How often each seed counts, (1 + B, G, S): once in row 0, then drawn with replacement in each group."""
    there_GS = np.asarray(np.isfinite(values_GSK).any(axis=2))
    rng = np.random.default_rng(seed)
    weights_BGS = np.zeros((1 + resamples, *there_GS.shape))
    weights_BGS[0] = there_GS
    for g, there_S in enumerate(there_GS):
        n = int(there_S.sum())
        if n:
            weights_BGS[1:, g, there_S] = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return weights_BGS


def weighted_mean(values_GSK: Floats, weights_BGS: Floats) -> Floats:
    """Mean over seeds of what is there, (B, G, K)."""
    known_GSK = np.isfinite(values_GSK)
    by_G = weights_BGS.transpose(1, 0, 2)
    total_GBK, n_GBK = by_G @ np.where(known_GSK, values_GSK, 0.0), by_G @ known_GSK.astype(float)
    mean_GBK = np.where(n_GBK > 0, total_GBK / np.maximum(n_GBK, 1), np.nan)
    found: Floats = mean_GBK.transpose(1, 0, 2)
    return found


def outcomes(val_GSK: Floats, test_GSK: Floats, dead_GSK: Floats, weights_BGS: Floats) -> Outcomes:
    """Average over seeds, and let the labels choose."""
    val_BGK, test_BGK = weighted_mean(val_GSK, weights_BGS), weighted_mean(test_GSK, weights_BGS)
    chosen_BGK = _best(val_BGK)
    return Outcomes(
        weights_BGS=weights_BGS,
        val_BGK=val_BGK,
        test_BGK=test_BGK,
        dead_BGK=weighted_mean(dead_GSK, weights_BGS),
        best_val_BG=mean_of(np.where(chosen_BGK, val_BGK, np.nan), axis=2),
        best_test_BG=mean_of(np.where(chosen_BGK, test_BGK, np.nan), axis=2),
    )


def regrets(rank_GSK: Floats, means: Outcomes, guarded: bool) -> tuple[Floats, Floats]:
    """Validation and test accuracy lost by choosing by rank, (B, G) each; NaN where nothing can be chosen.

    Args:
        rank_GSK: More is better; averaged over seeds. Of candidates that tie, the mean counts: a criterion
            that says nothing chooses at random.
        means: From `outcomes`.
        guarded: A candidate with a larger share of dead runs than another is not chosen.
    """
    score_BGK = weighted_mean(rank_GSK, means.weights_BGS)
    score_BGK = np.where(np.isfinite(means.test_BGK), score_BGK, np.nan)
    if guarded:
        dead_BGK = np.where(np.isfinite(score_BGK), means.dead_BGK, np.inf)
        score_BGK = np.where(dead_BGK <= dead_BGK.min(axis=2, keepdims=True) + 1e-9, score_BGK, np.nan)
    chosen_BGK = _best(score_BGK)
    val_BG = means.best_val_BG - mean_of(np.where(chosen_BGK, means.val_BGK, np.nan), axis=2)
    test_BG = means.best_test_BG - mean_of(np.where(chosen_BGK, means.test_BGK, np.nan), axis=2)
    return val_BG, test_BG


def _best(score_BGK: Floats) -> Bools:
    # Rounded, since equal means may differ in the last bit.
    known_BGK = np.round(np.where(np.isnan(score_BGK), -np.inf, score_BGK), 9)
    best_BGK: Bools = (known_BGK == known_BGK.max(axis=2, keepdims=True)) & np.isfinite(known_BGK)
    return best_BGK


def cross_fit(val_MBG: Floats, test_MBG: Floats, held_G: npt.NDArray[np.object_]) -> tuple[Floats, Indices]:
    """Test regret of each group by the member that loses least on validation in the groups held apart from it.

    Only members that can choose in that group and in as many other groups as any compete; of several
    equally good ones the one in the middle is taken.

    Args:
        val_MBG: Validation regret of each member.
        test_MBG: Test regret.
        held_G: Groups with the same label are held out together.

    Returns:
        Regret, (B, G), and the member, (G,), of row 0; NaN and -1 where nothing is left to fit on.
    """
    fitted_BG = np.full(test_MBG.shape[1:], np.nan)
    member_G = np.full(test_MBG.shape[2], -1, dtype=np.intp)
    for g, held in enumerate(held_G):
        others_MBG = val_MBG[:, :, held_G != held]
        member_B = choose_member(others_MBG, np.isfinite(test_MBG[:, :, g]))
        if member_B is not None:
            fitted_BG[:, g] = np.take_along_axis(test_MBG[:, :, g], member_B[None], axis=0)[0]
            member_G[g] = member_B[0] if np.isfinite(fitted_BG[0, g]) else -1
    return fitted_BG, member_G


def choose_member(val_MBG: Floats, possible_MB: Bools) -> Indices | None:
    """The member with the least mean regret for each resample; None without any group or possible member."""
    n_MB = np.isfinite(val_MBG).sum(axis=2) * possible_MB
    if not n_MB.any():
        return None
    widely_MB = (n_MB == n_MB.max(axis=0)) & (n_MB > 0)
    return best_index(np.where(widely_MB, -mean_of(val_MBG, axis=2), np.nan))
