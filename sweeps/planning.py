"""From a recipe to a study: every name checked, every image found, before anything is written."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lejepa_core.accumulation import check_micro_batches
from lejepa_core.architectures import (
    OPTIMISERS,
    TIMM_PREFIX,
    check_registers,
    check_size,
    find_architecture,
    local_size,
)
from lejepa_core.architectures.build import weights_revision
from lejepa_core.architectures.measure import Unbuilt
from lejepa_core.comparators import check_objective
from lejepa_core.datasets import ALIASES, ImageDataset, check_dataset, load_dataset, shown_dataset, streamable
from lejepa_core.datasets.hub_files import PREFIX as HUB_PREFIX
from lejepa_core.datasets.hub_files import absolute_name
from lejepa_core.encoder import build_encoder
from lejepa_core.errors import SettingError
from lejepa_core.methods import LEJEPA
from lejepa_core.settings import PretrainSettings, Stream
from lejepa_platform.config import StudyConfig, check_lambdas, check_study_variants
from lejepa_platform.errors import StudyError
from lejepa_platform.trial import training_indices
from sweeps.recipes import Recipe

LOG = logging.getLogger("lejepa")
SHOWN_SKIPPED = 5
"""Unreadable images named one by one; the rest are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """Where images come from and how they are looked at."""

    cache: Path
    """Folder of decoded data sets."""
    root: Path | None
    """Folder of downloaded data sets."""
    labelled: bool
    """Whether classes are expected."""
    stream: Stream = "auto"
    """Whether images are decoded each time they are wanted."""
    held: Mapping[str, Stream] = field(default_factory=dict)
    """The same of the data sets of a study that exists, by name: auto keeps to it."""
    workers: int = 2
    """Processes that decode a streamed data set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A study that could start now."""

    config: StudyConfig
    sources: Mapping[str, str]
    """Data set name, of the targets as well -> where its images are, absolute."""
    notes: list[str]
    """What the report should tell about the images and their views."""
    images: Mapping[str, ImageDataset]
    targets: Mapping[str, ImageDataset] = field(default_factory=dict)
    """Other data sets that the encoders are evaluated on."""

    @property
    def streams(self) -> dict[str, Stream]:
        """Data set name -> whether it is streamed."""
        return {name: "always" if held.streamed else "never" for name, held in {**self.images, **self.targets}.items()}


def check_recipe(recipe: Recipe, data: DataSettings, *, workers: int = 1, micro_batch: int | None = None) -> None:
    """Everything that can be wrong with a recipe and can be found without decoding an image.

    Args:
        recipe: What is wanted.
        data: Where images come from.
        workers: Processes that share a batch.
        micro_batch: Images that a backbone sees at a time; None = all.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    check_lambdas(recipe.lambdas)
    check_study_variants(recipe.shared, recipe.lambdas, recipe.variants, searched=recipe.search != "grid")
    for name in recipe.architectures:
        find_architecture(name)
    for _, settings, lambdas in recipe.resolved:
        _check_settings(recipe, settings, lambdas, workers)
    size = int(recipe.shared["image_size"])
    for name in recipe.architectures:
        check_size(name, size)
    for name in recipe.architectures if micro_batch is not None else ():
        check_micro_batches(Unbuilt(find_architecture(name)).network(size), name)
    check_distinct(recipe.datasets)
    for name in recipe.datasets:
        check_dataset(name, data_root=data.root, labelled=data.labelled)


def _check_settings(recipe: Recipe, settings: Mapping[str, Any], lambdas: Sequence[float], workers: int) -> None:
    """Refuse what is wrong with a variant's settings, whatever the images are."""
    if settings["batch_size"] < 2 * workers:
        raise SettingError(f"--batch-size {settings['batch_size']} gives {workers} workers less than 2 images each")
    for name, lambda_ in product(recipe.architectures, lambdas):
        for rate, decay in optimisers(recipe, name):
            PretrainSettings(
                architecture=name, lambda_=lambda_, learning_rate=rate, weight_decay=decay, seed=max(recipe.seeds),
                **_pretraining(settings),
            )  # fmt: skip
    for name in recipe.architectures:
        check_registers(name, settings.get("register_tokens", 0))
    check_objective(settings.get("objective", LEJEPA))
    limit = settings.get("limit_train")
    if limit is not None and limit < 2:
        raise SettingError(f"limit-train = {limit} came, at least 2 was wanted")


def resolve(recipe: Recipe, data: DataSettings, *, study: str | None, fetch_weights: bool = True) -> Plan:
    """Decode what is not in the cache yet, and make the study.

    Args:
        recipe: A recipe that passed `check_recipe`.
        data: Where images come from.
        study: The study's name; None = the recipe's, with a hash if the recipe was overridden.
        fetch_weights: Whether to fetch weights of the hub that the study begins from; which they are is asked anyway.

    Raises:
        LejepaError: In one line, the first thing that is wrong.
    """
    sources = {name: absolute(name) for name in recipe.datasets}
    size = int(recipe.shared["image_size"])
    images = {
        name: load_images(source, data, image_size=size, labelled=data.labelled) for name, source in sources.items()
    }
    names = [dataset.name for dataset in images.values()]
    if len(set(names)) != len(names):
        raise SettingError(f"two folders have the same name ({' '.join(names)}); rename one")
    weights = _weights(recipe)
    _check_builds(recipe, weights, fetch=fetch_weights)
    fingerprints = {dataset.name: dataset.fingerprint for dataset in images.values()}
    config = study_config(recipe, fingerprints, labelled=data.labelled, name=study or recipe.name)
    config = replace(config, weights=weights)
    for dataset, (_, settings, _) in product(images.values(), config.resolved):
        _check_batch(dataset, settings)
    return Plan(
        config=config,
        sources={images[name].name: source for name, source in sources.items()},
        notes=[note for dataset in images.values() for note in notes_on(dataset)] + _view_notes(config),
        images={dataset.name: dataset for dataset in images.values()},
    )


def name_of(recipe: Recipe, pristine: Recipe, config: StudyConfig) -> str:
    """The recipe's name; with a hash of the study behind it if anything was overridden."""
    if recipe == pristine and config.labelled:
        return recipe.name
    text = json.dumps({**config.flat(), "name": ""}, sort_keys=True)
    return f"{recipe.name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def absolute(name: str) -> str:
    """A data set's own name, that means the same in every working directory."""
    prefix, _, path = name.partition(":")
    if name.startswith(HUB_PREFIX):
        return absolute_name(name)
    return f"folder:{Path(path).expanduser().resolve()}" if prefix == "folder" else ALIASES.get(name, name)


def check_distinct(names: Sequence[str]) -> None:
    """Refuse two names of one data set.

    Raises:
        SettingError: If there are two.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(absolute(name), name)
        if other != name:
            raise SettingError(f"{other} and {name} are the same images; leave out one")


def load_images(source: str, data: DataSettings, *, image_size: int, labelled: bool) -> ImageDataset:
    """Open a data set, decoding it if that has not been done.

    Args:
        source: From `absolute`.
        data: Where images come from.
        image_size: Side of a global view, in pixels.
        labelled: Whether classes are expected.

    Raises:
        StudyError: If it was asked to be streamed, and is decoded in a study that exists, or the other way round.
        LejepaError: If it cannot be opened.
    """
    return load_dataset(
        source,
        image_size=image_size,
        cache_dir=data.cache,
        data_root=data.root,
        labelled=labelled,
        stream=_stream(source, data),
        workers=data.workers,
    )


def _stream(source: str, data: DataSettings) -> Stream:
    name = shown_dataset(source)
    held = data.held.get(name, data.stream)
    if data.stream in ("auto", held) or not streamable(source):
        return held
    raise StudyError(
        f"--stream {data.stream} came, and the study has {name} with --stream {held}; leave --stream out, or name "
        "another study with --study"
    )


def study_config(recipe: Recipe, fingerprints: Mapping[str, str], *, labelled: bool, name: str) -> StudyConfig:
    """The study that a recipe makes of images.

    Args:
        recipe: What is wanted.
        fingerprints: Name of each data set, in the recipe's order -> fingerprint of its images.
        labelled: Whether they have classes.
        name: The study's name.
    """
    size = int(recipe.shared["image_size"])
    return StudyConfig(
        name=name,
        preset=recipe.name,
        architectures=recipe.architectures,
        datasets=tuple(fingerprints),
        fingerprints=dict(fingerprints),
        lambdas=tuple(sorted(recipe.lambdas)),
        optimisers={name: optimisers(recipe, name) for name in recipe.architectures},
        families={name: find_architecture(name).family for name in recipe.architectures},
        local_sizes={name: local_size(name, size, recipe.local_size) for name in recipe.architectures},
        seeds=recipe.seeds,
        search=recipe.search,
        trials=0 if recipe.search == "grid" else recipe.trials,
        labelled=labelled,
        shared=recipe.shared,
        variants=recipe.variants,
    )


def optimisers(recipe: Recipe, architecture: str) -> tuple[tuple[float, float], ...]:
    """The (learning rate, weight decay) pairs of an architecture: the recipe's, or the default of its group."""
    defaults = OPTIMISERS[find_architecture(architecture).group]
    rates = recipe.learning_rates or (defaults.learning_rate,)
    decays = recipe.weight_decays if recipe.weight_decays is not None else (defaults.weight_decay,)
    return tuple(product(rates, decays))


def _pretraining(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `PretrainSettings` among the settings of trials."""
    return {name: value for name, value in settings.items() if name != "limit_train"}


def _weights(recipe: Recipe) -> dict[str, str]:
    """Architecture -> commit of the weights that it begins from; empty if they are random."""
    if not recipe.shared.get("pretrained"):
        return {}
    return {name: weights_revision(find_architecture(name)) for name in recipe.architectures}


def _check_builds(recipe: Recipe, weights: Mapping[str, str], *, fetch: bool) -> None:
    """What timm makes of a name and a size, and whether weights are within reach, is known only once it is built."""
    for name in recipe.architectures:
        if name.startswith(TIMM_PREFIX) or weights:
            settings = PretrainSettings(
                architecture=name,
                lambda_=0.5,
                learning_rate=1.0,
                weight_decay=0.0,
                local_size=local_size(name, int(recipe.shared["image_size"]), recipe.local_size),
                weights_revision=weights.get(name, ""),
                **(_pretraining(recipe.shared) | ({} if fetch else {"pretrained": False})),
            )
            build_encoder(settings)


def _check_batch(dataset: ImageDataset, settings: Mapping[str, Any]) -> None:
    train = training_indices(dataset, settings.get("limit_train"))
    images = len(train)
    if dataset.labels is not None and len(np.unique(dataset.labels[train])) < 2:
        raise SettingError(f"--limit-train {images} leaves one class of {dataset.name}; raise it")
    batch = int(settings["batch_size"])
    if batch > images:
        raise SettingError(
            f"--batch-size {batch} is larger than the {images} training images of {dataset.name}; lower it to at most "
            f"{images}"
        )


def _view_notes(config: StudyConfig) -> list[str]:
    """Which architectures get local views of the global size, where smaller ones were asked for."""
    size = config.shared["image_size"]
    names = [name for name in config.architectures if config.local_sizes[name] == size]
    if not names or all(settings.get("views_local") == 0 for _, settings, _ in config.resolved):
        return []
    return [
        f"local views are as large as global ones, {size} px, for architectures that take no smaller ones beside them: "
        f"{', '.join(names)}"
    ]


def notes_on(dataset: ImageDataset) -> list[str]:
    """What the report should tell about a data set."""
    skipped = dataset.skipped
    if not skipped:
        return []
    shown = "; ".join(skipped[:SHOWN_SKIPPED]) + (f"; and {len(skipped) - SHOWN_SKIPPED} more" if
                                                  len(skipped) > SHOWN_SKIPPED else "")  # fmt: skip
    count = "1 unreadable image was" if len(skipped) == 1 else f"{len(skipped)} unreadable images were"
    return [f"{dataset.name}: {count} skipped: {shown}"]
