"""Scored tables made without a study folder."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def scored(values_ADLS: np.ndarray, lambdas: Sequence[float] | None = None, **columns: object) -> pd.DataFrame:
    """(A, D, L, S) accuracies as rows of `at_best_settings(score(...))`; NaN is a trial without accuracy."""
    lams = list(np.logspace(-3, 0, values_ADLS.shape[2])) if lambdas is None else list(lambdas)
    rows: list[Mapping[str, object]] = [
        {
            "architecture": f"a{a:02d}", "dataset": f"d{d}", "lambda": lams[lam], "seed": seed,
            "learning_rate": 1e-3, "weight_decay": 0.05, "val": value, "test": value, "floor": 0.0,
            "outcome": "oom" if np.isnan(value) else "ok", **columns,
        }
        for (a, d, lam, seed), value in np.ndenumerate(values_ADLS)
    ]  # fmt: skip
    return pd.DataFrame(rows)
