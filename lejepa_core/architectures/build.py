"""From an entry of the registry to a network of timm."""

from typing import Any

import timm
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import nn

from lejepa_core.architectures.spec import ArchitectureSpec
from lejepa_core.errors import SettingError


def build_backbone(spec: ArchitectureSpec, size: int, *, pretrained: bool = False) -> nn.Module:
    """A network without a head, on torch's default device.

    Args:
        spec: From `find_architecture`.
        size: Side of the images that it is built for, in pixels.
        pretrained: Whether to begin from the weights of the hub rather than from random ones.

    Raises:
        SettingError: If there are no such weights, or none within reach.
    """
    if pretrained:
        return _pretrained(spec, size)
    return _built(spec, size)


def _built(spec: ArchitectureSpec, size: int, **arguments: Any) -> nn.Module:
    if spec.family != "timm":
        options: dict[str, Any] = {**spec.options, **({"img_size": size} if spec.sized else {})}
        return _without_dropout(timm.create_model(spec.timm_name, num_classes=0, **options, **arguments))
    # timm has no way to ask which of these an entry point takes.
    for options in ({"img_size": size, "dynamic_img_size": True}, {"img_size": size}):
        try:
            return timm.create_model(spec.timm_name, num_classes=0, **options, **arguments)
        except TypeError:
            continue
    return timm.create_model(spec.timm_name, num_classes=0, **arguments)


def _without_dropout(network: nn.Module) -> nn.Module:
    # Relative positions by MLP (maxvit_rmlp_*) drop out an eighth of them, and have no argument for it.
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def _pretrained(spec: ArchitectureSpec, size: int) -> nn.Module:
    known = timm.get_pretrained_cfg(spec.timm_name)
    published = known is not None and bool(known.hf_hub_id)
    if known is None or not spec.pretrained or not published:
        options = " with other options" if published else ""
        raise SettingError(
            f"--pretrained came, {spec.timm_name}{options} has no weights on the hub; choose another architecture, or "
            "leave out --pretrained"
        )
    try:
        file = _weights(known.hf_hub_id, known.hf_hub_filename or "model.safetensors")
        # What timm would load in another way from elsewhere is a plain state dict on the hub.
        overlay = {"file": file, "custom_load": False}
        return _built(spec, size, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:
        # Whatever the hub's client, the network or the file raises: none of it starts a trial.
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            f"--pretrained came, the weights of {spec.timm_name} cannot be had ({reason}); go online once, or copy "
            f"{known.hf_hub_id} into the cache of Hugging Face (HF_HOME), or leave out --pretrained"
        ) from error


def _weights(repository: str, filename: str) -> str:
    """Where a file of the hub is in the local cache, fetched if it is not there yet."""
    try:
        return hf_hub_download(repository, filename, local_files_only=True)
    except LocalEntryNotFoundError:
        # Without a network this fails at once; downloading would try for a minute.
        HfApi().model_info(repository, timeout=10)
        return hf_hub_download(repository, filename)
