"""`lejepa paper`: published studies, what they would cost here, how they come out, and how that compares.

lejepa paper list
lejepa paper plan table7 --scale full --machine 8xh100
lejepa paper run table7 --scale cpu
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from lejepa_platform.cli import show
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Storage
from sweeps.costs import CostModel, load
from sweeps.machines import MACHINES, Machine, find_machine
from sweeps.paper import words
from sweeps.paper.item import Item, Scale
from sweeps.paper.registry import ITEMS, find_item
from sweeps.paper.scaling import scaled
from sweeps.running import RunArguments


@dataclass(frozen=True, kw_only=True, slots=True)
class List:
    """All items: tables and figures of the paper, other published settings, and sweeps that nobody has published."""

    json: bool = False
    """A JSON array."""

    def run(self) -> int:
        """Print them."""
        rows = [words.listing(item) for item in ITEMS.values()]
        if not self.json:
            rows = [{**row, "trials": "benchmark" if row["trials"] is None else row["trials"]} for row in rows]
        return show(rows, as_json=self.json)


@dataclass(frozen=True, kw_only=True, slots=True)
class Show:
    """An item: its settings at full scale, what was published, and what differs."""

    item: tyro.conf.Positional[str]
    """Name, see `lejepa paper list`."""

    def run(self) -> int:
        """Print it."""
        print(*words.about(find_item(self.item)), sep="\n")
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an item costs on a machine: trials, time, memory, disk, and what differs from what was published."""

    item: tyro.conf.Positional[str]
    """Name, see `lejepa paper list`."""
    scale: Scale = "full"
    """How much smaller it is made, see `lejepa paper run --help`."""
    machine: str | None = None
    """laptop, a100, h100, 8xh100, COUNTxNAME or cpu:CORES; by default this one's cores. A benchmark is
    timed here, whatever this says."""
    datasets: tuple[str, ...] | None = None
    """Data sets in place of the item's: names only, since no image is looked at."""
    json: bool = False
    """As JSON."""

    def run(self) -> int:
        """Print the plan."""
        # Imported here: they import torch, which takes seconds.
        from sweeps.paper.planning import planned_cost

        item = find_item(self.item)
        if item.make is None:
            return _plan_benchmark(item, self.scale, as_json=self.json)
        machine, model = machine_and_model(self.machine)
        found = scaled(item, self.scale, self.datasets)
        cost = planned_cost(found, machine, model)
        if self.json:
            print(json.dumps(words.plan_json(found, cost), indent=1, ensure_ascii=False))
        else:
            print(*words.plan_lines(found, cost), sep="\n")
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(RunArguments):
    """Run an item, or a smaller study of the same shape, and set what was published beside what was measured."""

    item: tyro.conf.Positional[str]
    """Name, see `lejepa paper list`."""
    scale: Scale
    """How much smaller it is made. cpu: minutes on two cores, a seed or a few; pilot: hours on two cores; both on small
    bundled images. 1gpu: networks of at most 25 million parameters, 128 px; cluster: at most 90 million, 238 px; full:
    as published. `lejepa paper plan ITEM --scale SCALE --machine NAME` says what each takes."""
    datasets: tuple[str, ...] | None = None
    """Data sets in place of those that the scale would choose: names, or folder:PATH. With others than before, say
    another --study too."""
    study: str | None = None
    """Name of the study; by default paper-ITEM-SCALE, whatever the data sets."""
    dry_run: bool = False
    """Show what it would cost, and do nothing."""

    def run(self) -> int:
        """Run it."""
        from sweeps.paper.benchmark import run_benchmark
        from sweeps.paper.running import run_item

        item = find_item(self.item)
        if item.make is None and self.dry_run:
            return _plan_benchmark(item, self.scale, as_json=False)
        if item.make is None:
            return run_benchmark(item, self.scale, self.storage, self.study)
        found = scaled(item, self.scale, self.datasets)
        return run_item(found, self, study=self.study, dry_run=self.dry_run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compare:
    """What was published beside what was measured, as text and as one page, STORAGE/STUDY/paper.html."""

    item: tyro.conf.Positional[str]
    """Name, see `lejepa paper list`."""
    scale: Scale = "cpu"
    """At which scale it was run."""
    study: str | None = None
    """Name of the study; by default paper-ITEM-SCALE."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    json: bool = False
    """As JSON."""

    def run(self) -> int:
        """Write the page."""
        from sweeps.paper.comparing import compare_item

        compare_item(find_item(self.item), self.scale, self.storage, study=self.study, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrate:
    """Fit the cost model of this machine to finished trials, for `plan` and `--dry-run` to go by."""

    studies: tyro.conf.Positional[tuple[str, ...]]
    """Names under the storage, or paths; of studies that ran on this machine's cores."""
    storage: Storage = Path("studies")
    """Folder of all studies."""

    def run(self) -> int:
        """Fit it and keep it."""
        from sweeps.calibration import measured_trials
        from sweeps.costs import calibrate, median_error, save

        trials = [t for study in self.studies for t in measured_trials(StudyLedger.find(study, self.storage))]
        model = calibrate(trials)
        path = save(model)
        error = f"median error {median_error(model, trials):.0%} on them" if trials else "as it came"
        print(f"calibrated on {len(trials)} trials, {error}: {path}")
        return 0


def _plan_benchmark(item: Item, scale: Scale, *, as_json: bool) -> int:
    from sweeps.paper.benchmark import benchmark_json, benchmark_lines

    if as_json:
        print(json.dumps(benchmark_json(item, scale), indent=1, ensure_ascii=False))
    else:
        print(*benchmark_lines(item, scale), sep="\n")
    return 0


def machine_and_model(named: str | None) -> tuple[Machine, CostModel]:
    """A machine, and the cost model of its cores: a calibration is that of this machine, which others are not.

    Args:
        named: As `find_machine` takes it; None = this machine's cores.

    Raises:
        LejepaError: If there is no such machine.
    """
    if named is not None:
        return find_machine(named), CostModel()
    model, cores = load(), os.cpu_count() or 1
    assumed = f"this machine's {cores} cores, " + (
        f"calibrated on {model.trials} trials" if model.trials else "not calibrated yet: lejepa paper calibrate STUDY"
    )
    return replace(MACHINES["laptop"], name="this machine", devices=cores, memory=_memory(), assumed=assumed), model


def _memory() -> float:
    import psutil

    return float(psutil.virtual_memory().total)


COMMANDS: Any = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Plan, tyro.conf.subcommand("plan")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
)


def main(argv: Sequence[str] | None = None) -> int:
    """`lejepa paper`.

    Returns:
        The exit code.

    Raises:
        LejepaError: An error that a person can act on.
    """
    chosen: Any = tyro.cli(COMMANDS, args=argv, prog="lejepa paper", description=__doc__)
    code: int = chosen.run()
    return code
