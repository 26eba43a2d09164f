"""Other data sets that a study's encoders are evaluated on: every one checked and found before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lejepa_core.datasets import DATASETS, ImageDataset, check_dataset
from lejepa_core.errors import DataError, SettingError
from lejepa_platform.config import STREAM_HINT
from sweeps.planning import DataSettings, Plan, absolute, check_distinct, load_images, notes_on


def check_targets(names: Sequence[str], datasets: Sequence[str], data: DataSettings) -> None:
    """Refuse what can be seen to be wrong without decoding an image.

    Args:
        names: The data sets to evaluate on.
        datasets: Those that the study pretrains on. With several, an encoder is evaluated on the others.
        data: Where images come from.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    sources = [absolute(name) for name in names]
    if len(set(names)) != len(names):
        raise SettingError(f"--evaluate-on holds a data set twice: {' '.join(names)}")
    check_distinct(names)
    own = {absolute(name) for name in datasets}
    for name, source in zip(names, sources, strict=True):
        if own == {source}:
            raise SettingError(_own(name))
        check_dataset(name, data_root=data.root, labelled=True)


def with_targets(plan: Plan, sources: Mapping[str, str], data: DataSettings) -> Plan:
    """Add data sets to evaluate on to a plan, decoding what is not in the cache yet.

    Args:
        plan: A study.
        sources: What a person calls each data set -> where its images are.
        data: Where images come from.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    for source in sources.values():
        plan = _with_target(plan, source, data)
    return plan


def _with_target(plan: Plan, source: str, data: DataSettings) -> Plan:
    target = load_images(source, data, image_size=int(plan.config.shared["image_size"]), labelled=True)
    _check(plan, target, source)
    notes = [*notes_on(target), *_shared_images(target.name, plan.config.datasets)]
    return replace(
        plan,
        config=replace(plan.config, evaluate_on={**plan.config.evaluate_on, target.name: target.fingerprint}),
        sources={**plan.sources, target.name: source},
        notes=[*plan.notes, *(note for note in notes if note not in plan.notes)],
        targets={**plan.targets, target.name: target},
    )


def _shared_images(name: str, datasets: Sequence[str]) -> list[str]:
    """Pretraining sets whose images may be among those of a target."""
    made_of = DATASETS[name].made_of if name in DATASETS else ""
    return [
        f"accuracy on {name} may count images that {other} was pretrained on: both are made of images of {made_of}"
        for other in datasets
        if made_of and other != name and other in DATASETS and DATASETS[other].made_of == made_of
    ]


def _check(plan: Plan, target: ImageDataset, source: str) -> None:
    name, config = target.name, plan.config
    if set(config.fingerprints.values()) == {target.fingerprint}:
        raise SettingError(_own(name))
    if plan.sources.get(name, source) != source:
        raise SettingError(f"two folders have the same name ({name} {name}); rename one")
    held = config.evaluate_on.get(name, target.fingerprint)
    if held != target.fingerprint:
        raise DataError(
            f"the images of {name} have changed (fingerprint {target.fingerprint}, the study is evaluated on {held}); "
            f"restore them, or name another study with --study{STREAM_HINT}"
        )
    same = [other for other, held in config.evaluate_on.items() if held == target.fingerprint and other != name]
    if same:
        raise SettingError(f"two data sets hold the same images: {same[0]} {name}")


def _own(name: str) -> str:
    return f"--evaluate-on {name} came, and the study pretrains on that alone; name another data set, or leave it out"
