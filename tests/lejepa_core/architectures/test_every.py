"""Every architecture of the registry is built and, below 20 million parameters, trained for a step. Minutes long."""

from copy import deepcopy
from dataclasses import asdict, dataclass

import pytest
import timm
import torch
from safetensors.torch import load, save

from lejepa_core.accumulation import check_micro_batches
from lejepa_core.architectures import ARCHITECTURES, ArchitectureSpec, local_size
from lejepa_core.architectures.measure import measure_shapes
from lejepa_core.architectures.measurements import TABLE, read_measurements
from lejepa_core.encoder import Encoder, build_encoder, distinct_weights, load_distinct_weights
from lejepa_core.errors import SettingError
from lejepa_core.objective import LeJEPALoss
from lejepa_core.settings import PretrainSettings
from lejepa_core.sigreg import SIGReg

pytestmark = pytest.mark.architectures
FROZEN_BY_TIMM = {"efficientvim_m1": {"weights"}}
SMALL = [name for name, spec in ARCHITECTURES.items() if spec.parameters < 20e6]
REGENERATE = "regenerate with: python -m lejepa_core.architectures.measure --write"


@dataclass(frozen=True)
class Built:
    """An architecture at 64 px, or at the smallest size that it takes, and four views of four images."""

    name: str
    spec: ArchitectureSpec
    encoder: Encoder
    views: list[torch.Tensor]


@pytest.fixture(scope="module", params=SMALL)
def built(request: pytest.FixtureRequest) -> Built:
    spec = ARCHITECTURES[request.param]
    size = next(s for s in (64, *range(1, 600)) if spec.takes(s))
    small = local_size(request.param, size)
    settings = PretrainSettings(
        architecture=request.param, lambda_=0.1, learning_rate=1e-3, weight_decay=1e-2, batch_size=4, image_size=size,
        local_size=small, views_global=2, views_local=2, projector_hidden=16, projector_depth=2, projector_dim=8,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(2, 4, 3, side, side, generator=generator) for side in (size, small)]
    return Built(request.param, spec, build_encoder(settings), views)


def test_nothing_in_training_is_left_to_chance(built: Built) -> None:
    outputs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            outputs.append(built.encoder.train().embed(built.views[-1][0]))
    assert torch.equal(*outputs)


def test_takes_one_step(built: Built) -> None:
    trained = {name: p for name, p in built.encoder.named_parameters() if p.requires_grad}
    frozen = {name for name, p in built.encoder.backbone.named_parameters() if not p.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=1e-3)
    z = built.encoder.train()(built.views)
    loss = LeJEPALoss(0.1, sigreg=SIGReg(slices=16))(z, views_global=2, step=0).total
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    assert frozen == FROZEN_BY_TIMM.get(built.name, set())
    assert [name for name, p in trained.items() if p.grad is None] == []
    assert [name for name, p in trained.items() if not (p.grad.isfinite().all() and p.isfinite().all())] == []


def test_what_micro_batches_are_not_refused_to_embeds_each_image_by_itself(built: Built) -> None:
    try:
        check_micro_batches(built.encoder.backbone, built.name)
    except SettingError:
        return
    encoder, images = built.encoder.train(), built.views[0][0]
    with torch.no_grad():
        apart = torch.cat([encoder.embed(image[None]) for image in images])
        torch.testing.assert_close(encoder.embed(images), apart, rtol=1e-3, atol=1e-4)


def test_embeds(built: Built) -> None:
    with torch.no_grad():
        embeddings = built.encoder.eval().embed(built.views[0][0])
    assert embeddings.shape == (4, built.spec.features)
    assert embeddings.isfinite().all()


def test_is_saved_and_loaded(built: Built) -> None:
    backbone = built.encoder.backbone
    other = deepcopy(backbone)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    load_distinct_weights(other, load(save(distinct_weights(backbone))))
    wanted = backbone.state_dict()
    assert [name for name, tensor in other.state_dict().items() if not torch.equal(tensor, wanted[name])] == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_timm_has_not_moved(name: str) -> None:
    spec = ARCHITECTURES[name]
    module = timm.model_entrypoint(spec.timm_name).__module__.rsplit(".", 1)[-1]
    found = {"family": module, **asdict(measure_shapes(name))}
    wanted = {"family": spec.family, **asdict(read_measurements()[name]), "ms_32": None, "ms_64": None}
    moved = [f"{field} is {found[field]}, not {wanted[field]}" for field in wanted if found[field] != wanted[field]]
    made_with = TABLE.read_text(encoding="utf-8").splitlines()[0]
    assert not moved, (
        f"{name}: {'; '.join(moved)}. timm is {timm.__version__}, the table is of {made_with}; {REGENERATE}"
    )
