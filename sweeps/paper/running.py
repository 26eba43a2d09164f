"""Runs an item: the same path as every study, its scale said wherever its name is."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dashboards.pages import SCALED
from lejepa_platform.errors import TrackingError
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import cache_of
from sweeps.estimate import estimate
from sweeps.paper.comparing import compare_item
from sweeps.paper.scaling import Scaled
from sweeps.planning import DataSettings, Plan, absolute, resolve
from sweeps.running import RunArguments, check_models, check_run, execute, execution_of, settled, tracker_away
from sweeps.streams import held_streams
from sweeps.targets import with_targets


def run_item(found: Scaled, arguments: RunArguments, *, study: str | None, dry_run: bool) -> int:
    """Run what is not finished of an item at its scale, write its report, and compare.

    Args:
        found: From `scaled`.
        arguments: Where and how.
        study: Its name; None = that of the recipe.
        dry_run: Whether to say what it would cost, and do nothing.

    Returns:
        The exit code.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    check_models(arguments.keep_models)
    recipe, name = found.recipe, study or found.recipe.name
    StudyLedger.at(arguments.storage, name)
    execution = execution_of(arguments)
    with ExitStack() as stack:
        cache = cache_of(arguments.storage)
        if dry_run:
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = DataSettings(
            cache=cache,
            root=arguments.data_root,
            labelled=True,
            stream=arguments.stream,
            workers=arguments.data_workers,
        )
        check_run(recipe, execution, data, evaluate_on=found.evaluate_on, protocols=found.protocols)
        data = replace(data, held=held_streams(arguments.storage, name, recipe, recipe, labelled=True))
        plan = _plan(found, arguments, data, name, away=None if dry_run else tracker_away(arguments))
        if dry_run:
            print(f"study {plan.config.name}: {estimate(plan, execution)}")
            return 0
    code = execute(plan, execution, arguments.keep_models)
    compare_item(found.item, found.scale, arguments.storage, study=name, as_json=False)
    return code


def _plan(found: Scaled, arguments: RunArguments, data: DataSettings, name: str, away: TrackingError | None) -> Plan:
    plan = resolve(found.recipe, data, study=name)
    plan = replace(plan, config=replace(plan.config, protocols=found.protocols), notes=[*label(found), *plan.notes])
    plan = with_targets(plan, {target: absolute(target) for target in found.evaluate_on}, data)
    return settled(plan, data, arguments.storage, away, extend=None)


def label(found: Scaled) -> list[str]:
    """What the study says of itself, and every page above all else."""
    if not found.changes:
        return []
    return [
        f"{SCALED} {found.item.name} ({found.item.title}) at scale {found.scale}, not the published setting: "
        f"{'; '.join(found.changes)}."
    ]
