"""Batch statistics over all ranks, for process groups that torch's SyncBatchNorm refuses (gloo, on CPU tensors)."""

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn

from lejepa_core.distributed import all_reduce_sum, world_size
from lejepa_core.errors import SettingError


def synchronise_batchnorm(model: nn.Module) -> nn.Module:
    """Make every BatchNorm of a model take its statistics over all ranks; a no-op in a single process.

    Args:
        model: Changed in place where the group is gloo, otherwise converted to torch's SyncBatchNorm.

    Returns:
        The model to use.

    Raises:
        SettingError: If the model has a BatchNorm of another kind than torch's and timm's.
    """
    if world_size() == 1:
        return model
    if dist.get_backend() != "gloo":
        converted: nn.Module = convert_sync_batchnorm(model)
        return converted
    for module in model.modules():
        if type(module) in _SYNCHRONISED:
            # The module keeps its weights, buffers and attributes; only its forward is another.
            module.__class__ = _SYNCHRONISED[type(module)]
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise SettingError(f"{type(module).__name__} cannot be synchronised over gloo; use one worker per trial")
    return model


def synchronised_batch_norm(module: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """Batch normalisation with the mean and variance of all ranks' samples, exact for unequal sample counts.

    Args:
        module: Gives weight, bias, eps, momentum and the running statistics, which are updated.
        x: (N, C, ...) of this rank.

    Returns:
        The normalised x in its own type; gradients flow through the statistics to every rank.
    """
    if x.dtype.itemsize < 4:
        # Statistics are float32, as torch's are: bfloat16 cannot even count to 257.
        return synchronised_batch_norm(module, x.float()).to(x.dtype)
    channels = (1, -1, *[1] * (x.dim() - 2))
    axes = [0, *range(2, x.dim())]
    count = x.new_tensor(x.numel() / x.shape[1])
    packed = all_reduce_sum(torch.cat([x.sum(axes), count[None]]))
    n = packed[-1].detach()
    mean = packed[:-1] / n
    # The centred squares cost a second reduction, and no digits: E[x²] - E[x]² would lose some.
    centred = x - mean.view(channels)
    variance = all_reduce_sum(centred.square().sum(axes)) / n
    _update_running(module, mean.detach(), variance.detach(), n)
    y = centred * (variance + module.eps).rsqrt().view(channels)
    if module.affine:
        y = y * module.weight.view(channels) + module.bias.view(channels)
    return y


def _update_running(module: nn.modules.batchnorm._BatchNorm, mean: Tensor, variance: Tensor, n: Tensor) -> None:
    if not module.track_running_stats:
        return
    assert module.num_batches_tracked is not None
    assert module.running_mean is not None and module.running_var is not None
    module.num_batches_tracked.add_(1)
    momentum = module.momentum if module.momentum is not None else 1.0 / float(module.num_batches_tracked)
    module.running_mean.lerp_(mean, momentum)
    module.running_var.lerp_(variance * (n / (n - 1)), momentum)


class _Synchronised1d(nn.BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        return synchronised_batch_norm(self, input) if self.training else super().forward(input)


class _Synchronised2d(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return synchronised_batch_norm(self, input) if self.training else super().forward(input)


class _SynchronisedAct2d(BatchNormAct2d):  # type: ignore[misc,unused-ignore]
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            evaluated: Tensor = super().forward(x)
            return evaluated
        activated: Tensor = self.act(self.drop(synchronised_batch_norm(self, x)))
        return activated


_SYNCHRONISED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synchronised1d,
    nn.BatchNorm2d: _Synchronised2d,
    BatchNormAct2d: _SynchronisedAct2d,
}
