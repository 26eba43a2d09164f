import numpy as np
import pandas as pd
import pytest

from dashboards.statistics.importance import importances


def search(rng: np.random.Generator, n: int = 60, effect: float = 0.2, seeds: int = 1, **fixed: float) -> pd.DataFrame:
    """Settings drawn log-uniformly in two cells; only λ matters, one cell is 0.3 better than the other."""
    rows = []
    for architecture, level in (("a", 0.5), ("b", 0.8)):
        for _ in range(n):
            lam, rate, decay = 10 ** rng.uniform([-3, -4, -5], [-0.3, -2, -1])
            val = level - effect * (np.log10(lam) + 1.5) ** 2
            tried = {"lambda": lam, "learning_rate": rate, "weight_decay": decay, **fixed}
            rows += [
                {"architecture": architecture, "dataset": "d", **tried, "seed": s, "val": val + 0.01 * rng.normal()}
                for s in range(seeds)
            ]
    return pd.DataFrame(rows)


def test_the_setting_that_matters_is_found_in_each_cell_and_in_all_together():
    found = importances(search(np.random.default_rng(0)))
    assert [(one.architecture, one.n, one.best) for one in found] == [("a", 60, 6), ("b", 60, 6), (None, 120, 12)]
    for one in found:
        assert one.settings[0].name == "lambda" and one.settings[0].share > 0.7
        assert one.settings[0].p <= 0.05
        assert sum(setting.share for setting in one.settings) == pytest.approx(1)


def test_settings_of_noise_are_no_more_important_than_chance():
    found = importances(search(np.random.default_rng(1), effect=0))[-1]
    assert all(setting.p > 0.02 and setting.divergence < 4 * setting.chance for setting in found.settings)


def test_a_trial_is_the_mean_over_its_seeds_and_constant_settings_are_named():
    found = importances(search(np.random.default_rng(2), n=25, seeds=3, learning_rate=1e-3))[0]
    assert found.n == 25 and found.best == 5
    assert found.note == "one learning rate" and len(found.settings) == 2


def test_a_weight_decay_of_zero_is_allowed():
    assert len(importances(search(np.random.default_rng(3), n=25, weight_decay=0.0))[0].settings) == 2
    points = search(np.random.default_rng(3), n=25)
    points.loc[::2, "weight_decay"] = 0.0
    assert len(importances(points)[0].settings) == 3


def test_too_few_trials_or_equal_values_have_no_importance():
    few = importances(search(np.random.default_rng(4), n=10))[0]
    assert few.settings == () and few.note.startswith("too few: 10 trials")
    alike = importances(search(np.random.default_rng(4)).assign(val=0.5))[0]
    assert alike.settings == () and alike.note == "all values are alike"
