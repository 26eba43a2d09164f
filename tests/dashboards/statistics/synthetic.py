"""Studies with known truth: accuracies per cell and λ, seeds around them, and images of uneven difficulty."""
# A architectures, D data sets, C = A·D cells, S seeds, L lambdas, N images

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from dashboards.statistics.images import Images
from dashboards.statistics.regret import Grid

QUICK = (3, 2, 4, 2)
PILOT = (6, 3, 6, 3)
SEED_SD, TRIAL_SD = 0.02, 0.025
"""In probits: about 0.8 points per seed (shared by its λ) and 1 point per training."""
SHARED, BY_ARCHITECTURE, BY_LAMBDA = 0.45, 0.1, 0.03
"""Shares of what decides about an image that are common to all trials, to an architecture, to a λ."""
REST = 1 - SHARED - BY_ARCHITECTURE - BY_LAMBDA


@dataclass(frozen=True, kw_only=True)
class Study:
    grid: Grid
    images: Images
    truth_CL: np.ndarray
    """Expected test accuracy over seeds and images."""
    gain_CL: np.ndarray
    """Expected gain over the floor on these very images, over seeds."""


def curves(rng: np.random.Generator, shape: tuple[int, int, int, int], kind: str) -> np.ndarray:
    """(A, D, L) true accuracies: `flat`, `curved` (a peak of uneven place and width), or `cliff` (and collapses)."""
    a, d, n, _ = shape
    x_L = np.linspace(-1, 1, n)
    base = 0.45 + 0.1 * np.arange(d)[None, :] + 0.04 * rng.normal(size=(a, 1)) + 0.01 * rng.normal(size=(a, d))
    truth = np.broadcast_to(base[..., None], (a, d, n)).copy()
    if kind != "flat":
        peak = 0.2 + 0.35 * rng.normal(size=(a, 1)) + 0.15 * rng.normal(size=(a, d))
        bend = 0.02 * np.exp(0.5 * rng.normal(size=(a, d)))
        truth -= bend[..., None] * (x_L - peak[..., None]) ** 2
        truth += 0.004 * rng.normal(size=truth.shape)
    if kind == "cliff":
        fallen = rng.random((a, d)) < 0.5
        truth[fallen, 0] -= 0.12
        truth[:, :, 1] -= 0.04 * (rng.random((a, d)) < 0.2)
    return truth


def make_study(
    rng: np.random.Generator, shape: tuple[int, int, int, int], truth_ADL: np.ndarray, n_test: int = 1000
) -> Study:
    a, d, n, s = shape
    center = ndtri(truth_ADL)[:, :, None, :] * np.sqrt(1 + SEED_SD**2 + TRIAL_SD**2)
    skill = center + SEED_SD * rng.normal(size=(a, d, s, 1)) + TRIAL_SD * rng.normal(size=(a, d, s, n))
    floor_center = ndtri(0.3 + 0.05 * rng.random((a, d, 1))) * np.sqrt(1 + SEED_SD**2)
    floor_skill = floor_center + SEED_SD * rng.normal(size=(a, d, s))
    scores, parts = {}, []
    for j in range(d):
        test = _Sample.draw(rng, a, n, n_test)
        scores[f"d{j}"] = test.answers(rng, skill[:, j])
        val = _Sample.draw(rng, a, n, n_test).answers(rng, skill[:, j]).mean(axis=-1)
        parts.append((val, scores[f"d{j}"].mean(axis=-1), test.untrained(rng, floor_skill[:, j]).mean(axis=-1),
                      test.expected(center[:, j]) - test.expected_untrained(floor_center[:, j])))  # fmt: skip
    val_CSL, test_CSL, floor_CS, gain_CL = (np.concatenate(part).astype(float) for part in zip(*parts, strict=True))
    return Study(
        grid=Grid(
            cells=tuple((f"a{i}", f"d{j}") for j in range(d) for i in range(a)),
            lambdas=np.logspace(-3, -0.5, n),
            seeds=tuple(range(s)),
            val_CSL=val_CSL, test_CSL=test_CSL, floor_CS=floor_CS,
        ),
        images=Images(scores=scores),
        truth_CL=truth_ADL.transpose(1, 0, 2).reshape(a * d, n),
        gain_CL=gain_CL,
    )  # fmt: skip


@dataclass(frozen=True)
class _Sample:
    """How hard each image of a split is: for all (N), for an architecture and a λ (A, 1 or S, L, N)."""

    shared_N: np.ndarray
    own: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, a: int, m: int, n: int) -> "_Sample":
        shared = rng.normal(size=n)
        own = np.sqrt(SHARED) * shared + np.sqrt(BY_ARCHITECTURE) * rng.normal(size=(a, 1, 1, n))
        return cls(shared, own + np.sqrt(BY_LAMBDA) * rng.normal(size=(1, 1, m, n)))

    def answers(self, rng: np.random.Generator, skill_ASL: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal((*skill_ASL.shape, self.own.shape[-1]), dtype=np.float32)
        return (skill_ASL[..., None] + self.own + np.sqrt(REST) * noise > 0).astype(np.float32)

    def expected(self, center_A1L: np.ndarray) -> np.ndarray:
        spread = np.sqrt(REST + SEED_SD**2 + TRIAL_SD**2)
        return ndtr((center_A1L[..., None] + self.own) / spread).mean(axis=-1)[:, 0]

    def untrained(self, rng: np.random.Generator, skill_AS: np.ndarray) -> np.ndarray:
        chance = ndtr((skill_AS[..., None] + np.sqrt(0.3) * self.shared_N) / np.sqrt(0.7))
        return chance > rng.random(chance.shape)

    def expected_untrained(self, center_A1: np.ndarray) -> np.ndarray:
        return ndtr((center_A1 + np.sqrt(0.3) * self.shared_N) / np.sqrt(0.7 + SEED_SD**2)).mean(axis=-1)[:, None]
