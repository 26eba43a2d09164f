"""The README.md of an exported encoder."""

from collections.abc import Mapping
from typing import Any

from lejepa_core.architectures import find_architecture
from lejepa_core.datasets import DATASETS
from lejepa_core.methods import LEJEPA, label_of, method_of, objective_form
from lejepa_platform.config import Flat

_ACCURACIES = ("val/linear_top1", "test/linear_top1", "val/knn_top1", "test/knn_top1")
_FLOORS = ("floor/chance", "floor/random_init_linear_top1")


def model_card(
    result: Flat, later: Mapping[str, float | None], preprocessing: Mapping[str, Any], environment: Mapping[str, Any]
) -> str:
    """What an encoder is, what it is worth, how it is loaded, and what its images allow.

    Args:
        result: The contents of `result.json`.
        later: What was measured of it afterwards, under public names.
        preprocessing: `size`, `mean` and `std` of its images.
        environment: The contents of `environment.json`.
    """
    config = result["config"]
    method = method_of(config)
    paper = f"[arXiv {method.arxiv}](https://arxiv.org/abs/{method.arxiv})"
    lines = [
        "---", "library_name: timm", "pipeline_tag: image-feature-extraction", "tags:", "- timm", "- lejepa", "---",
        f"# {config['architecture']} pretrained on {config['dataset']} with {method.title}, λ = {config['lambda']:g}",
        "", f"Without labels, with the loss {_loss(config)} ({paper}).", "",
        "```python", "import timm", "",
        'encoder = timm.create_model("local-dir:PATH_OF_THIS_FOLDER", pretrained=True).eval()',
        "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(encoder))", "```", "",
        _images(preprocessing), *_layout(config, environment), "",
        "| measure | value |", "|---|---|", *_measures(result, later), "",
        f"Outcome: {result['outcome']}{': ' + result['reason'] if result.get('reason') else ''}.", "",
        "## Licence", "", _licence(config), "",
        "## Trial", "", f"`{result['key']}`; all of it is in `trial.json`.", "",
        "| setting | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in config.items()), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _loss(config: Flat) -> str:
    if config.get("objective", LEJEPA) == LEJEPA:
        return f"(1 - λ)·prediction + λ·{label_of(config)}"
    return f"`{objective_form(config)}`"


def _images(preprocessing: Mapping[str, Any]) -> str:
    mean, std = (", ".join(f"{value:.4f}" for value in preprocessing[name]) for name in ("mean", "std"))
    size = preprocessing["size"]
    return (
        f"Images: short side to {size} px, bilinear with antialiasing, centre square, mean ({mean}), standard "
        f"deviation ({std})."
    )


def _layout(config: Flat, environment: Mapping[str, Any]) -> list[str]:
    notes = []
    if find_architecture(config["architecture"]).channels_last:
        notes.append("Embeddings repeat bit for bit with `.to(memory_format=torch.channels_last)`, else to rounding.")
    if config.get("precision", "float32") != "float32":
        notes.append(f"Trained in {config['precision']}: the file holds that, timm rounds it to float32.")
    commit = environment.get("code", {}).get("commit")
    if commit:
        notes.append(f"Commit of the code: {commit}.")
    return notes


def _measures(result: Flat, later: Mapping[str, float | None]) -> list[str]:
    metrics = {**result["metrics"], **later}
    names = [*_ACCURACIES, *_FLOORS, *(name for name in later if name.startswith(("transfer/", "paper/")))]
    held = {name: value for name in names if (value := metrics.get(name)) is not None}
    return [f"| {name} | {value:.4f} |" for name, value in held.items()] or ["| no labels, nothing probed | |"]


def _licence(config: Flat) -> str:
    dataset = config["dataset"]
    spec = DATASETS.get(dataset)
    if spec is not None:
        note = f"The weights were made from {spec.title} ({spec.source}), whose licence is: {spec.licence}."
    else:
        note = f"The weights were made from {dataset}; whatever its owner allows holds for them too."
    if config.get("pretrained"):
        note += " They continue from weights of timm, whose licence holds too: see `config.json`."
    return note
