"""The process group of a trial's workers, as Ray Train starts it; what a failed start held is free again."""

from dataclasses import dataclass
from typing import Any

import torch
from ray.train.torch import TorchConfig
from ray.util.placement_group import get_current_placement_group, remove_placement_group

_Backend: Any = TorchConfig().backend_cls


@dataclass
class ProcessGroup(TorchConfig):  # type: ignore[misc,unused-ignore]
    """Ray's configuration of a process group, over NCCL where there is CUDA, over gloo elsewhere."""

    @property
    def backend_cls(self) -> type:
        """What starts it."""
        return _Releasing


class _Releasing(_Backend):  # type: ignore[misc,unused-ignore]
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        """Start the group.

        Ray 2.60 keeps the resources of a worker group that does not get this far, for as long as the driver lives:
        other trials would wait for them for ever.
        """
        held, cuda = worker_group.execute_single(0, _look)
        try:
            super().on_start(worker_group, TorchConfig(backend="nccl" if cuda else "gloo"))
        except Exception:
            remove_placement_group(held)
            raise


def _look() -> tuple[Any, bool]:
    """Of a worker: what its group holds, and whether it sees a GPU."""
    return get_current_placement_group(), torch.cuda.is_available()
