"""Table 6: what SIGReg costs."""

from typing import Final

from sweeps.paper.item import PAPER, Item, Published

SOURCE: Final = f"{PAPER}, Table 6: V100 16 GB, forward and backward of Algorithm 1, mean of 10"
TIMES: Final = {
    (512, 512, 16): (0.465, 0.012),
    (512, 512, 64): (0.461, 0.004),
    (512, 512, 256): (0.628, 0.003),
    (2048, 512, 16): (1.406, 0.002),
    (8192, 512, 16): (6.188, 0.007),
    (8192, 8192, 16): (8.685, 0.039),
    (32768, 512, 16): (26.373, 0.013),
    (512, 2048, 16): (0.466, 0.005),
    (512, 8192, 16): (0.670, 0.007),
}
"""(samples, slices, points) -> milliseconds and their standard deviation."""


def shape_name(samples: int, slices: int, points: int) -> str:
    """The row of a shape, named as a variant is."""
    return f"samples={samples} slices={slices} points={points}"


ITEM: Final = Item(
    name="table6",
    title="cost of SIGReg",
    about="Table 6: milliseconds of one forward and backward pass of the statistic, over samples, slices and points. A "
    "benchmark, no study.",
    source=SOURCE,
    make=None,
    published=tuple(
        Published(
            value=value,
            sd=sd,
            source=SOURCE,
            variant=shape_name(*shape),
            architecture="SIGReg",
            dataset="",
            metric="milliseconds",
        )
        for shape, (value, sd) in TIMES.items()
    ),
    differences=(
        "another machine: the order of the rows can be compared, their milliseconds cannot",
        "16 times the slices for 1.4 times the time is implausible for the dense tensor of Algorithm 1; no target",
        "the width of the projections was not published: 64 here",
        "points are counted on [-t, t]; by symmetry half as many on [0, t] are computed here",
    ),
)
