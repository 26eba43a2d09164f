"""The trial of `noop` for plain Ray Tune."""

from typing import Any

from noop import AT_THE_END, EPOCHS, PER_EPOCH
from ray.tune import Trainable


class Plain(Trainable):  # type: ignore[misc,unused-ignore]
    """The same figures, reported to Ray Tune."""

    def step(self) -> dict[str, Any]:
        """One epoch; the last brings the rest."""
        last = self.training_iteration + 1 >= EPOCHS
        return {**PER_EPOCH, **(AT_THE_END if last else {}), "done": last}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Accept the next trial."""
        self.config = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing."""
        return {}
