"""Converted λ against the installed peers, and against formulas re-derived here for the others.

The peers run in processes of their own (this file as a script), since stable-pretraining changes logging on import.
"""

# V views, N samples, D dims, S slices, T knots
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from lejepa_core.conventions import CONVENTIONS, Run, effective_weight, scatter
from lejepa_core.conversion import convert
from lejepa_core.objective import LeJEPALoss
from lejepa_core.sigreg import SIGReg

GLOBAL, LOCAL, N, D, S = 2, 3, 24, 6, 40
CONVEX, ADDITIVE = (0.0, 0.02, 0.3, 1.0), (0.0, 0.02, 1.0, 30.0)


def projections(kind: str) -> Tensor:
    """Projections (V, N, D): "crops" of common images, "alike" = the same samples in every view in another order,
    "copies" = both halves of the batch the same, so that each of two ranks holds the same samples."""
    g = torch.Generator().manual_seed(5)
    views, samples = GLOBAL + LOCAL, N // 2 if kind == "copies" else N
    image_ND = 1.4 * torch.randn(samples, D, generator=g, dtype=torch.float64) + 0.2
    if kind == "alike":
        return torch.stack([image_ND[torch.randperm(samples, generator=g)] for _ in range(views)])
    z_VND = image_ND + 0.5 * torch.randn(views, samples, D, generator=g, dtype=torch.float64)
    return torch.cat([z_VND, z_VND], dim=1) if kind == "copies" else z_VND


def directions(dtype: torch.dtype = torch.float64) -> Tensor:
    """The slices that both peers draw after their seed was set to 0."""
    a_DS = torch.randn(D, S, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return (a_DS / a_DS.norm(dim=0)).double()


def gradient(loss: Callable[[Tensor], Tensor], z_VND: Tensor) -> Tensor:
    z_VND = z_VND.clone().requires_grad_()
    return torch.autograd.grad(loss(z_VND), z_VND)[0]


# What the peers say, each loss as a function of λ.


def lightly_loss(value: float, **options: Any) -> Callable[[Tensor], Tensor]:
    from lightly.loss import LeJEPALoss as Peer

    def loss(z_VND: Tensor) -> Tensor:
        torch.manual_seed(0)
        peer = Peer(lambda_param=value, sigreg_num_vectors=S, **options)
        return peer(global_proj=z_VND[:GLOBAL], local_proj=z_VND[GLOBAL:])

    return loss


def stable_loss(value: float, sigreg: Any = None, term: int = 0) -> Callable[[Tensor], Tensor]:
    from stable_pretraining.methods.lejepa import LeJEPA, SlicedEppsPulley

    def loss(z_VND: Tensor) -> Tensor:
        statistic = SlicedEppsPulley(num_slices=S) if sigreg is None else sigreg
        statistic.global_step.zero_()
        return LeJEPA._compute_loss(z_VND.float(), GLOBAL, statistic, value)[term].double()

    return loss


def single_process() -> Iterator[tuple[str, Tensor]]:
    for kind in ("crops", "alike"):
        z_VND = projections(kind)
        for value in CONVEX:
            yield f"lightly {kind} {value}", gradient(lightly_loss(value), z_VND)
        for value in ADDITIVE:
            yield f"stable-pretraining {kind} {value}", gradient(stable_loss(value), z_VND)
        yield f"stable-pretraining {kind} prediction", gradient(stable_loss(1.0, term=1), z_VND)
        yield f"stable-pretraining {kind} sigreg", gradient(stable_loss(1.0, term=2), z_VND)


def in_place_loss(name: str, value: float) -> Callable[[Tensor], Tensor]:
    """The loss of eb_jepa or lite_ssl over ranks, as their collectives compute it."""

    def reduced(ecf_ST: Tensor) -> Tensor:
        if name == "eb_jepa":
            dist.all_reduce(ecf_ST, op=dist.ReduceOp.AVG)
            return ecf_ST
        dist.all_reduce(ecf_ST)
        return ecf_ST / dist.get_world_size()

    return lambda z_VND: PLAIN[name](z_VND, value, directions(), reduced, N)


def two_ranks(rank: int) -> Iterator[tuple[str, Tensor]]:
    from stable_pretraining.methods.lejepa import SlicedEppsPulley

    built_before = SlicedEppsPulley(num_slices=S)
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
    copies, crops = (projections(kind).chunk(2, dim=1)[rank] for kind in ("copies", "crops"))
    yield "lightly copies", gradient(lightly_loss(0.3), copies)
    yield "lightly gathered", gradient(lightly_loss(0.3, gather_distributed=True), crops)
    yield "stable-pretraining before", gradient(stable_loss(0.3, built_before), copies)
    yield "stable-pretraining after", gradient(stable_loss(0.3, SlicedEppsPulley(num_slices=S)), copies)
    for name in ("eb_jepa", "lite_ssl"):
        yield name, gradient(in_place_loss(name, 0.3), crops[:2])


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Gradients by name; over two ranks, what averaging over them makes of the parts."""
    folder = tmp_path_factory.mktemp("peers")
    outs = [folder / f"{rank}.pt" for rank in range(2)]
    processes = [
        subprocess.Popen([sys.executable, __file__, str(folder / "store"), str(rank), str(out)])
        for rank, out in enumerate(outs)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    first, second = (torch.load(out, weights_only=True) for out in outs)
    return first["alone"] | {
        f"ranks {name}": torch.cat([first["ranks"][name], second["ranks"][name]], dim=1) / 2 for name in first["ranks"]
    }


# Our loss on given directions.


class Given(SIGReg):
    """SIGReg whose directions are given."""

    def directions(self, dims: int, step: int, like: Tensor) -> Tensor:
        return self.given


def ours(value: float, a_DS: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    sigreg = Given()
    sigreg.given = directions() if a_DS is None else a_DS
    return lambda z_VND: LeJEPALoss(value, sigreg=sigreg)(z_VND, views_global=GLOBAL, step=0).total


def assert_same(theirs: Tensor, mine: Tensor, rtol: float = 1e-4) -> None:
    assert float((theirs - mine).norm()) <= rtol * float(mine.norm())


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))


def converted(value: float, source: str, **options: Any) -> tuple[float, float]:
    conversion = convert(value, source=source, batch_size=N, views_global=GLOBAL, views_local=LOCAL, **options)
    return conversion.value, conversion.factor


# lightly


@pytest.mark.parametrize("value", CONVEX)
def test_lightly_in_one_process_has_our_gradient(peers, value) -> None:
    mine, factor = converted(value, "lightly")
    theirs, expected = peers[f"lightly crops {value}"], factor * gradient(ours(mine), projections("crops"))
    assert cosine(theirs, expected) > 0.9999
    assert_same(theirs, expected, 1e-6)


def test_lightly_on_ranks_tests_each_ranks_own_samples(peers) -> None:
    mine, factor = converted(0.3, "lightly", world_size=2)
    assert mine == pytest.approx(0.15 / 0.85)
    assert_same(peers["ranks lightly copies"], factor * gradient(ours(mine), projections("copies")), 1e-6)


def test_lightly_gathering_on_ranks_is_one_process(peers) -> None:
    assert_same(peers["ranks lightly gathered"], gradient(ours(0.3), projections("crops")), 1e-6)


# stable-pretraining


@pytest.mark.parametrize("value", ADDITIVE)
def test_stable_pretraining_has_our_gradient_where_all_views_have_the_same_distribution(peers, value) -> None:
    mine, factor = converted(value, "stable-pretraining")
    theirs = peers[f"stable-pretraining alike {value}"]
    expected = factor * gradient(ours(mine, directions(torch.float32)), projections("alike"))
    assert cosine(theirs, expected) > 0.9999
    assert_same(theirs, expected)


def test_stable_pretrainings_prediction_is_ours(peers) -> None:
    expected = gradient(ours(0.0), projections("crops"))
    assert_same(peers["stable-pretraining crops prediction"], expected)


@pytest.mark.parametrize("kind", ["crops", "alike"])
def test_stable_pretrainings_sigreg_is_ours_of_all_views_as_one_batch(peers, kind) -> None:
    pooled = ours(1.0, directions(torch.float32))
    expected = gradient(lambda z_VND: pooled(z_VND.reshape(1, -1, D).expand(GLOBAL, -1, -1)), projections(kind))
    assert_same(peers[f"stable-pretraining {kind} sigreg"], expected)


@pytest.mark.parametrize("value", [0.02, 1.0, 30.0])
def test_stable_pretraining_is_near_us_on_crops_of_common_images(peers, value) -> None:
    mine, factor = converted(value, "stable-pretraining")
    theirs = peers[f"stable-pretraining crops {value}"]
    expected = factor * gradient(ours(mine, directions(torch.float32)), projections("crops"))
    assert 0.97 < cosine(theirs, expected) < 0.999
    assert float(theirs.norm() / expected.norm()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("scale", "noise", "measured"), [(1.4, 0.5, 0.996), (0.9, 0.44, 0.89)])
def test_the_cosine_that_the_note_on_pooled_views_names(scale, noise, measured) -> None:
    g = torch.Generator().manual_seed(0)
    z_VND = scale * torch.randn(256, 64, generator=g) + noise * torch.randn(8, 256, 64, generator=g)
    sigreg = SIGReg(slices=256)
    apart = gradient(lambda z: sigreg(z, step=0).mean(), z_VND)
    pooled = gradient(lambda z: sigreg(z.flatten(0, 1), step=0), z_VND)
    assert cosine(apart, pooled) == pytest.approx(measured, abs=5e-3)
    assert any(f"{measured:g}" in note for note in convert(0.1, source="stable-pretraining", batch_size=256).notes)


@pytest.mark.parametrize(("built", "world_size"), [("before", 2), ("after", 1)])
def test_stable_pretraining_on_ranks_depends_on_when_it_was_built(peers, built, world_size) -> None:
    weight = 0.3 / world_size
    theirs, z_VND = peers[f"ranks stable-pretraining {built}"], projections("copies")
    pooled = ours(1.0, directions(torch.float32))
    sigreg = gradient(lambda z: pooled(z.reshape(1, -1, D).expand(GLOBAL, -1, -1)), z_VND)
    assert_same(theirs, gradient(ours(0.0), z_VND) + weight * sigreg)
    run = Run(batch_size=N, views_global=GLOBAL, views_local=LOCAL, world_size=world_size)
    assert effective_weight("stable-pretraining", 0.3, run) == pytest.approx(weight * N * (GLOBAL + LOCAL))


# The others, from their formulas.


def unreduced(ecf_ST: Tensor) -> Tensor:
    return ecf_ST


def integral(u_NS: Tensor, t_T: Tensor, reduced: Callable[[Tensor], Tensor] = unreduced) -> Tensor:
    """∫ |φ̂ - φ|² φ dt by trapezoids on the given knots, averaged over slices."""
    phi_T = torch.exp(-(t_T**2) / 2)
    ecf_ST = reduced(torch.exp(1j * u_NS[:, :, None] * t_T).mean(0))
    return torch.trapezoid((ecf_ST - phi_T).abs() ** 2 * phi_T, t_T, dim=-1).mean()


def line(first: float, last: float, knots: int) -> Tensor:
    return torch.linspace(first, last, knots, dtype=torch.float64)


def squared(z_VND: Tensor, centre_ND: Tensor) -> Tensor:
    return ((z_VND - centre_ND) ** 2).mean()


def paper(z_VND, value, a_DS, reduced, samples):
    sigreg = sum(samples * integral(z_ND @ a_DS, line(-5, 5, 17)) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * squared(z_VND, z_VND[:GLOBAL].mean(0)) + value * sigreg


def paper_equation(z_VND, value, a_DS, reduced, samples):
    prediction = ((z_VND - z_VND[:GLOBAL].mean(0)).norm(dim=-1) ** 2).mean()
    sigreg = sum(samples * integral(z_ND @ a_DS, line(-5, 5, 17)) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * prediction + value * sigreg


def lejepa(z_VND, value, a_DS, reduced, samples):
    sigreg = sum(samples * 2 * integral(z_ND @ a_DS, line(0, 3, 17)) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * squared(z_VND, z_VND[:GLOBAL].mean(0)) + value * sigreg


def lejepa_before(z_VND, value, a_DS, reduced, samples):
    sigreg = sum(integral(z_ND @ a_DS, line(-3, 3, 10)) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * squared(z_VND, z_VND[:GLOBAL].mean(0)) + value * sigreg


def minimal(z_VND, value, a_DS, reduced, samples):
    sigreg = sum(samples * 2 * integral(z_ND @ a_DS, line(0, 3, 17)) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * squared(z_VND, z_VND.mean(0)) + value * sigreg


def eb_jepa(z_VND, value, a_DS, reduced, samples):
    one_ND, other_ND = z_VND
    sigreg = sum(integral(z_ND @ a_DS, line(-3, 3, 10), reduced) for z_ND in z_VND) / 2
    return torch.nn.functional.mse_loss(one_ND, other_ND) + value * sigreg


def lite_ssl(z_VND, value, a_DS, reduced, samples):
    sigreg = sum(samples * integral(z_ND @ a_DS, line(-3, 3, 5), reduced) for z_ND in z_VND) / len(z_VND)
    return (1 - value) * squared(z_VND, z_VND.mean(0)) + value * sigreg


PLAIN: dict[str, Callable[..., Tensor]] = {
    "paper": paper,
    "paper-equation": paper_equation,
    "lejepa": lejepa,
    "lejepa-before-2025-12-08": lejepa_before,
    "minimal": minimal,
    "eb_jepa": eb_jepa,
    "lite_ssl": lite_ssl,
}
VIEWS = {"minimal": (5, 0), "eb_jepa": (2, 0), "lite_ssl": (2, 0)}
GRIDS = {"paper": (-5, 5, 17), "paper-equation": (-5, 5, 17), "eb_jepa": (-3, 3, 10), "lite_ssl": (-3, 3, 5),
         "lejepa-before-2025-12-08": (-3, 3, 10)}  # fmt: skip


def ours_on_their_knots(name: str, value: float, z_VND: Tensor, views_global: int) -> Tensor:
    t_T = line(*GRIDS.get(name, (-3, 3, 33)))
    sigreg = torch.stack([N * integral(z_ND @ directions(), t_T) for z_ND in z_VND]).mean()
    return (1 - value) * squared(z_VND, z_VND[:views_global].mean(0)) + value * sigreg


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("value", [0.0, 0.02, 0.7])
def test_a_converted_lambda_has_the_gradient_of_the_source(name, value) -> None:
    large, small = VIEWS.get(name, (GLOBAL, LOCAL))
    z_VND = projections("crops")[: large + small]
    conversion = convert(value, source=name, batch_size=N, views_global=large, views_local=small, projection_dim=D)
    theirs = gradient(lambda z: PLAIN[name](z, value, directions(), unreduced, N), z_VND)
    mine = gradient(lambda z: ours_on_their_knots(name, conversion.value, z, large), z_VND)
    assert_same(theirs, conversion.factor * mine, 1e-9)


@pytest.mark.parametrize("name", ["eb_jepa", "lite_ssl"])
def test_an_all_reduce_in_place_divides_the_gradient_on_gloo(peers, name) -> None:
    z_VND = projections("crops")[:2]
    parts = [gradient(lambda z, v=v: PLAIN[name](z, v, directions(), unreduced, N), z_VND) for v in (0.0, 0.3)]
    prediction = parts[0] if name == "eb_jepa" else 0.7 * parts[0]
    assert_same(peers[f"ranks {name}"], prediction + (parts[1] - prediction) / 2, 1e-9)


def test_lite_ssl_on_ranks_converts(peers) -> None:
    conversion = convert(0.3, source="lite_ssl", batch_size=N, views_global=2, views_local=0, world_size=2)
    mine = gradient(lambda z: ours_on_their_knots("lite_ssl", conversion.value, z, 2), projections("crops")[:2])
    assert_same(peers["ranks lite_ssl"], conversion.factor * mine, 1e-9)


@pytest.mark.parametrize(
    ("name", "prediction"),
    [
        ("ours", lambda z_VND: squared(z_VND, z_VND[:2].mean(0))),
        ("minimal", lambda z_VND: squared(z_VND, z_VND.mean(0))),
        ("lite_ssl", lambda z_VND: squared(z_VND[2:], z_VND[:2].mean(0))),
        ("eb_jepa", lambda z_VND: squared(z_VND[0], z_VND[1]) / 4),
    ],
)
def test_scatter_is_the_expected_prediction_of_views_that_scatter_alike(name, prediction) -> None:
    g = torch.Generator().manual_seed(0)
    z_VND = torch.randn(8, 8000, 4, generator=g) + torch.randn(8000, 4, generator=g)
    assert float(prediction(z_VND)) == pytest.approx(scatter(name, Run(batch_size=8000)), rel=0.02)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_floor_and_ceiling_are_those_of_the_knots(name) -> None:
    t_T = line(*GRIDS.get(name, (-3, 3, 33)))
    phi_T = torch.exp(-(t_T**2) / 2)
    assert CONVENTIONS[name].floor == pytest.approx(float(torch.trapezoid(phi_T - phi_T**3, t_T)), rel=1e-12)
    assert CONVENTIONS[name].ceiling == pytest.approx(float(integral(torch.zeros(4, 1).double(), t_T)), rel=1e-12)
    assert CONVENTIONS[name].floor == pytest.approx(math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3)), rel=0.2)


def test_our_convention_is_the_regulariser_that_we_train_with() -> None:
    assert CONVENTIONS["ours"].floor == pytest.approx(SIGReg().floor, rel=1e-12)
    assert CONVENTIONS["ours"].ceiling == pytest.approx(SIGReg().ceiling(1), rel=1e-12)
    assert effective_weight("ours", 0.02, Run(batch_size=256)) == pytest.approx(256 * 0.02 / 0.98)


if __name__ == "__main__":
    torch.set_num_threads(1)
    this_rank = int(sys.argv[2])
    alone = dict(single_process()) if this_rank == 0 else {}
    torch.save({"alone": alone, "ranks": dict(two_ranks(this_rank))}, sys.argv[3])
    dist.destroy_process_group()
