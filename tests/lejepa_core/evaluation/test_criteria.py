"""Label-free criteria: against the loss itself, on constructed encoders, and what they must leave as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import stripes

from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.errors import DataError
from lejepa_core.evaluation.criteria import IMAGES, SAMPLES, SLICES, measure_criteria
from lejepa_core.evaluation.embedding import held_out_sample
from lejepa_core.evaluation.fresh_views import fresh_views
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.geometry import covariance_spectrum
from lejepa_core.objective import LeJEPALoss
from lejepa_core.random import derive_seed
from lejepa_core.settings import PretrainSettings
from lejepa_core.sigreg import SIGReg

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=0.0, image_size=32, local_size=16,
    views_global=2, views_local=1, projector_hidden=16, projector_dim=8,
)  # fmt: skip


class Pixels(nn.Module):
    """Embeds an image by what it looks like."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


class Point(nn.Module):
    """Embeds all images alike."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 48) + 0 * images.mean()


def made_of(backbone: nn.Module) -> Encoder:
    return Encoder(backbone, features=48, hidden=16, depth=2, dim=8).eval()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    """Stripes, of which 150 are for validation."""
    data = stripes(tmp_path_factory.mktemp("criteria"), per_class=120)
    return replace(data, splits={**data.splits, "val": data.splits["train"][:150]})


def subject(data: ImageDataset, encoder: Encoder | None = None, **changes: object) -> Subject:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    encoder = encoder or build_encoder(settings)
    return Subject(encoder=encoder.eval(), data=data, settings=settings, train=data.splits["train"])


def test_terms_are_those_of_the_loss_on_the_same_projections(data: ImageDataset) -> None:
    seen = subject(data)
    metrics = measure_criteria(seen).metrics
    views = fresh_views(seen.encoder, data, held_out_sample(data.splits["val"], IMAGES), SETTINGS)
    (z,) = views.projections
    sigreg = SIGReg(slices=SLICES, seed=derive_seed("held-out slices"), kernel="eager")
    terms = LeJEPALoss(0.5, sigreg=sigreg)(z, views_global=2, step=0)
    assert metrics["heldout/prediction"] == pytest.approx(float(terms.prediction), rel=1e-5)
    share = (float(terms.sigreg) - sigreg.floor) / (sigreg.ceiling(150) - sigreg.floor)
    assert metrics["heldout/sigreg_share"] == pytest.approx(share, rel=1e-4)
    assert metrics["heldout/sigreg"] == pytest.approx(
        sigreg.floor + share * (sigreg.ceiling(SAMPLES) - sigreg.floor), rel=1e-4
    )


def test_an_encoder_that_sees_pixels_finds_views_and_one_that_sees_nothing_does_not(data: ImageDataset) -> None:
    # Views that are the image again, or nearly so.
    calm = replace(data, photographic=False, flip=False)
    sighted, blind = (
        measure_criteria(subject(calm, made_of(backbone), global_scale=(0.95, 1.0))).metrics
        for backbone in (Pixels(), Point())
    )
    assert sighted["heldout/retrieval_top1"] > 0.3
    assert blind["heldout/retrieval_top1"] == pytest.approx(1 / 150)
    assert blind["geometry/lidar"] == 1
    assert blind["geometry/embedding_rank"] == pytest.approx(1, abs=1e-3)
    assert np.isnan(blind["geometry/alpha_req"])
    assert blind["geometry/slices_outside"] == 1


def test_nothing_of_the_encoder_is_changed_and_a_second_look_sees_the_same(data: ImageDataset) -> None:
    seen = subject(data)
    before = {name: value.clone() for name, value in seen.encoder.state_dict().items()}
    modes = [module.training for module in seen.encoder.modules()]
    state = torch.get_rng_state()
    first = measure_criteria(seen)
    after = seen.encoder.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert [module.training for module in seen.encoder.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    second = measure_criteria(seen)
    assert second.metrics == first.metrics
    assert all(np.array_equal(second.arrays[name], value) for name, value in first.arrays.items())


def test_embeddings_do_not_depend_on_how_images_are_batched(data: ImageDataset) -> None:
    encoder, indices = build_encoder(SETTINGS).eval(), data.splits["val"]
    whole, parts = (fresh_views(encoder, data, indices, SETTINGS, batch=batch).embeddings for batch in (256, 37))
    assert torch.allclose(whole, parts, atol=1e-5)


def test_views_are_the_same_for_every_seed_and_lambda(data: ImageDataset) -> None:
    encoder, indices = build_encoder(SETTINGS).eval(), data.splits["val"]
    other = replace(SETTINGS, seed=7, lambda_=0.9, epochs=3)
    first, second = (fresh_views(encoder, data, indices, settings) for settings in (SETTINGS, other))
    assert torch.equal(first.embeddings, second.embeddings)
    assert torch.equal(first.projections[0], second.projections[0])


def test_projections_are_normalised_by_their_batch_and_embeddings_are_not(data: ImageDataset) -> None:
    encoder, indices = build_encoder(SETTINGS).eval(), data.splits["val"]
    before = fresh_views(encoder, data, indices, SETTINGS)
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean += 1
    after = fresh_views(encoder, data, indices, SETTINGS)
    assert torch.equal(before.projections[0], after.projections[0])
    assert not torch.allclose(before.embeddings, after.embeddings)


def test_arrays_are_what_figures_need(data: ImageDataset) -> None:
    seen = subject(data)
    arrays = measure_criteria(seen).arrays
    views = fresh_views(seen.encoder, data, held_out_sample(data.splits["val"], IMAGES), SETTINGS)
    expected = covariance_spectrum(views.projections[0][0]).numpy()
    assert arrays["projection_spectrum"] == pytest.approx(expected, rel=1e-4)
    assert {name: value.shape for name, value in arrays.items()} == {
        "embedding_spectrum": (views.embeddings.shape[-1],), "projection_spectrum": (8,),
        "slice_statistics": (SLICES,), "envelope_statistic": (1,),
        "qq_normal": (40,), "qq_slices": (3, 40), "qq_envelope": (2, 40),
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{"views_global": 1}, {"views_local": 0}, {"precision": "float64"}])
def test_every_form_of_training_can_be_judged(data: ImageDataset, changes: dict[str, object]) -> None:
    metrics = measure_criteria(subject(data, **changes)).metrics
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("images", [2, 9])
def test_few_validation_images_are_measured(data: ImageDataset, images: int) -> None:
    few = replace(data, splits={**data.splits, "val": data.splits["val"][:images]})
    assert 0 <= measure_criteria(subject(few)).metrics["heldout/retrieval_top1"] <= 1


def test_what_cannot_be_judged_is_refused(data: ImageDataset, tmp_path: Path) -> None:
    one = replace(data, splits={**data.splits, "val": data.splits["val"][:1]})
    with pytest.raises(DataError, match="want at least 2"):
        measure_criteria(subject(one))
    broken = build_encoder(SETTINGS)
    nn.init.constant_(next(broken.backbone.parameters()), float("nan"))
    with pytest.raises(DataError, match="not finite"):
        measure_criteria(subject(data, broken))
