"""What an item costs on a machine, and what differs from what was published. Nothing is downloaded or written."""

from dataclasses import replace

from lejepa_core.datasets import DATASETS
from lejepa_core.errors import SettingError
from lejepa_platform.config import StudyConfig
from sweeps.costs import CostModel
from sweeps.estimate import Estimate, batches_of, cost
from sweeps.machines import Machine
from sweeps.paper.scaling import Scaled
from sweeps.planning import absolute, study_config
from sweeps.workload import Images


def study_of(found: Scaled) -> StudyConfig:
    """The study of an item at a scale, its images taken to be what their names say.

    Args:
        found: From `scaled`.
    """
    names = {absolute(name): f"unread {name}" for name in found.recipe.datasets}
    others = {absolute(name): f"unread {name}" for name in found.evaluate_on}
    config = study_config(found.recipe, names, labelled=True, name=found.recipe.name)
    return replace(config, evaluate_on=others, protocols=found.protocols)


def planned_cost(found: Scaled, machine: Machine, model: CostModel) -> Estimate:
    """What an item costs at a scale.

    Args:
        found: From `scaled`, its data sets by name.
        machine: Where it would run.
        model: Of the machine's cores.

    Raises:
        SettingError: If a data set has no name of its own, so that nobody knows how many images it has.
    """
    config = study_of(found)
    images = {name: images_of(name) for name in (*config.datasets, *config.evaluate_on)}
    return cost(list(batches_of(config, images)), machine, model, targets=tuple(config.evaluate_on))


def images_of(name: str) -> Images:
    """How many images a named data set has.

    Raises:
        SettingError: If it is none.
    """
    spec = DATASETS.get(name)
    if spec is None:
        raise SettingError(
            f"{name} came, whose images are not counted yet; plan with a name of `lejepa datasets`, or ask run for "
            "--dry-run"
        )
    return Images(
        train=spec.images["train"], test=spec.images["test"], classes=spec.classes, per_class=spec.probe_per_class
    )
