"""What a trial has to compute, as numbers that its time and memory depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lejepa_core.architectures import find_architecture
from lejepa_core.settings import PretrainSettings
from lejepa_platform.config import TrialConfig
from sweeps.flops import TIMED_RATE, forward_flops

EVALUATIONS: Final[Mapping[str, float]] = {"few_shot": 2.0, "finetune": 3.0, "paper": 1.5, "projection": 1.0,
                                           "shuffled": 1.0, "supervised": 4.0}  # fmt: skip
"""Protocol -> how many linear probes of all images it costs, roughly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """How many images of a data set there are, and of how many classes."""

    train: int
    test: int
    classes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One trial."""

    settings: PretrainSettings
    images: Images
    """Of train those that are trained on."""
    protocols: tuple[str, ...] = ()
    others: tuple[Images, ...] = ()
    """Other data sets that its encoder is probed on."""

    @property
    def steps(self) -> int:
        """Of the optimiser."""
        return self.settings.epochs * max(1, self.images.train // self.settings.batch_size)

    @property
    def seen(self) -> int:
        """Images that training looks at, each as often as it comes."""
        return self.steps * self.settings.batch_size

    @property
    def sides(self) -> tuple[int, ...]:
        """Of the views of an image, in pixels."""
        s = self.settings
        return (s.image_size,) * s.views_global + (s.local_size,) * s.views_local

    @property
    def training_flops(self) -> float:
        """Operations of backbone and projector in training: the backward pass is twice the forward one."""
        views = sum(forward_flops(self.settings.architecture, side) for side in self.sides)
        return 3 * self.seen * (views + 2 * len(self.sides) * self.projector)

    @property
    def core_seconds(self) -> float:
        """Those of the backbone on the core that architectures were timed on."""
        return self.seen * sum(milliseconds(self.settings.architecture, side) for side in self.sides) / 1000

    @property
    def megapixels(self) -> float:
        """Of all views that training makes."""
        return self.seen * sum(side**2 for side in self.sides) / 1e6

    @property
    def exponentials(self) -> float:
        """Of SIGReg, in billions: samples x slices x knots, of each view and step."""
        s = self.settings
        return self.seen * len(self.sides) * s.slices * s.knots / 1e9

    @property
    def projector(self) -> float:
        """Weights of the projector."""
        s, features = self.settings, self.features
        if s.projector_depth == 1:
            return features * s.projector_dim
        inner = s.projector_hidden**2 * (s.projector_depth - 2)
        return features * s.projector_hidden + inner + s.projector_hidden * s.projector_dim

    @property
    def features(self) -> int:
        """Width of the embedding."""
        return self.settings.embedding_dim or find_architecture(self.settings.architecture).features or 512

    @property
    def evaluated(self) -> int:
        """Images that its encoder is measured on."""
        return sum(held.train + held.test for held in (self.images, *self.others))

    @property
    def evaluation_core_seconds(self) -> float:
        """Of embedding these, on the same core: a forward pass is a third of a step."""
        s = self.settings
        once = milliseconds(s.architecture, s.image_size) / 3000
        return once * self.evaluated * (1 + sum(EVALUATIONS.get(name, 1.0) for name in self.protocols))

    @property
    def probes(self) -> float:
        """Billions of products of the linear probes: images x features x classes."""
        extra = 1 + sum(EVALUATIONS.get(name, 1.0) for name in self.protocols)
        own = self.images.train * self.images.classes * extra
        return self.features * (own + sum(held.train * held.classes for held in self.others)) / 1e9


def milliseconds(architecture: str, side: int) -> float:
    """Forward and backward of one image on one core: as timed up to 64 px, beyond that by operations.

    Args:
        architecture: Its name.
        side: In pixels.
    """
    spec = find_architecture(architecture)
    if spec.ms_64 is None:
        return 3000 * forward_flops(architecture, side) / TIMED_RATE
    if side <= 64:
        return spec.milliseconds(side)
    return spec.ms_64 * forward_flops(architecture, side) / forward_flops(architecture, 64)


def workload_of(
    trial: TrialConfig, images: Images, *, protocols: tuple[str, ...] = (), others: tuple[Images, ...] = ()
) -> Workload:
    """What a trial of a study has to compute.

    Args:
        trial: The trial.
        images: All that its data set has.
        protocols: What it is measured by besides.
        others: Further data sets that it is probed on.
    """
    train = min(images.train, trial.limit_train or images.train)
    held = Images(train=train, test=images.test, classes=images.classes)
    return Workload(settings=trial, images=held, protocols=protocols, others=others)
