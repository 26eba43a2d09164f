"""The protocols by name: plain data."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.evaluation.criteria import measure_criteria
from lejepa_core.evaluation.few_shot import measure_few_shot
from lejepa_core.evaluation.finetune import measure_finetune
from lejepa_core.evaluation.paper import measure_paper
from lejepa_core.evaluation.projection import measure_projection
from lejepa_core.evaluation.protocol import Protocol
from lejepa_core.evaluation.shuffled import measure_shuffled
from lejepa_core.evaluation.supervised import measure_supervised

ALWAYS: Final = ("criteria",)
"""Protocols that every trial is measured by."""
PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "criteria": Protocol(
        about="label-free criteria on fresh views of validation images: terms of the loss, view retrieval, geometry",
        version=1,
        measure=measure_criteria,
        needs_labels=False,
    ),
    "few_shot": Protocol(
        about="linear probe and k-NN from 1, 2, 5, 10 and 100 labels per class",
        version=1,
        measure=measure_few_shot,
    ),
    "finetune": Protocol(
        about="the whole backbone trained on with labels",
        version=1,
        measure=measure_finetune,
    ),
    "paper": Protocol(
        about="linear probe of LeJEPA's tables: last two layers, LayerNorm, AdamW",
        version=1,
        measure=measure_paper,
    ),
    "projection": Protocol(
        about="linear probe and k-NN on projections in place of embeddings",
        version=1,
        measure=measure_projection,
    ),
    "shuffled": Protocol(
        about="linear probe and k-NN with shuffled labels, which have to stay at chance",
        version=1,
        measure=measure_shuffled,
    ),
    "supervised": Protocol(
        about="the same backbone trained from scratch with labels, for as many epochs: a reference line",
        version=1,
        measure=measure_supervised,
        shared=True,
    ),
}
