"""Does the best λ go with a setting? Noise has to give nothing, a planted growth has to be found."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeps.paper.items.table7 import ACCURACIES
from sweeps.paper.registry import ITEMS
from sweeps.paper.trend import VARIED, Trend, published_trend, trend_of

OWN = {2.0: (0.005, 0.01, 0.02), 4.0: (0.015, 0.03, 0.06), 8.0: (0.04, 0.08, 0.16)}
"""Grids that move with the setting, and have nothing in common."""
ALIKE = dict.fromkeys((2.0, 4.0, 8.0), (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4))


def odds(lam: float) -> float:
    return lam / (1 - lam)


def table(cells: int, seeds: int, lambdas: tuple[float, ...], accuracies: np.ndarray) -> pd.DataFrame:
    """Scored trials of one variant; accuracies are (cells, seeds, λ)."""
    return pd.DataFrame(
        [
            {"architecture": f"a{c}", "dataset": "d", "seed": s, "lambda": lam, "val": accuracies[c, s, i],
             "test": accuracies[c, s, i], "floor": math.nan}
            for c in range(cells) for s in range(seeds) for i, lam in enumerate(lambdas)
        ]
    )  # fmt: skip


def study(
    grids: Mapping[float, tuple[float, ...]],
    *,
    best: Mapping[float, float] | None = None,
    noise: float,
    cells: int = 3,
    seeds: int = 3,
    number: int = 0,
) -> dict[float, pd.DataFrame]:
    """A study in which λ does nothing, or is best at a λ for each value of the setting."""
    rng = np.random.default_rng([20, number])
    found = {}
    for value, lambdas in grids.items():
        loss = np.zeros(len(lambdas)) if best is None else np.abs(np.log10(np.array(lambdas) / best[value]))
        accuracies = 0.8 - 0.1 * loss + rng.normal(0, noise, (cells, seeds, len(lambdas)))
        found[value] = table(cells, seeds, lambdas, accuracies)
    return found


def of(setting: str, parts: dict[float, pd.DataFrame], shufflings: int = 400) -> Trend:
    found = trend_of(setting, parts, shufflings=shufflings)
    assert found is not None
    return found


@pytest.mark.parametrize(("grids", "peak"), [(OWN, None), (ALIKE, None), (ALIKE, 0.05)])
def test_chance_is_told_from_chance_no_more_often_than_it_should(
    grids: Mapping[float, tuple[float, ...]], peak: float | None
) -> None:
    # In 200 studies about 10 slopes have p up to 0.05, sd 3: where λ does nothing, and where it does the same for all.
    best = None if peak is None else dict.fromkeys(grids, peak)
    found = [of("views_global", study(grids, best=best, noise=0.03, number=n)) for n in range(200)]
    assert sum(one.told for one in found) <= 19 and sum(one.p <= 0.5 for one in found) >= 70


def test_grids_that_move_give_the_slope_of_their_centres() -> None:
    # Each λ of a grid is as likely to be the best: the mean log odds of each grid, by least squares.
    logs = [np.mean([math.log(odds(lam)) for lam in lambdas]) for lambdas in OWN.values()]
    expected = stats.linregress(np.log(list(OWN)), logs).slope
    found = of("views_global", study(OWN, noise=0.01), 4000)
    assert expected > 1.4 and found.shared is None
    assert found.null_mean == pytest.approx(expected, abs=0.03)
    # With one cell and one seed, the band is that of all 27 outcomes, alike likely.
    single = of("views_global", study(OWN, noise=0.01, cells=1, seeds=1), 4000)
    all_of_them = [
        stats.linregress(np.log(list(OWN)), [math.log(odds(lam)) for lam in three]).slope
        for three in np.array(np.meshgrid(*OWN.values())).reshape(3, -1).T
    ]
    assert (single.null_low, single.null_high) == pytest.approx(np.quantile(all_of_them, [0.025, 0.975]), abs=0.1)


def test_a_planted_growth_is_found() -> None:
    best = {value: 0.01 * value for value in ALIKE}
    expected = stats.linregress(np.log(list(ALIKE)), np.log([odds(lam) for lam in (0.02, 0.05, 0.1)])).slope
    found = of("views_global", study(ALIKE, best=best, noise=0.0001))
    assert found.slope.mean == pytest.approx(expected) and found.told and found.null_low < 0 < found.null_high
    assert (found.grows, found.each) == (9, 9) and found.best[8.0] == pytest.approx(0.1)
    assert (found.edge, found.bests) == (0, 27)
    # All seeds agree: half a step of the grid is as near as its best λ says.
    step = min(np.diff(np.log([odds(lam) for lam in ALIKE[2.0]]))) / math.log(4) / 2
    assert (found.slope.low, found.slope.high) == pytest.approx((expected - step, expected + step))


def test_shuffled_curves_have_the_p_value_of_all_orders() -> None:
    # One cell and one seed: of 6 orders of three values, 2 have a slope as far from 0 as the ordered one.
    best = {value: 0.01 * value for value in ALIKE}
    found = of("views_global", study(ALIKE, best=best, noise=0.0, cells=1, seeds=1), 4000)
    assert (found.p, found.least) == pytest.approx((1 / 3, 1 / 3), abs=0.03)
    # Two seeds: the mean of two such slopes is as far only if both are, and to the same side.
    two = of("views_global", study(ALIKE, best=best, noise=0.0, cells=1, seeds=2), 4000)
    assert (two.p, two.least) == pytest.approx((1 / 18, 1 / 18), abs=0.02)


def test_variants_are_judged_on_the_lambda_that_all_have() -> None:
    # Best at 0.3 and 0.4, which not all have: of the common ones 0.02 is then the best everywhere.
    grids = {2.0: (0.005, 0.01, 0.02), 4.0: (0.005, 0.01, 0.02, 0.3), 8.0: (0.005, 0.01, 0.02, 0.4)}
    found = of("views_global", study(grids, best=dict.fromkeys(grids, 0.4), noise=0.0))
    assert found.shared == dict.fromkeys(grids, (0.005, 0.01, 0.02)) and found.slope.mean == 0.0


def test_the_weight_of_a_batch_is_judged_and_not_lambda() -> None:
    # The item's own grids: the same five weights λN / (1 - λ) at every batch, so that λ moves and the weight does not.
    make = ITEMS["batch-lambda"].make
    assert make is not None
    grids = {float(v.settings["batch_size"]): v.lambdas or () for v in make().variants.values()}
    best = {batch: lambdas[2] for batch, lambdas in grids.items()}
    constant = of("batch_size", study(grids, best=best, noise=0.0001))
    assert constant.shared == grids
    assert constant.slope.mean == pytest.approx(0.0, abs=1e-3) and constant.null_mean == pytest.approx(0.0, abs=0.05)
    # The same λ at every batch is a weight in proportion to the batch.
    same = dict.fromkeys(grids, (0.01, 0.05, 0.2))
    rising = of("batch_size", study(same, best=dict.fromkeys(grids, 0.05), noise=0.0))
    assert rising.slope.mean == pytest.approx(1.0) and rising.shared is None
    assert rising.null_mean == pytest.approx(1.0, abs=0.05)
    assert VARIED["batch_size"].judged.lambda_at(64, VARIED["batch_size"].judged.of(64, 0.2)) == pytest.approx(0.2)


def test_intervals_are_those_of_slopes_over_seeds() -> None:
    rng = np.random.default_rng(1)
    peaks = {value: rng.integers(len(lambdas), size=(2, 5)) for value, lambdas in ALIKE.items()}
    logs = np.log([odds(lam) for lam in ALIKE[2.0]])
    slopes = [[stats.linregress(np.log(list(ALIKE)), [logs[at[c, s]] for at in peaks.values()]).slope
               for s in range(5)] for c in range(2)]  # fmt: skip
    found = of("views_global", {value: table(2, 5, grid, np.eye(7)[peaks[value]]) for value, grid in ALIKE.items()})
    # Welch's interval of a difference is that of a sum, once one side is turned.
    known = stats.ttest_ind(slopes[0], -np.array(slopes[1]), equal_var=False).confidence_interval(0.95)
    assert (found.slope.low, found.slope.high) == pytest.approx((known.low / 2, known.high / 2))
    assert found.note == "over 5 seeds, for these 2 cells"


def test_one_seed_has_no_interval() -> None:
    found = of("views_global", study(ALIKE, noise=0.01, cells=3, seeds=1))
    assert found.slope.low is None and found.note == "these 3 cells, 1 seed: too few for an interval"


def test_the_middle_of_curves_moves_with_them_and_is_told_before_the_best_is() -> None:
    best = {value: 0.01 * value for value in ALIKE}
    logs = np.log([odds(lam) for lam in ALIKE[2.0]])

    def middle(value: float) -> float:
        above = 1 - np.abs(np.log10(np.array(ALIKE[value]) / best[value]))
        return float(np.average(logs, weights=above - above.min()))

    exact = of("views_global", study(ALIKE, best=best, noise=0.0)).middle
    expected = stats.linregress(np.log(list(ALIKE)), [middle(value) for value in ALIKE]).slope
    assert exact is not None and exact.slope.mean == pytest.approx(expected)
    slight = [of("views_global", study(ALIKE, best={2.0: 0.04, 4.0: 0.05, 8.0: 0.06}, noise=0.02, cells=4, number=n))
              for n in range(60)]  # fmt: skip
    told = [sum(one.told for one in slight), sum(one.middle is not None and one.middle.p <= 0.05 for one in slight)]
    assert told[1] > told[0] + 6
    # No more often than it should be where all have the same best.
    alike = [
        of("views_global", study(ALIKE, best=dict.fromkeys(ALIKE, 0.05), noise=0.02, number=n)) for n in range(200)
    ]
    assert sum(one.middle is not None and one.middle.p <= 0.05 for one in alike) <= 19
    assert of("views_global", study(OWN, noise=0.01)).middle is None


def test_of_several_that_are_as_good_the_best_is_their_middle() -> None:
    parts = {value: table(1, 1, lambdas, np.ones((1, 1, 7))) for value, lambdas in ALIKE.items()}
    middle = math.exp(np.mean([math.log(odds(lam)) for lam in ALIKE[2.0]]))
    assert of("views_global", parts).best == pytest.approx(dict.fromkeys(ALIKE, middle / (1 + middle)))


def test_the_published_slope_is_judged_on_the_lambda_that_all_views_have() -> None:
    shared = sorted(set.intersection(*(set(row) for row in ACCURACIES.values())))
    assert shared == [0.001, 0.005, 0.01, 0.02, 0.025]
    # Best of these: .01 at 2 views, .02 at 4, .025 at 8; with three evenly spaced abscissae the ends make the slope.
    expected = (math.log(odds(0.025)) - math.log(odds(0.01))) / math.log(4)
    found = published_trend(ITEMS["table7"])
    assert found is not None and found.slope.mean == pytest.approx(expected)
    assert found.null_mean == pytest.approx(0.0, abs=0.1) and found.slope.low is None
    # One run of each: even this order of three comes by chance in two of six.
    assert not found.told and found.least == pytest.approx(1 / 3, abs=0.05)
    assert published_trend(ITEMS["views-lambda"]) is None and published_trend(ITEMS["table6"]) is None
