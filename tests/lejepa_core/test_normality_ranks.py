"""The normality tests on real gloo processes that hold unequal parts of the batch."""

from pathlib import Path

import pytest
import torch
from ranks import run_on_ranks

from lejepa_core.normality import MULTIVARIATE, UNIVARIATE

FAMILY = [*UNIVARIATE, *MULTIVARIATE]


@pytest.mark.parametrize(
    ("counts", "dtype", "rtol"),
    [
        ("0,9", "float64", 1e-10),
        pytest.param("5,11", "float64", 1e-10, marks=pytest.mark.slow),
        pytest.param("4,7,9", "float64", 1e-10, marks=pytest.mark.slow),
        ("5,11", "float32", 1e-6),
    ],
)
def test_unequal_ranks_give_the_value_and_gradient_of_the_whole_batch(
    tmp_path: Path, counts: str, dtype: str, rtol: float
) -> None:
    whole = run_on_ranks("normality", 1, tmp_path, counts, dtype)[0]
    assert list(whole) == FAMILY
    for part in run_on_ranks("normality", counts.count(",") + 1, tmp_path, counts, dtype):
        for name in FAMILY:
            value, gradient = whole[name]["value"], whole[name]["gradient"]
            torch.testing.assert_close(part[name]["value"], value, rtol=rtol, atol=0)
            assert (part[name]["gradient"] - gradient).norm() <= rtol * gradient.norm(), name


@pytest.mark.parametrize("counts", ["1,0", "0,0"])
def test_too_few_samples_over_all_ranks_are_refused_on_every_rank(tmp_path: Path, counts: str) -> None:
    assert run_on_ranks("normality_refusals", 2, tmp_path, counts) == [FAMILY, FAMILY]
