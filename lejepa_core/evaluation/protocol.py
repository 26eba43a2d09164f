"""What can be measured of a finished trial's encoder, at its end or at any later time: the form of a protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.evaluation.probes import Labels
from lejepa_core.settings import PretrainSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a protocol looks at; it leaves all of it as it was."""

    encoder: Encoder
    """In evaluation mode, on the device to compute on."""
    data: ImageDataset
    """The images that it was pretrained on."""
    settings: PretrainSettings
    """Of its pretraining."""
    train: Labels
    """Indices of the training images that pretraining saw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a protocol found."""

    metrics: Mapping[str, float]
    """Under their public names, such as `test/paper_top1`; accuracies as fractions."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What figures need beyond: predictions, spectra."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """One way to measure an encoder."""

    about: str
    """One line for `--help` and reports."""
    version: int
    """Raised when results change; trials that hold an older one are measured again, without being trained again."""
    measure: Callable[[Subject], Measured]
    needs_labels: bool = True
    shared: bool = False
    """Whether the trials of a cell and seed share the result: a function of the untrained backbone, seed, images and
    their global views, epochs and batch size alone, and not of the objective, its optimiser or the projector."""
