"""What a frozen backbone is worth: probes on its embeddings, λ-free and the same for every trial."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder
from lejepa_core.evaluation.embedding import batch_statistics, embed, held_out_sample
from lejepa_core.evaluation.probes import Labels, Probe, few_per_class, knn_probe, linear_probe
from lejepa_core.geometry import MIN_SAMPLES, Geometry, measure_geometry

HELD_OUT: Final = 1024
"""Most validation images that projections are measured on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All that is measured on a frozen encoder; the probes are None for images without classes."""

    linear: Probe | None
    knn: Probe | None
    geometry: Geometry

    def metrics(self) -> dict[str, float]:
        """Under their public names; accuracies as fractions."""
        metrics = {
            "geometry/effective_rank": self.geometry.effective_rank,
            "geometry/spread": self.geometry.spread,
        }
        for name, probe in (("linear", self.linear), ("knn", self.knn)):
            if probe is not None:
                metrics |= {f"val/{name}_top1": probe.val_top1, f"test/{name}_top1": probe.test_top1}
        if self.linear is not None:
            metrics["probe/linear_c"] = self.linear.chosen
        return metrics


def evaluate(encoder: Encoder, data: ImageDataset, *, image_size: int, train: Labels) -> Evaluation:
    """Probe an encoder's embeddings, and measure its projections on the validation split.

    Args:
        encoder: Left in evaluation mode.
        data: The images.
        image_size: Side of the images that the encoder sees, in pixels.
        train: Indices of the images that the probes learn from.
    """
    encoder.eval()
    splits = {"train": train, "val": data.splits["val"], "test": data.splits["test"]}
    geometry = held_out_geometry(encoder, data, image_size=image_size)
    if data.labels is None:
        return Evaluation(linear=None, knn=None, geometry=geometry)
    splits["train"] = few_per_class(train, data.labels[train], data.probe_per_class)
    embeddings = {name: embed(encoder, data, indices, image_size) for name, indices in splits.items()}
    labels = {name: data.labels[indices] for name, indices in splits.items()}
    return Evaluation(
        linear=linear_probe({name: x.float().numpy() for name, x in embeddings.items()}, labels),
        knn=knn_probe(embeddings, labels),
        geometry=geometry,
    )


def held_out_geometry(encoder: Encoder, data: ImageDataset, *, image_size: int, count: int = HELD_OUT) -> Geometry:
    """The shape of the projections of validation images.

    Args:
        encoder: In evaluation mode.
        data: The images.
        image_size: Side of the images that the encoder sees, in pixels.
        count: Of the images, at most.
    """
    held_out = held_out_sample(data.splits["val"], count)
    with batch_statistics(encoder) if len(held_out) >= MIN_SAMPLES else nullcontext():
        return measure_geometry(embed(encoder, data, held_out, image_size, projected=True))
