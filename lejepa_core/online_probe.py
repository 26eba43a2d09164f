"""A linear probe that learns beside the encoder, from the embeddings that the loss takes anyway."""

# V views, N samples of this rank, F features, C classes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from lejepa_core.distributed import all_reduce_sum
from lejepa_core.encoder import Encoder

LEARNING_RATE: Final = 1e-3
WEIGHT_DECAY: Final = 1e-7
"""Of AdamW, both constant: the reference's cosine for its probe ends at the rate at which it begins."""


class OnlineProbe:
    """LayerNorm and a linear layer on detached embeddings of global views, trained by AdamW.

    Each batch is judged before it is learned from, by the global batch of all ranks. It begins at zero, so it draws no
    random number, and nothing of it reaches the encoder.

    Source:
        MINIMAL.md of the reference, whose probe sees all views, as all of its views are alike.
    """

    def __init__(self, encoder: Encoder, labels: NDArray[np.int64], *, views: int, batch_size: int) -> None:
        """Begin a probe.

        Args:
            encoder: Gives width, device and precision of the embeddings.
            labels: (images,), of the whole data set.
            views: Global views.
            batch_size: Images per step, over all ranks together.
        """
        parameter = next(encoder.parameters())
        linear = nn.utils.skip_init(nn.Linear, encoder.features, int(labels.max()) + 1)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        self._head = nn.Sequential(nn.LayerNorm(encoder.features), linear).to(parameter.device, parameter.dtype)
        self._optimiser = torch.optim.AdamW(self._head.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._dtype = parameter.dtype
        self._labels, self._views, self._count = labels, views, views * batch_size
        self._seen: Tensor | None = None
        self._top1: list[Tensor] = []

    @contextmanager
    def watching(self, encoder: Encoder) -> Iterator[None]:
        """See what the encoder's projector is given, as long as this lasts."""
        handle = encoder.projector.register_forward_pre_hook(self._see)
        try:
            yield
        finally:
            handle.remove()

    def learn(self, batch: Int[Tensor, " n"]) -> None:
        """Judge and learn the images that the encoder has just seen.

        Args:
            batch: Index of each in the data set.
        """
        assert self._seen is not None
        x_VNF = self._seen[: self._views * len(batch)]
        y_VN = torch.from_numpy(self._labels[batch.numpy()]).to(x_VNF.device).repeat(self._views)
        logits: Float[Tensor, "vn c"] = self._head(x_VNF)
        self._optimiser.zero_grad(set_to_none=True)
        (nn.functional.cross_entropy(logits, y_VN, reduction="sum") / self._count).backward()
        correct = (logits.detach().argmax(1) == y_VN).sum()
        self._top1.append(self._reduce(correct) / self._count)
        self._optimiser.step()
        self._seen = None

    def end_epoch(self) -> dict[str, float]:
        """online/top1, the mean over the steps since the last call."""
        top1 = float(torch.stack(self._top1).double().mean())
        self._top1 = []
        return {"online/top1": top1}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and the accuracies of the epoch that has begun."""
        return {
            "head": self._head.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "top1": torch.stack(self._top1) if self._top1 else torch.zeros(0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._head.load_state_dict(state["head"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._top1 = list(state["top1"].to(self._head[1].weight.device))

    def _see(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._seen = arguments[0].detach().to(self._dtype)

    def _reduce(self, correct: Tensor) -> Tensor:
        """Sum the gradients over ranks, and give the sum of a count: one collective for both."""
        gradients = [p.grad for p in self._head.parameters() if p.grad is not None]
        packed = all_reduce_sum(torch.cat([*(g.flatten() for g in gradients), correct.to(gradients[0].dtype)[None]]))
        for gradient, total in zip(gradients, packed.split([*(g.numel() for g in gradients), 1])[:-1], strict=True):
            gradient.copy_(total.view_as(gradient))
        return packed[-1]
