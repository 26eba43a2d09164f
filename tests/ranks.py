"""Ranks of a real gloo process group: `run_on_ranks` forks as many as it needs from a process that has torch loaded."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from lejepa_core.settings import Precision

# A process of its own per rank, without the five seconds that each would take to import what all of them need.
PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["lejepa_core.pretrain", "lejepa_core.evaluation.evaluate", "lejepa_platform.trial"])


def run_on_ranks(case: str, world: int, folder: Path, *arguments: str) -> list[Any]:
    """Run a case of `CASES` on so many processes and return what each of them found."""
    store = folder / f"store-{case}-{world}-{'-'.join(arguments)}"
    outs = [store.with_suffix(f".{rank}.pt") for rank in range(world)]
    processes = [
        PROCESSES.Process(target=_rank, args=(case, rank, world, store, out, arguments, dict(os.environ)))
        for rank, out in enumerate(outs)
    ]
    deadline = time.monotonic() + 240
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=max(0.0, deadline - time.monotonic()))
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
    assert codes == [0] * world
    return [torch.load(out, weights_only=True) for out in outs]


def _rank(
    case: str, rank: int, world: int, store: Path, out: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    global STORE
    STORE = store
    torch.save(CASES[case](rank, world, *arguments), out)
    if dist.is_initialized():
        # Left to the interpreter's exit, gloo's threads sometimes abort a process as short-lived as this.
        dist.destroy_process_group()


STORE = Path()
"""Where the ranks of a case meet; a case's own files lie beside it."""


def join(rank: int, world: int, timeout: timedelta | None = None) -> None:
    """Make the process group of a case, unless it runs on one process alone."""
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{STORE}", rank=rank, world_size=world, timeout=timeout)


def sigreg_case(rank: int, world: int, counts: str) -> dict[str, dict[str, torch.Tensor]]:
    """What `sigreg_step` finds, by dtype and kernel, and by when the module was built; and the bits of this process."""
    from lejepa_core.sigreg import Kernel, SIGReg

    bits = sigreg_bits()
    variants: list[tuple[str, Kernel]] = [("float64", "eager"), ("float32", "native"), ("float32", "eager")]
    built = {f"{dtype} {kernel} before": SIGReg(slices=16, kernel=kernel) for dtype, kernel in variants}
    # A rank that waits for one that never comes must fail within the time a test has.
    join(rank, world, timedelta(seconds=30))
    built |= {f"{dtype} {kernel} after": SIGReg(slices=16, kernel=kernel) for dtype, kernel in variants}
    sizes = [int(n) for n in counts.split(",")]
    sizes = sizes if world > 1 else [sum(sizes)]
    found = {name: sigreg_step(sigreg, rank, sizes, getattr(torch, name.split()[0])) for name, sigreg in built.items()}
    return {"bits": bits, **found}


def sigreg_step(sigreg: Any, rank: int, sizes: list[int], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Loss and gradient of a linear encoder, and SIGReg of a tensor with leading dims, of this rank's samples."""
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from lejepa_core.objective import LeJEPALoss

    x = torch.randn(2, 3, sum(sizes), 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mine = torch.split(x.to(dtype), sizes, dim=2)[rank]
    torch.manual_seed(1)
    model: nn.Module = nn.Linear(6, 4).to(dtype)
    trained = DistributedDataParallel(model) if len(sizes) > 1 else model
    terms = LeJEPALoss(0.3, sigreg=sigreg)(trained(mine[0]), views_global=2, step=5)
    terms.total.backward()
    leaf = mine.clone().requires_grad_()
    statistic = sigreg(leaf, step=5)
    (statistic * torch.arange(1.0, 7.0).view(2, 3)).sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert leaf.grad is not None
    return {
        "terms": torch.stack(terms).detach(),
        "gradient": gradient,
        "statistic": statistic.detach(),
        "sample gradient": leaf.grad,
    }


def compiled_case(rank: int, world: int, counts: str, built: str) -> dict[str, torch.Tensor]:
    """Loss and gradient of a training step in one graph, compiled before or after the group is there."""
    from torch import nn

    from lejepa_core import LeJEPALoss, SIGReg

    sizes = [int(n) for n in counts.split(",")] if world > 1 else [sum(map(int, counts.split(",")))]
    x = torch.randn(3, sum(sizes), 6, generator=torch.Generator().manual_seed(0)).split(sizes, dim=1)[rank]
    torch.manual_seed(1)
    model, loss = nn.Linear(6, 4), LeJEPALoss(0.3, sigreg=SIGReg(slices=16))

    @torch.compile(backend="aot_eager", fullgraph=True)
    def total(x: torch.Tensor, step: int) -> torch.Tensor:
        return loss(model(x), views_global=2, step=step).total

    if built == "before":
        total(x, 5)
    join(rank, world)
    value = total(x, 5)
    value.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    if world > 1:
        dist.all_reduce(gradient)
    return {"value": value.detach(), "gradient": gradient / world}


def sigreg_bits() -> dict[str, torch.Tensor]:
    """Value and gradient for every kernel and sampler."""
    from lejepa_core.directions import SAMPLERS
    from lejepa_core.sigreg import SIGReg

    found = {}
    for kernel in ("native", "eager"):
        for sampler in SAMPLERS:
            z = torch.randn(2, 50, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
            value = SIGReg(slices=32, seed=3, sampler=sampler, kernel=kernel)(z, step=9)  # type: ignore[arg-type]
            value.sum().backward()
            assert z.grad is not None
            found[f"{kernel} {sampler}"] = torch.cat([value.detach(), z.grad.flatten()])
    return found


def pretrain_case(
    rank: int,
    world: int,
    architecture: str,
    precision: "Precision",
    batch: str,
    micro_batch: str = "",
    predictor_depth: str = "0",
    weight_average: str = "0",
) -> dict[str, Any]:
    """Losses of each step, shares of each epoch and the gradients of the last step, of a short real pretraining.

    A batch of "all" makes a single step of all images; a micro-batch of "" is the whole batch.
    """
    from toys import stripes

    import lejepa_core.pretrain as loop
    from lejepa_core.encoder import build_encoder
    from lejepa_core.evaluation.evaluate import evaluate
    from lejepa_core.settings import PretrainSettings

    join(rank, world)
    data = stripes(STORE.parent / f"data-{rank}")
    train = data.splits["train"]
    settings = PretrainSettings(
        architecture=architecture, lambda_=0.05, learning_rate=1e-3, weight_decay=1e-2, precision=precision,
        epochs=1 if batch == "all" else 2, batch_size=len(train) if batch == "all" else int(batch), image_size=32,
        local_size=32, views_global=2, views_local=0, projector_hidden=32, projector_dim=8, slices=32,
        predictor_depth=int(predictor_depth), weight_average=float(weight_average),
    )  # fmt: skip
    encoder = build_encoder(settings)
    parts = int(micro_batch) if micro_batch else None
    epochs = list(loop.pretrain(settings, data, encoder, train=torch.from_numpy(train), micro_batch=parts))
    losses = [loss for epoch in epochs for loss in epoch.losses]
    shares = torch.tensor([epoch.metrics["train/sigreg_share"] for epoch in epochs])
    online = torch.tensor([epoch.metrics["online/top1"] for epoch in epochs], dtype=torch.float64)
    if rank == 0:
        # The other ranks are done: an evaluation must not wait for them.
        evaluate(encoder, data, image_size=32, train=train)
    gradients = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None] or [torch.zeros(1)])
    buffers = torch.cat([b.double().flatten() for b in encoder.buffers()] or [torch.zeros(1)])
    weights = torch.cat([p.detach().flatten() for p in encoder.parameters()])
    return {"losses": torch.tensor(losses, dtype=torch.float64), "gradients": gradients, "buffers": buffers,
            "weights": weights, "shares": shares, "online": online}  # fmt: skip


def resumed_case(rank: int, world: int, steps: str) -> dict[str, Any]:
    """See `interrupted_and_whole`; on streamed images."""
    from resuming import interrupted_and_whole
    from toys import write_folder

    from lejepa_core.datasets import load_dataset

    join(rank, world)
    folder = STORE.parent
    source = f"folder:{write_folder(folder / f'data-{rank}' / 'stripes')}"
    data = load_dataset(source, image_size=32, cache_dir=folder / "cache", stream="always", workers=1)
    return interrupted_and_whole(data, folder / "interrupted.pt", int(steps), rank)


def views_case(rank: int, world: int, epoch: str) -> dict[str, Any]:
    """See `views_seen`."""
    from resuming import views_seen

    join(rank, world)
    return views_seen(STORE.parent / str(rank), int(epoch))


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

    join(rank, world)
    sizes = [int(n) for n in counts.split(",")]
    x = torch.randn(3, sum(sizes), 6, generator=torch.Generator().manual_seed(0), dtype=getattr(torch, dtype))
    mine = torch.split(x, sizes, dim=1)[rank] if world > 1 else x
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


def comparators_case(rank: int, world: int, counts: str, objective: str) -> dict[str, torch.Tensor]:
    """Terms of a comparator and its gradient in a linear encoder, averaged over unequal ranks."""
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from lejepa_core.comparators import PairwiseLoss

    join(rank, world)
    sizes = [int(n) for n in counts.split(",")]
    x = torch.randn(3, sum(sizes), 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mine = torch.split(x, sizes, dim=1)[rank] if world > 1 else x
    torch.manual_seed(1)
    model: nn.Module = nn.Linear(6, 4).to(x.dtype)
    trained = DistributedDataParallel(model) if world > 1 else model
    terms = PairwiseLoss(objective, 0.3)(trained(mine), views_global=2, step=0)  # type: ignore[arg-type]
    terms.total.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return {"terms": torch.stack(terms).detach(), "gradient": torch.cat(gradients)}


def normality_refusals_case(rank: int, world: int, counts: str) -> list[str]:
    """The normality tests that refuse so few samples, each of them on every rank."""
    from lejepa_core.errors import SettingError

    join(rank, world)
    refused = []
    for name, regulariser in normality_regularisers().items():
        try:
            regulariser(torch.zeros(int(counts.split(",")[rank]), 6), step=0)
        except SettingError:
            refused.append(name)
    return refused


def trial_case(rank: int, world: int) -> dict[str, float | None] | None:
    """Metrics of a trial's result, which one rank has."""
    from toys import stripes_task

    from lejepa_platform.trial import run_trial

    join(rank, world)
    result = run_trial(stripes_task(STORE.parent / f"data-{rank}"))
    return None if result is None else result.metrics


def stopped_case(rank: int, world: int) -> dict[str, float | None] | None:
    """Metrics of a trial that a scheduler stops after its first epoch, which one rank has."""
    from toys import stripes_task

    from lejepa_platform.config import TrialConfig
    from lejepa_platform.rungs import Rung
    from lejepa_platform.trial import run_trial

    join(rank, world)
    task = replace(stripes_task(STORE.parent / f"data-{rank}", epochs=3), scheduler="asha")
    Rung.of(Path(task.study), "label_free", TrialConfig.from_flat(task.config), 1).decide("rival", 2.0)
    result = run_trial(task)
    return None if result is None else result.metrics


def floors_case(rank: int, world: int, task: str, patience: str) -> dict[str, float | None] | None:
    """A trial whose floors are not there before all patience of its process group is spent."""
    from filelock import FileLock

    from lejepa_platform.config import TrialConfig
    from lejepa_platform.task import TrialTask
    from lejepa_platform.trial import floor_key, run_trial

    begun, seconds = TrialTask.from_json((STORE.parent / task).read_text()), float(patience)
    floors = Path(begun.study) / "floors"
    floors.mkdir(parents=True, exist_ok=True)
    lock = FileLock(floors / f"{floor_key(TrialConfig.from_flat(begun.config))}.lock")
    held, joined = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            joined.wait()
            time.sleep(2 * seconds)

    if rank == 0:
        threading.Thread(target=hold).start()
        held.wait()
    join(rank, world, timedelta(seconds=seconds))
    joined.set()
    result = run_trial(begun)
    return None if result is None else result.metrics


def lost_peer_case(rank: int, world: int) -> list[bool]:
    """Whether what a collective raises is blamed on the other process, which has ended."""
    from lejepa_platform.child import is_lost_peer

    join(rank, world)
    dist.all_reduce(torch.ones(1))
    if rank == 1:
        return []
    try:
        for _ in range(1000):
            dist.all_reduce(torch.ones(1))
    except RuntimeError as error:
        return [is_lost_peer(error)]
    return []


CASES: dict[str, Callable[..., Any]] = {
    "comparators": comparators_case,
    "floors": floors_case,
    "lost_peer": lost_peer_case,
    "sigreg": sigreg_case,
    "compiled": compiled_case,
    "pretrain": pretrain_case,
    "resumed": resumed_case,
    "views": views_case,
    "normality": normality_case,
    "normality_refusals": normality_refusals_case,
    "trial": trial_case,
    "stopped": stopped_case,
}
