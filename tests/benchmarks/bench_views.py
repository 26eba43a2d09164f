"""Views per second on one core: ours on a uint8 batch, against torchvision v2 on PIL images one by one.

python tests/benchmarks/bench_views.py [--json RESULT.json] [--images 128] [--repeats 15]

Both make 2 global views of 32 or 64 px and 6 local ones of half that side with the same probabilities and
ranges, from images already decoded. Time is processor time of this process, the median of repeats by turns.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from lejepa_core.views import ViewSettings, make_views

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torchvision_recipe(settings: ViewSettings, size: int, scale: tuple[float, float]) -> v2.Compose:
    """The same augmentation as a torchvision user writes it."""
    sigma = tuple(s * settings.global_size / 224 for s in settings.blur_sigma)
    colour = v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=scale, antialias=True),
            v2.RandomHorizontalFlip(settings.flip),
            v2.RandomApply([colour], settings.jitter),
            v2.RandomGrayscale(settings.grey),
            v2.RandomApply([v2.GaussianBlur(_odd(23 * settings.global_size / 224), sigma)], settings.blur),
            v2.RandomSolarize(128, settings.solarise),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(settings.mean, settings.std),
        ]
    )


def _odd(width: float) -> int:
    return max(3, 2 * round((width - 1) / 2) + 1)


def contestants(side: int, n: int) -> dict[str, tuple[int, Callable[[int], object]]]:
    """Name -> (images per call, one call for an epoch)."""
    settings = ViewSettings(global_size=side, local_size=side // 2, mean=MEAN, std=STD)
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    # Smooth, as photographs are; noise would cost the same.
    pixels = np.sort(pixels, axis=2)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    sizes, samples = torch.full((n, 2), side), torch.arange(n)
    pictures = [Image.fromarray(p) for p in pixels[: min(n, 16)]]
    recipes = [(2, torchvision_recipe(settings, side, settings.global_scale))]
    recipes.append((6, torchvision_recipe(settings, side // 2, settings.local_scale)))
    return {
        "ours": (n, lambda epoch: make_views(images, sizes, samples, settings, seed=0, epoch=epoch)),
        "torchvision": (
            len(pictures),
            lambda _: [recipe(p) for p in pictures for count, recipe in recipes for _ in range(count)],
        ),
    }


def measure(side: int, n: int, repeats: int) -> dict[str, float]:
    """Views per second of both, and their ratio."""
    rivals = contestants(side, n)
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for epoch in range(repeats + 1):
        for name, (count, call) in rivals.items():
            start = time.process_time()
            call(epoch)
            if epoch:
                seconds[name].append((time.process_time() - start) / (8 * count))
    rates = {name: 1 / statistics.median(times) for name, times in seconds.items()}
    return {**rates, "ratio": rates["ours"] / rates["torchvision"]}


def main() -> None:
    """Print a table and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--images", type=int, default=128, help="images in a batch")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result = {str(side): measure(side, arguments.images, arguments.repeats) for side in (32, 64)}
    print(f"{'side':>4} {'ours':>12} {'torchvision':>12} {'ratio':>6}   views/s, 2 global + 6 local per image")
    for side, row in result.items():
        print(f"{side:>4} {row['ours']:>12,.0f} {row['torchvision']:>12,.0f} {row['ratio']:>6.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"unit": "views/s on one core", "side": result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
