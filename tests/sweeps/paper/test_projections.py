"""The page of projections says what the cost model says."""

from pathlib import Path

import sweeps.paper
from sweeps.paper.projections import HUNDRED_THOUSAND, estimated, projections, table

PAGE = Path(sweeps.paper.__file__).with_name("PROJECTIONS.md")


def test_the_page_has_the_numbers_of_the_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "\n".join(table()) in text


def test_the_grids_are_those_that_they_are_called() -> None:
    trials = {one.name: estimated(one).trials for one in projections()}
    assert trials["Figure 9, the full grid"] == 1728
    assert trials["ViT-L/14, ImageNet-1k, 100 epochs"] == 1
    assert trials[HUNDRED_THOUSAND] == 100_000
