"""One rank of a real gloo process group; `run_on_ranks` starts as many of this file as it needs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent))


def run_on_ranks(case: str, world: int, folder: Path, *arguments: str) -> list[Any]:
    """Run a case of `CASES` on so many processes and return what each of them found."""
    store = folder / f"store-{case}-{world}-{'-'.join(arguments)}"
    outs = [store.with_suffix(f".{rank}.pt") for rank in range(world)]
    processes = [
        subprocess.Popen([sys.executable, __file__, case, str(rank), str(world), str(store), str(out), *arguments])
        for rank, out in enumerate(outs)
    ]
    codes = [process.wait(timeout=240) for process in processes]
    assert codes == [0] * world
    return [torch.load(out, weights_only=True) for out in outs]


def sigreg_case(rank: int, world: int, counts: str, built: str) -> dict[str, Any]:
    """Loss and gradient of a linear encoder, every rank with another number of samples."""
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from lejepa_core.objective import LeJEPALoss
    from lejepa_core.sigreg import SIGReg

    loss = LeJEPALoss(0.3, sigreg=SIGReg(slices=16)) if built == "before" else None
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    loss = loss or LeJEPALoss(0.3, sigreg=SIGReg(slices=16))
    sizes = [int(n) for n in counts.split(",")]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, sum(sizes), 6, generator=generator, dtype=torch.float64)
    mine = x.split(sizes, dim=1)[rank] if world > 1 else x
    torch.manual_seed(1)
    model: nn.Module = nn.Linear(6, 4).double()
    trained = DistributedDataParallel(model) if world > 1 else model
    terms = loss(trained(mine), views_global=2, step=5)
    terms.total.backward()
    return {"loss": terms.total.detach(), "terms": torch.stack(terms).detach(), "grad": model.weight.grad}


def pretrain_case(rank: int, world: int, architecture: str, precision: str, batch: str) -> dict[str, Any]:
    """Losses of each step, shares of each epoch and the gradients of the last step, of a short real pretraining.

    A batch of "all" makes a single step of all images.
    """
    from toys import stripes

    import lejepa_core.pretrain as loop
    from lejepa_core.encoder import build_encoder
    from lejepa_core.evaluate import evaluate
    from lejepa_core.settings import PretrainSettings

    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    data = stripes(Path(sys.argv[5]).parent / f"data-{rank}")
    train = data.splits["train"]
    settings = PretrainSettings(
        architecture=architecture, lambda_=0.05, learning_rate=1e-3, weight_decay=1e-2, precision=precision,
        epochs=1 if batch == "all" else 2, batch_size=len(train) if batch == "all" else int(batch), image_size=32,
        local_size=32, views_global=2, views_local=0, projector_hidden=32, projector_dim=8, slices=32,
    )  # fmt: skip
    encoder = build_encoder(settings)
    epochs = list(loop.pretrain(settings, data, encoder, train=torch.from_numpy(train)))
    losses = [loss for epoch in epochs for loss in epoch.losses]
    shares = torch.tensor([epoch.metrics["train/sigreg_share"] for epoch in epochs])
    if rank == 0:
        # The other ranks are done: an evaluation must not wait for them.
        evaluate(encoder, data, image_size=32, train=train)
    gradients = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
    buffers = torch.cat([b.double().flatten() for b in encoder.buffers()] or [torch.zeros(1)])
    return {"losses": torch.tensor(losses, dtype=torch.float64), "gradients": gradients, "buffers": buffers,
            "shares": shares}  # fmt: skip


def normality_regularisers() -> dict[str, Any]:
    """Every normality test as it stands in the loss."""
    from lejepa_core.directions import Directions
    from lejepa_core.normality import MULTIVARIATE, UNIVARIATE, Sliced

    sliced = {name: Sliced(test(), directions=Directions(8)) for name, test in UNIVARIATE.items()}
    return {**sliced, **{name: test() for name, test in MULTIVARIATE.items()}}


def normality_case(rank: int, world: int, counts: str, dtype: str) -> dict[str, dict[str, torch.Tensor]]:
    """Value of every normality test and its gradient in a linear encoder, averaged over unequal ranks."""
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    sizes = [int(n) for n in counts.split(",")]
    x = torch.randn(3, sum(sizes), 6, generator=torch.Generator().manual_seed(0), dtype=getattr(torch, dtype))
    mine = x.split(sizes, dim=1)[rank] if world > 1 else x
    torch.manual_seed(1)
    model: nn.Module = nn.Linear(6, 4).to(x.dtype)
    trained = DistributedDataParallel(model) if world > 1 else model
    found = {}
    for name, regulariser in normality_regularisers().items():
        model.zero_grad()
        value = regulariser(trained(mine), step=5)
        value.mean().backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found[name] = {"value": value.detach(), "gradient": gradients}
    return found


def normality_refusals_case(rank: int, world: int, counts: str) -> list[str]:
    """The normality tests that refuse so few samples, each of them on every rank."""
    from lejepa_core.errors import SettingError

    dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    refused = []
    for name, regulariser in normality_regularisers().items():
        try:
            regulariser(torch.zeros(int(counts.split(",")[rank]), 6), step=0)
        except SettingError:
            refused.append(name)
    # Left to the interpreter's exit, gloo's threads sometimes abort a process as short-lived as this.
    dist.destroy_process_group()
    return refused


def trial_case(rank: int, world: int) -> dict[str, float | None] | None:
    """Metrics of a trial's result, which one rank has."""
    from toys import stripes_task

    from lejepa_platform.trial import run_trial

    dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    result = run_trial(stripes_task(Path(sys.argv[5]).parent / f"data-{rank}"))
    return None if result is None else result.metrics


CASES = {
    "sigreg": sigreg_case,
    "pretrain": pretrain_case,
    "normality": normality_case,
    "normality_refusals": normality_refusals_case,
    "trial": trial_case,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    case, rank, world, _, out, *arguments = sys.argv[1:]
    torch.save(CASES[case](int(rank), int(world), *arguments), out)
