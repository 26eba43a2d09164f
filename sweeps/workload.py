"""What a trial has to compute, as numbers that its time and memory depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from lejepa_core.architectures import find_architecture
from lejepa_core.evaluation import finetune
from lejepa_core.evaluation.choosing import epochs_for
from lejepa_core.settings import PretrainSettings
from lejepa_platform.config import TrialConfig
from sweeps.flops import TIMED_RATE, forward_flops

EVALUATIONS: Final[Mapping[str, float]] = {"few_shot": 2.0, "finetune": 0.0, "paper": 1.5, "projection": 1.0,
                                           "shuffled": 1.0, "supervised": 0.0}  # fmt: skip
"""Protocol -> how many linear probes of all images it costs, roughly; what trains a network is counted by its steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """How many images of a data set there are, and of how many classes."""

    train: int
    test: int
    classes: int
    per_class: int | None = None
    """Labelled train images per class that probes learn from; None = all."""

    @property
    def labelled(self) -> int:
        """Train images that probes learn from."""
        return self.train if self.per_class is None else min(self.train, self.per_class * self.classes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One trial."""

    settings: PretrainSettings
    images: Images
    """Of train those that are trained on."""
    protocols: tuple[str, ...] = ()
    others: tuple[Images, ...] = ()
    """Other data sets that its encoder is probed on."""
    sharing: int = 1
    """Trials that the supervised reference is trained for once: all that differ in nothing that it reads."""

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
    def classified(self) -> float:
        """Images that training with labels looks at, one view of each as often as it comes."""
        held, found = self.images.labelled, 0.0
        if "finetune" in self.protocols:
            epochs = epochs_for(held, batch_size=finetune.BATCH_SIZE, steps=finetune.STEPS, most=finetune.MOST_EPOCHS)
            found += epochs * held
        if "supervised" in self.protocols:
            found += self.settings.epochs * self.images.train / self.sharing
        return found

    @property
    def training_flops(self) -> float:
        """Operations of backbone and projector in training: the backward pass is twice the forward one."""
        views = sum(forward_flops(self.settings.architecture, side) for side in self.sides)
        return 3 * self.seen * (views + 2 * len(self.sides) * self.projector)

    @property
    def classifying_flops(self) -> float:
        """Operations of the backbone in training with labels."""
        return 3 * self.classified * forward_flops(self.settings.architecture, self.settings.image_size)

    @property
    def core_seconds(self) -> float:
        """Those of the backbone in all training, on the core that architectures were timed on."""
        s = self.settings
        views = self.seen * sum(milliseconds(s.architecture, side) for side in self.sides)
        return (views + self.classified * milliseconds(s.architecture, s.image_size)) / 1000

    @property
    def megapixels(self) -> float:
        """Of all views that training makes, with labels and without."""
        views = self.seen * sum(side**2 for side in self.sides)
        return (views + self.classified * self.settings.image_size**2) / 1e6

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
    def probings(self) -> float:
        """How many linear probes its own and its protocols' are worth."""
        return 1 + sum(EVALUATIONS.get(name, 1.0) for name in self.protocols)

    @property
    def embedded(self) -> float:
        """Images that its encoder is measured on, each as often as it is."""
        own = self.probings * (self.images.train + self.images.test)
        return own + sum(held.train + held.test for held in self.others)

    @property
    def evaluation_core_seconds(self) -> float:
        """Of embedding these, on the same core: a forward pass is a third of a step."""
        s = self.settings
        return self.embedded * milliseconds(s.architecture, s.image_size) / 3000

    @property
    def probes(self) -> float:
        """Billions of products of the linear probes: images x features x classes."""
        own = self.images.train * self.images.classes * self.probings
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
    trial: TrialConfig,
    images: Images,
    *,
    protocols: tuple[str, ...] = (),
    others: tuple[Images, ...] = (),
    sharing: int = 1,
) -> Workload:
    """What a trial of a study has to compute.

    Args:
        trial: The trial.
        images: All that its data set has.
        protocols: What it is measured by besides.
        others: Further data sets that it is probed on.
        sharing: Trials with the same supervised reference.
    """
    held = replace(images, train=min(images.train, trial.limit_train or images.train))
    return Workload(settings=trial, images=held, protocols=protocols, others=others, sharing=sharing)
