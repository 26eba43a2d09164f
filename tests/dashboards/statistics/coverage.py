"""How often the intervals of `stability` hold what they are for, on synthetic studies; run, it prints a table."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from synthetic import PILOT, QUICK, Study, curves, make_study

from dashboards.statistics.crossfit import choose_on_others, weights_of
from dashboards.statistics.stability import MEASURES, Stability, stability
from dashboards.statistics.windows import EPSILONS, median_width

SHAPES = {"quick": (QUICK, 400), "pilot": (PILOT, 1000)}
KINDS = ("flat", "curved", "cliff")
FIXED = 2
"""Index of the λ whose regret is measured."""


def coverage(name: str, kind: str, studies: int = 500, populations: int = 10) -> dict[str, float]:
    """Share of intervals that hold their target; NaN where most say `too few`.

    For the linear measures every study has architectures of its own, for windows `populations` share them, and the
    target is the mean width of a population's other studies. `oracle` rows: the same intervals against the best λ of
    the true curves, which is not what they are for.
    """
    fresh, repeated = np.random.default_rng(11), np.random.default_rng(12)
    found = _linear(list(_fresh(fresh, name, kind, studies)))
    each = studies // populations
    groups = [list(_repeated(repeated, name, kind, each)) for _ in range(populations)]
    return found | _windows(groups)


def _fresh(rng: np.random.Generator, name: str, kind: str, studies: int) -> Iterator[tuple[Study, Stability]]:
    shape, images = SHAPES[name]
    for _ in range(studies):
        study = make_study(rng, shape, curves(rng, shape, kind), images)
        yield study, _measure(study, float(study.grid.lambdas[FIXED]))


def _repeated(rng: np.random.Generator, name: str, kind: str, studies: int) -> Iterator[tuple[Study, Stability]]:
    shape, images = SHAPES[name]
    truth = curves(rng, shape, kind)
    for _ in range(studies):
        study = make_study(rng, shape, truth, images)
        yield study, _measure(study, None)


def _measure(study: Study, fixed: float | None) -> Stability:
    return stability(study.grid, study.images, fixed=fixed, permutations=0, draws=200)


def _targets(study: Study, fixed: int | None) -> dict[str, float]:
    """What the linear measures estimate: the true accuracies at the weights that the other seeds chose."""
    val, test = study.grid.val_CSL[None], study.grid.test_CSL[None]
    weights = weights_of(val, test, fixed, choose_on_others(val, test))
    found = {name: (weights[name][0] * study.truth_CL[:, None, :]).sum() for name in ("regret", "phi", "worst")}
    return found | {"gain": (weights["chosen"][0] * study.gain_CL[:, None, :]).sum()}


def _linear(pairs: list[tuple[Study, Stability]]) -> dict[str, float]:
    targets = [_targets(study, FIXED) for study, _ in pairs]
    found = {}
    for name in MEASURES:
        wanted = np.array([target[name] for target in targets])
        made = [getattr(result, name) for _, result in pairs]
        found[name] = _share(wanted, [(one.low, one.high) for one in made])
        found[f"{name}, new architectures"] = _share(
            np.full(len(made), wanted.mean()), [(one.new_low, one.new_high) for one in made]
        )
    best = np.array([(s.truth_CL.max(axis=1) - s.truth_CL[:, FIXED]).mean() for s, _ in pairs])
    found["regret, oracle"] = _share(best, [(r.regret.low, r.regret.high) for _, r in pairs])
    return found


def _windows(groups: list[list[tuple[Study, Stability]]]) -> dict[str, float]:
    found = {}
    targets = np.array([_targets(study, None)["regret"] for group in groups for study, _ in group])
    made = [result.regret for group in groups for _, result in group]
    found["regret, λ chosen for all"] = _share(targets, [(one.low, one.high) for one in made])
    for eps in EPSILONS:
        widths = np.array([[result.windows[eps].value for _, result in group] for group in groups])
        others = (widths.sum(axis=1, keepdims=True) - widths) / (widths.shape[1] - 1)
        ends = [(r.windows[eps].low, r.windows[eps].high) for group in groups for _, r in group]
        found[f"window {eps:g}"] = _share(others.ravel(), ends)
        lost = [(s.truth_CL.max(axis=1, keepdims=True) - s.truth_CL, s.grid) for group in groups for s, _ in group]
        true = np.array([median_width(one[None], grid.lambdas, eps)[0] for one, grid in lost])
        found[f"window {eps:g}, oracle"] = _share(true, ends)
    return found


def _share(wanted: np.ndarray, ends: list[tuple[float | None, float | None]]) -> float:
    """Of the intervals that were given; NaN where most studies were told `too few`."""
    low, high = np.array(ends, dtype=float).T
    given = np.isfinite(low)
    if given.mean() < 0.5:
        return float("nan")
    return float(((low - 1e-9 <= wanted) & (wanted <= high + 1e-9))[given].mean())


if __name__ == "__main__":
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for name in SHAPES:
        for kind in KINDS:
            for statistic, share in coverage(name, kind, studies).items():
                print(f"{name:6s} {kind:7s} {statistic:28s} {100 * share:5.1f}", flush=True)
