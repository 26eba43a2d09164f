"""bfloat16: close to float32 where it computes, float32 where it counts, and as exactly repeated as ever."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ranks import run_on_ranks
from resuming import SETTINGS, interrupted_and_whole
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d
from toys import stripes

from lejepa_core.batchnorm import synchronised_batch_norm
from lejepa_core.datasets import ImageDataset
from lejepa_core.encoder import build_encoder
from lejepa_core.evaluation.evaluate import evaluate
from lejepa_core.objective import LeJEPALoss
from lejepa_core.precision import autocast, meets_only_padding
from lejepa_core.pretrain import EpochResult, pretrain
from lejepa_core.regularizers import build_regularizer
from lejepa_core.settings import Precision, PretrainSettings

BFLOAT16 = replace(SETTINGS, precision="bfloat16")
EPSILON = torch.finfo(torch.bfloat16).eps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return stripes(tmp_path_factory.mktemp("stripes"))


def first_step(settings: PretrainSettings, data: ImageDataset) -> tuple[EpochResult, Tensor, Tensor]:
    """The only step of an epoch, its gradient and its projections."""
    settings = replace(settings, epochs=1, batch_size=48)
    encoder, seen = build_encoder(settings), []
    encoder.register_forward_hook(lambda _, __, z: seen.append(z.detach()))
    epoch = next(pretrain(settings, data, encoder, train=torch.from_numpy(data.splits["train"])[:48]))
    gradient = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
    return epoch, gradient, seen[0]


@pytest.mark.parametrize("architecture", ["vit_nano_p8", "resnet10t_w32", "convnextv2_micro_p2"])
def test_the_first_step_is_that_of_float32_up_to_rounding(data: ImageDataset, architecture: str) -> None:
    settings = replace(SETTINGS, architecture=architecture, local_size=32)
    (wide, wide_gradient, _), (narrow, gradient, _) = (
        first_step(replace(settings, precision=precision), data) for precision in ("float32", "bfloat16")
    )
    assert narrow.losses != wide.losses
    assert narrow.losses == pytest.approx(wide.losses, rel=4 * EPSILON)
    # A ReLU at a near tie turns rounding into more of it.
    relus = any(isinstance(module, nn.ReLU) for module in build_encoder(settings).backbone.modules())
    assert torch.cosine_similarity(gradient, wide_gradient, dim=0) > (0.98 if relus else 0.99)


@pytest.mark.parametrize(
    ("pixels", "kernel", "stride", "padding", "misses"),
    [(1, 3, 2, 1, True), (2, 3, 4, 1, True), (2, 7, 2, 3, True), (2, 3, 2, 1, True), (3, 3, 2, 1, False),
     (8, 3, 2, 1, False), (4, 2, 2, 0, False), (1, 1, 2, 0, False)],
)  # fmt: skip
def test_weights_that_meet_only_padding_are_found_and_get_a_gradient_of_zero(
    pixels: int, kernel: int, stride: int, padding: int, misses: bool
) -> None:
    x, w = torch.randn(4, 16, pixels, pixels), torch.randn(16, 16, kernel, kernel, requires_grad=True)
    conv2d(torch.ones(1, 1, pixels, pixels), seen := torch.ones(1, 1, kernel, kernel, requires_grad=True),
           stride=stride, padding=padding).sum().backward()  # fmt: skip
    assert meets_only_padding(x, w, None, stride, padding) == misses == bool((seen.grad == 0).any())
    # What unwritten memory then holds.
    [torch.full((2**power,), torch.nan) for power in range(6, 18)].clear()
    with autocast("bfloat16", x.device):
        y = conv2d(x, w, stride=stride, padding=padding)
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert w.grad is not None and bool((w.grad[:, :, seen.grad[0, 0] == 0] == 0).all())


def test_the_loss_takes_what_bfloat16_gave_as_float32(data: ImageDataset) -> None:
    epoch, _, z_VND = first_step(BFLOAT16, data)
    assert torch.equal(z_VND, z_VND.bfloat16().float())
    loss = LeJEPALoss(BFLOAT16.lambda_, sigreg=build_regularizer(BFLOAT16))
    exact = loss(z_VND.double(), views_global=BFLOAT16.views_global, step=0)
    assert epoch.losses == pytest.approx([float(exact.total)], rel=1e-5)
    assert epoch.metrics["train/sigreg"] == pytest.approx(float(exact.sigreg), rel=1e-5)


def test_weights_optimiser_and_probe_stay_in_float32(data: ImageDataset) -> None:
    encoder = build_encoder(BFLOAT16)
    epoch = next(pretrain(BFLOAT16, data, encoder, train=torch.from_numpy(data.splits["train"])))
    state = epoch.state()
    adam = [t for moments in state["optimiser"]["state"].values() for t in moments.values()]
    tensors = [*state["model"].values(), *adam, *state["online"]["head"].values()]
    assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float32}


def test_what_is_measured_of_weights_is_what_float32_measures_of_them(data: ImageDataset) -> None:
    found = []
    for precision in ("bfloat16", "float32"):
        encoder = build_encoder(replace(SETTINGS, precision=precision))
        found.append(evaluate(encoder, data, image_size=32, train=data.splits["train"]).metrics())
    assert found[0] == found[1]


def test_an_interruption_leaves_no_trace(data: ImageDataset, tmp_path: Path) -> None:
    found = interrupted_and_whole(data, tmp_path / "state.pt", 5, settings=BFLOAT16)
    assert found["resumed"]["losses"] == found["whole"]["losses"][1:]
    weights = found["whole"]["weights"]
    assert all(torch.equal(value, weights[name]) for name, value in found["resumed"]["weights"].items())


def test_batchnorm_of_several_processes_is_torchs_in_bfloat16() -> None:
    # 4 x 13 x 23 = 1196 values per channel, a number that bfloat16 does not have.
    x = (3 + torch.randn(4, 5, 13, 23, generator=torch.Generator().manual_seed(0))).bfloat16()
    ours, theirs = torch.nn.BatchNorm2d(5), torch.nn.BatchNorm2d(5)
    y = synchronised_batch_norm(ours, x)
    wanted = batch_norm(x, theirs.running_mean, theirs.running_var, theirs.weight, theirs.bias, training=True)
    assert y.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(y, wanted, rtol=EPSILON, atol=EPSILON)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-5, atol=0)


@pytest.mark.parametrize("architecture", ["resnet10t_w32", pytest.param("vit_nano_p8", marks=pytest.mark.slow)])
def test_two_processes_take_the_first_step_of_one(tmp_path: Path, architecture: str) -> None:
    precision: Precision = "bfloat16"
    one = run_on_ranks("pretrain", 1, tmp_path, architecture, precision, "all")[0]
    part, other = run_on_ranks("pretrain", 2, tmp_path, architecture, precision, "all")
    assert part["losses"].item() == pytest.approx(one["losses"].item(), rel=2 * EPSILON)
    assert torch.cosine_similarity(part["gradients"], one["gradients"], dim=0) > 0.99
    torch.testing.assert_close(part["buffers"], one["buffers"], rtol=4 * EPSILON, atol=EPSILON)
    assert torch.equal(part["gradients"], other["gradients"])
