"""From an entry of the registry to a network of timm."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import timm
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import nn

from lejepa_core.architectures.spec import ArchitectureSpec
from lejepa_core.errors import SettingError

_SECONDS = 10  # that the hub may take to say what it has


def build_backbone(
    spec: ArchitectureSpec,
    size: int,
    *,
    pretrained: bool = False,
    revision: str = "",
    registers: int = 0,
    embedding: int = 0,
) -> nn.Module:
    """A network without a head, on torch's default device.

    Args:
        spec: From `find_architecture`.
        size: Side of the images that it is built for, in pixels.
        pretrained: Whether to begin from the weights of the hub rather than from random ones.
        revision: Commit of the hub's repository that these are of; "" for what `weights_revision` says.
        registers: Register tokens, of what passed `check_registers`; 0 = as many as it has. Neither a class token nor
            the mean over patches has them in the embedding.
        embedding: Width of a linear layer at its end, of what begins at random, in place of timm's head; 0 = none.

    Raises:
        SettingError: If there are no such weights, or none within reach.
    """
    if not pretrained:
        return _built(spec, size, embedding, **({spec.registers: registers} if registers else {}))
    repository, filename = _published(spec)
    with _within_reach(spec, repository):
        file = _weights(repository, filename, revision or None)
        # What timm would load in another way from elsewhere is a plain state dict on the hub.
        overlay = {"file": file, "custom_load": False}
        return _built(spec, size, pretrained=True, pretrained_cfg_overlay=overlay)


def weights_revision(spec: ArchitectureSpec) -> str:
    """Which weights the hub's name stands for now; nothing is downloaded.

    Args:
        spec: From `find_architecture`.

    Returns:
        Commit of the hub's repository: that of the file in the local cache, or else the newest.

    Raises:
        SettingError: If there are no such weights, or none within reach.
    """
    repository, filename = _published(spec)
    with _within_reach(spec, repository):
        try:
            return hf_hub_download(repository, filename, local_files_only=True, dry_run=True).commit_hash
        except LocalEntryNotFoundError:
            return str(HfApi().model_info(repository, timeout=_SECONDS).sha)


def _built(spec: ArchitectureSpec, size: int, classes: int = 0, **arguments: Any) -> nn.Module:
    if spec.family != "timm":
        options: dict[str, Any] = {**spec.options, **({"img_size": size} if spec.sized else {})}
        return _without_dropout(timm.create_model(spec.timm_name, num_classes=classes, **options, **arguments))
    # timm has no way to ask which of these an entry point takes.
    for options in ({"img_size": size, "dynamic_img_size": True}, {"img_size": size}):
        try:
            return timm.create_model(spec.timm_name, num_classes=classes, **options, **arguments)
        except TypeError:
            continue
    return timm.create_model(spec.timm_name, num_classes=classes, **arguments)


def _without_dropout(network: nn.Module) -> nn.Module:
    # Relative positions by MLP (maxvit_rmlp_*) drop out an eighth of them, and have no argument for it.
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def _published(spec: ArchitectureSpec) -> tuple[str, str]:
    """Repository of the hub, and the file in it."""
    known = timm.get_pretrained_cfg(spec.timm_name)
    published = known is not None and bool(known.hf_hub_id)
    if known is None or not spec.pretrained or not published:
        options = " with other options" if published else ""
        raise SettingError(
            f"--pretrained came, {spec.timm_name}{options} has no weights on the hub; choose another architecture, or "
            "leave out --pretrained"
        )
    return known.hf_hub_id, known.hf_hub_filename or "model.safetensors"


@contextmanager
def _within_reach(spec: ArchitectureSpec, repository: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Whatever the hub's client, the network or the file raises: none of it starts a trial.
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            f"--pretrained came, the weights of {spec.timm_name} cannot be had ({reason}); go online once, or copy "
            f"{repository} into the cache of Hugging Face (HF_HOME), or leave out --pretrained"
        ) from error


def _weights(repository: str, filename: str, revision: str | None) -> str:
    """Where a file of the hub is in the local cache, fetched if it is not there yet."""
    try:
        return hf_hub_download(repository, filename, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        # Without a network this fails at once; downloading would try for a minute.
        HfApi().model_info(repository, revision=revision, timeout=_SECONDS)
        return hf_hub_download(repository, filename, revision=revision)
