"""Gradient accumulation that is exact: the backbone sees a few images at a time, the loss the whole batch.

Loss and projector tie all samples of a batch together, SIGReg as a test of their distribution and the projector by its
BatchNorm, so the losses of parts of a batch do not add up to the loss of the batch. Embeddings are taken twice instead:
once without gradients, part by part, to get the loss of the whole batch and its gradient at each embedding; then again,
part by part, to take that gradient back through the backbone (GradCache: Gao et al., arXiv 2101.06983). It costs a
second forward pass of the backbone: `vit_mini_p4` at 32 px in batches of 256 takes 1.3 times as long with 32 images at
a time, and 162 MB on top of images and weights in place of 835 MB.
"""

# V views of one size, N samples of this rank, M of a part, F features, D dims
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.distributed import average_gradients
from lejepa_core.encoder import Encoder
from lejepa_core.errors import SettingError
from lejepa_core.objective import LossTerms
from lejepa_core.precision import autocast
from lejepa_core.settings import Precision


def backward_in_parts(
    encoder: Encoder,
    loss: Callable[[Tensor], LossTerms],
    views: Sequence[Float[Tensor, "v n 3 s s"]],
    *,
    micro_batch: int,
    precision: Precision,
) -> LossTerms:
    """Add the gradient of the loss of a batch to the weights, averaged over ranks.

    Args:
        encoder: Its backbone passed `check_micro_batches`; its projector may do as it likes.
        loss: (views, samples, dims) of this rank -> the loss over all ranks.
        views: As `Encoder` takes them.
        micro_batch: Images whose views of one size the backbone sees at a time, at most.
        precision: Of the training.

    Returns:
        The loss of the batch. It and the gradients are those of the whole batch at once up to rounding.
    """
    device = views[0].device
    embeddings = [embed_in_parts(encoder, views_VN, micro_batch, precision).requires_grad_() for views_VN in views]
    with autocast(precision, device):
        z_VND = encoder.project(torch.cat([x_VNF.flatten(0, 1) for x_VNF in embeddings]), views[0].shape[1])
    terms = loss(z_VND)
    terms.total.backward()
    for views_VN, x_VNF in zip(views, embeddings, strict=True):
        assert x_VNF.grad is not None
        parts = zip(views_VN.split(micro_batch, dim=1), x_VNF.grad.split(micro_batch, dim=1), strict=True)
        for views_VM, gradient_VMF in parts:
            with autocast(precision, device):
                x_MF = encoder.embed(views_VM.flatten(0, 1))
            x_MF.backward(gradient_VMF.flatten(0, 1))
    average_gradients(encoder)
    return terms


@torch.no_grad()
def embed_in_parts(
    encoder: Encoder, views_VN: Float[Tensor, "v n 3 s s"], micro_batch: int, precision: Precision
) -> Float[Tensor, "v n f"]:
    """Embeddings of views of one size, without gradients, so many images at a time."""
    with autocast(precision, views_VN.device):
        parts = [
            encoder.embed(views_VM.flatten(0, 1)).unflatten(0, views_VM.shape[:2])
            for views_VM in views_VN.split(micro_batch, dim=1)
        ]
    return torch.cat(parts, dim=1)


def check_micro_batches(backbone: nn.Module, architecture: str) -> None:
    """Refuse a backbone that makes something else of a part of a batch than of the same images in the whole.

    Args:
        backbone: On any device, also the meta device.
        architecture: Its name.

    Raises:
        SettingError: If it takes statistics over the batch, as BatchNorm does, or draws at random.
    """
    for module in backbone.modules():
        if takes_batch_statistics(module):
            why = f"whose {type(module).__name__} takes its statistics over the batch"
        elif draws_at_random(module):
            why = f"whose {type(module).__name__} draws at random for the batch"
        else:
            continue
        raise SettingError(
            f"--micro-batch came with {architecture}, {why}; leave out the one or the other, or choose an architecture "
            "without BatchNorm, see `lejepa archs`"
        )


def takes_batch_statistics(module: nn.Module) -> bool:
    """Whether what a module makes of a sample in training depends on the other samples: BatchNorm and its kin."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or getattr(module, "running_var", None) is not None


def draws_at_random(module: nn.Module) -> bool:
    """Whether it is dropout or stochastic depth, with a rate above zero."""
    rate = getattr(module, "drop_prob", None) or (module.p if isinstance(module, nn.Dropout) else 0.0)
    return bool(rate)
