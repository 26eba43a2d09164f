"""The learning rate over the steps of a training."""

import math


def warmup_cosine(peak: float, step: int, steps: int, *, warmup: float) -> float:
    """Linear warm-up to the peak, then a cosine to a thousandth of it.

    Args:
        peak: The highest rate.
        step: Steps done.
        steps: Steps of the whole training.
        warmup: Share of the steps in which the rate rises.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    progress = (step - rising) / max(1, steps - 1 - rising)
    floor = peak / 1000
    return floor + (peak - floor) * (1 + math.cos(math.pi * progress)) / 2
