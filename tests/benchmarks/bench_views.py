"""Views per second on one core, against torchvision v2 on PIL images one by one; and their share in a training.

python tests/benchmarks/bench_views.py [--json RESULT.json] [--images 128] [--repeats 15] [--epochs 5]

Both make 2 global views of 32 or 64 px and 6 local ones of half that side with the same probabilities and
ranges, from images already decoded. Time is processor time of this process, the median of repeats by turns.

The share is that of fetching the batches of an epoch and making their views, in the time of the epoch's training.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import Bar, Times, print_table, ratio, spread
from torchvision.transforms import v2

from lejepa_core.datasets import ImageDataset, load_dataset
from lejepa_core.encoder import build_encoder
from lejepa_core.pretrain import epoch_batches, pretrain, view_settings
from lejepa_core.settings import PretrainSettings
from lejepa_core.views import ViewSettings, make_views

FASTER = {32: 12, 64: 4}
"""Side of the global views -> how many times faster than torchvision."""
LARGEST_SHARE = 0.08
ARCHITECTURE = "resnet10t_w32"
BATCH_SIZES = (64, 128, 256)
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


def measure(side: int, n: int, repeats: int) -> Times:
    """Processor seconds per view of both, one entry per repeat."""
    rivals = contestants(side, n)
    times: Times = {name: [] for name in rivals}
    for epoch in range(repeats + 1):
        for name, (count, call) in rivals.items():
            start = time.process_time()
            call(epoch)
            if epoch:
                times[name].append((time.process_time() - start) / (8 * count))
    return times


def shares(data: ImageDataset, batch_size: int, epochs: int) -> Times:
    """Processor seconds of epochs of training, and of as many in which only their data is fetched and augmented."""
    settings = PretrainSettings(
        architecture=ARCHITECTURE, lambda_=0.05, learning_rate=1e-3, weight_decay=1e-2, epochs=epochs + 1,
        batch_size=batch_size, image_size=32, local_size=16,
    )  # fmt: skip
    train = torch.from_numpy(data.splits["train"])
    training = pretrain(settings, data, build_encoder(settings), train=train)
    views = view_settings(settings, data)
    times: Times = {"training": [], "data": []}
    for epoch in range(epochs + 1):
        start = time.process_time()
        next(training)
        trained = time.process_time()
        batches = epoch_batches(settings, train, epoch)
        fetched = data.batches([batch.numpy() for batch in batches])
        for batch, (images, sizes) in zip(batches, fetched, strict=True):
            make_views(images, sizes, batch, views, seed=settings.seed, epoch=epoch)
        if epoch:
            times["training"].append(trained - start)
            times["data"].append(time.process_time() - trained)
    return times


def show_speed(found: Mapping[int, Times]) -> None:
    """Views per second, and what they are held to."""
    rows = []
    for side, times in found.items():
        rates = [f"{1 / spread(times[name]).median:,.0f}" for name in ("ours", "torchvision")]
        faster = ratio(times, "torchvision", "ours")
        rows.append([str(side), *rates, faster.show(), Bar(FASTER[side], at_most=False).verdict(faster.median)])
    header = ("side", "ours", "torchvision", "times faster", "bar")
    print_table("views/s on one core, 2 global + 6 local per image", header, rows)


def show_shares(found: Mapping[int, Times]) -> None:
    """The share of a training's time that goes into its data."""
    rows = []
    for batch_size, times in found.items():
        share = ratio(times, "data", "training")
        bar = Bar(100 * LARGEST_SHARE).verdict(100 * share.median)
        rows.append([str(batch_size), f"{spread(times['training']).median:.2f}", share.show(factor=100), bar])
    print_table(
        f"{ARCHITECTURE} at 32 px, 2 global + 6 local of 16 px: share of data (fetch and views) in training",
        ("batch", "s/epoch", "% data", "bar"),
        rows,
    )


def main() -> None:
    """Print two tables and write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--images", type=int, default=128, help="images in a batch")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each")
    parser.add_argument("--epochs", type=int, default=5, help="timed epochs of training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    speed = {side: measure(side, arguments.images, arguments.repeats) for side in FASTER}
    show_speed(speed)
    with tempfile.TemporaryDirectory() as cache:
        data = load_dataset("patches", image_size=32, cache_dir=Path(cache))
        share = {batch_size: shares(data, batch_size, arguments.epochs) for batch_size in BATCH_SIZES}
    show_shares(share)
    if arguments.json:
        result = {"seconds per view": speed, "seconds per epoch": share}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
