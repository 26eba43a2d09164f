"""What protocols that train choose on the validation split, and the order in which they see images."""

# N samples, C classes
from collections.abc import Iterator
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lejepa_core.random import derive_seed

LEAST_EPOCHS: Final = 5


def epochs_for(images: int, *, batch_size: int, steps: int, most: int) -> int:
    """Epochs that make so many steps, but at least 5 and at most `most`."""
    return min(most, max(LEAST_EPOCHS, -(-steps // max(1, images // batch_size))))


def shuffled_batches(images: int, batch_size: int, seed: int, epoch: int) -> Iterator[Int[Tensor, " n"]]:
    """Positions of full batches in a random order; a single batch where there are fewer images."""
    generator = torch.Generator().manual_seed(derive_seed("batches", seed, epoch))
    order = torch.randperm(images, generator=generator)
    size = min(batch_size, images)
    yield from order[: images // size * size].split(size)


class Best:
    """The weights that were best on the validation split: by accuracy, and by loss where that is equal."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.top1, self._loss = -1.0, 0.0
        self.setting: tuple[float, int] = (0.0, 0)
        """Learning rate and epoch, from 1."""
        self._weights: dict[str, Any] = {}

    def offer(
        self, network: nn.Module, logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"], setting: tuple[float, int]
    ) -> None:
        """Keep a network's weights if its answers on the validation split are better than those before."""
        top1 = float((logits.argmax(1) == labels).double().mean())
        loss = float(nn.functional.cross_entropy(logits.double(), labels))
        if (top1, -loss) > (self.top1, -self._loss) or not self._weights:
            self.top1, self._loss, self.setting = top1, loss, setting
            self._weights = {name: value.clone() for name, value in network.state_dict().items()}

    def load(self, network: nn.Module) -> None:
        """Give a network the best weights."""
        network.load_state_dict(self._weights)
