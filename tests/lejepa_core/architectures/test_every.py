"""Every architecture of the registry is built and, below 20 million parameters, trained for a step. Minutes long."""

import pytest
import timm
import torch
from torch import nn

from lejepa_core.architectures import ARCHITECTURES, local_size
from lejepa_core.architectures.build import build_backbone
from lejepa_core.architectures.measure import feature_width
from lejepa_core.architectures.measurements import measured_with
from lejepa_core.encoder import Encoder, build_encoder
from lejepa_core.objective import LeJEPALoss
from lejepa_core.settings import PretrainSettings

pytestmark = pytest.mark.architectures
SMALL = [name for name, spec in ARCHITECTURES.items() if spec.parameters < 20e6]
REGENERATE = "regenerate with: python -m lejepa_core.architectures.measure --write"


def settings_of(name: str) -> PretrainSettings:
    """64 px, or the smallest size that it takes."""
    size = next(s for s in (64, *range(1, 600)) if ARCHITECTURES[name].takes(s))
    return PretrainSettings(
        architecture=name, lambda_=0.1, learning_rate=1e-3, weight_decay=1e-2, batch_size=4, image_size=size,
        local_size=local_size(name, size), views_global=2, views_local=2, projector_hidden=16, projector_depth=2,
        projector_dim=8, slices=16,
    )  # fmt: skip


def views_of(settings: PretrainSettings) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, 4, 3, size, size, generator=generator) for size in (settings.image_size, settings.local_size)
    ]


@pytest.mark.parametrize("name", SMALL)
def test_takes_one_step_and_embeds(name: str) -> None:
    spec, settings = ARCHITECTURES[name], settings_of(name)
    encoder, views = build_encoder(settings), views_of(settings)
    before = [parameter.detach().clone() for parameter in encoder.parameters() if parameter.requires_grad]
    trained = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=1e-3)
    z = encoder.train()(views)
    loss = LeJEPALoss(0.1)(z, views_global=2, step=0).total
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    assert [n for n, p in trained.items() if p.grad is None] == []
    assert [n for n, p in trained.items() if not (p.grad.isfinite().all() and p.isfinite().all())] == []
    assert any(not torch.equal(a, b) for a, b in zip(before, trained.values(), strict=True))
    assert {n for n, p in encoder.backbone.named_parameters() if not p.requires_grad} == set(spec.unused)
    assert_embeds(encoder, views[0][0], spec.features)


def assert_embeds(encoder: Encoder, images: torch.Tensor, width: int) -> None:
    with torch.no_grad():
        embeddings = encoder.eval().embed(images)
    assert embeddings.shape == (4, width)
    assert embeddings.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_nothing_in_training_is_left_to_chance(name: str) -> None:
    settings = settings_of(name)
    encoder, views = build_encoder(settings).train(), views_of(settings)
    outputs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            outputs.append(encoder.embed(views[0][0]))
    assert torch.equal(*outputs)


def test_timm_has_not_moved() -> None:
    moved = [line for name in ARCHITECTURES if (line := difference(name))]
    assert not moved, f"timm is {timm.__version__}, the table was measured with {measured_with()}; {REGENERATE}\n" + (
        "\n".join(moved)
    )


def difference(name: str) -> str:
    spec = ARCHITECTURES[name]
    size = next(s for s in range(spec.min_size, 600) if spec.takes(s))
    with torch.device("meta"):
        network = build_backbone(spec, size)
    found = (
        sum(p.numel() for p in network.parameters()),
        feature_width(spec, size),
        any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()),
    )
    module = timm.model_entrypoint(spec.timm_name).__module__.rsplit(".", 1)[-1]
    wanted = (spec.parameters, spec.features, spec.batchnorm)
    if found == wanted and module == spec.family:
        return ""
    return f"{name}: parameters, width, BatchNorm are {found} in {module}, {wanted} in {spec.family} were measured"
