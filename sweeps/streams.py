"""Which data sets a study streams that exists already: a command that does not say keeps to it."""

from collections.abc import Mapping

from lejepa_core.settings import Stream
from lejepa_platform.config import Flat
from lejepa_platform.storage import Location, read_json, study_names
from sweeps.planning import absolute, name_of, study_config
from sweeps.recipes import Recipe


def held_streams(
    storage: Location, study: str | None, recipe: Recipe, pristine: Recipe, *, labelled: bool
) -> Mapping[str, Stream]:
    """How the study that a command goes on with looks at its images.

    A name that comes from a hash of the study is no help in finding it, since streamed images change the hash: it is
    the study that the command would have with the images as they are there.

    Args:
        storage: Folder of all studies.
        study: The study's name; None = that of `name_of`.
        recipe: What is wanted.
        pristine: The recipe before it was overridden.
        labelled: Whether classes are expected.

    Returns:
        Data set name -> "always" or "never"; nothing if there is no such study, if there are several, or if it is older
        than these entries.
    """
    names = [study] if study is not None else study_names(storage)
    documents = [read_json(storage / name / "study.json") for name in names]
    held: list[Mapping[str, Stream]] = [
        document["streams"]
        for document in documents
        if isinstance(document, dict)
        and "streams" in document
        and (study is not None or _is_of(document, recipe, pristine, labelled=labelled))
    ]
    return held[0] if len(held) == 1 else {}


def _is_of(document: Flat, recipe: Recipe, pristine: Recipe, *, labelled: bool) -> bool:
    """Whether a study has the name that a recipe would get with the study's images."""
    fingerprints = {name: document["config"]["fingerprints"][name] for name in document["config"]["datasets"]}
    if [document["sources"][name] for name in fingerprints] != [absolute(name) for name in recipe.datasets]:
        return False
    config = study_config(recipe, fingerprints, labelled=labelled, name=recipe.name)
    return name_of(recipe, pristine, config) == document["name"]
