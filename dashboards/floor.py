"""What to call the floor: the backbone of a trial as it was before training."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorWords:
    """The floor in a sentence, as a label and in a table."""

    backbone: str
    """With its article, as in "beats ..."."""
    state: str
    """What a backbone is there, as in "the same backbone, ..."."""
    label: str
    """As in "over ..."."""
    short: str
    """Head of a column."""


def floor_words(pretrained: bool) -> FloorWords:
    """The words for a study that began from weights of the hub, or from random ones."""
    if pretrained:
        return FloorWords(
            backbone="the backbone before training",
            state="before training",
            label="the backbone before training",
            short="before training",
        )
    return FloorWords(
        backbone="a randomly initialised backbone",
        state="randomly initialised",
        label="random initialisation",
        short="random init",
    )
