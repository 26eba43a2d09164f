"""The whole recipe against torchvision v2: each operation on the same bytes, and the distribution of what is drawn."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from skimage import data
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from lejepa_core.views import Draws, ViewSettings, draw_views, render

SETTINGS = ViewSettings(global_size=224, local_size=96, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
N = 4000

# Name -> what is drawn for a view, and torchvision's operation on an image of bytes.
OPERATIONS: Mapping[str, tuple[Mapping[str, float], Callable[[Tensor], Tensor]]] = {
    "crop and resize": (
        {"top": 5, "left": 9, "height": 70, "width": 61},
        lambda x: F.resized_crop(x, 5, 9, 70, 61, [64, 64], antialias=True),
    ),
    "flip": ({"flip": True}, F.horizontal_flip),
    "brightness down": ({"brightness": 0.6}, lambda x: F.adjust_brightness(x, 0.6)),
    "brightness up": ({"brightness": 1.4}, lambda x: F.adjust_brightness(x, 1.4)),
    "contrast down": ({"contrast": 0.6}, lambda x: F.adjust_contrast(x, 0.6)),
    "contrast up": ({"contrast": 1.4}, lambda x: F.adjust_contrast(x, 1.4)),
    "saturation down": ({"saturation": 0.8}, lambda x: F.adjust_saturation(x, 0.8)),
    "saturation up": ({"saturation": 1.2}, lambda x: F.adjust_saturation(x, 1.2)),
    "hue down": ({"hue": -0.1}, lambda x: F.adjust_hue(x, -0.1)),
    "hue up": ({"hue": 0.1}, lambda x: F.adjust_hue(x, 0.1)),
    "grey": ({"grey": True}, lambda x: F.rgb_to_grayscale(x, 3)),
    "weak blur": ({"sigma": 0.5}, lambda x: F.gaussian_blur(x, [23, 23], [0.5, 0.5])),
    "strong blur": ({"sigma": 2.0}, lambda x: F.gaussian_blur(x, [23, 23], [2.0, 2.0])),
    "solarise": ({"solarise": True}, lambda x: F.solarize(x, 128)),
}


def photographs() -> Tensor:
    """Square patches of a photograph in bytes."""
    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)
    return torch.stack([picture[:, y : y + 96, x : x + 96] for y, x in ((0, 150), (60, 180), (300, 0), (400, 400))])


def drawn(images: Tensor, changes: Mapping[str, float]) -> Draws:
    """One view of each image, in which only the given parameters do something."""
    size = {"height": float(images.shape[2]), "width": float(images.shape[3])}
    neutral = size | {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0}
    booleans = {"flip", "grey", "solarise"}
    values = {f.name: changes.get(f.name, neutral.get(f.name, 0.0)) for f in fields(Draws)}
    shape = (1, len(images))
    return Draws(**{name: torch.full(shape, bool(x) if name in booleans else float(x)) for name, x in values.items()})


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_within_2_grey_levels_of_torchvisions(name: str) -> None:
    changes, theirs = OPERATIONS[name]
    images = photographs()
    wanted = theirs(images)
    ours = render(images, drawn(images, changes), size=wanted.shape[-1], mean=SETTINGS.mean, std=SETTINGS.std)[0]
    assert (wanted.float() - images[..., : wanted.shape[-2], : wanted.shape[-1]]).abs().mean() > 1, "nothing happened"
    assert (ours * 255 - wanted).abs().mean((1, 2, 3)).max() < 2


def test_hue_is_within_2_grey_levels_of_pillows_own() -> None:
    """Pillow turns hues in 256 steps."""
    images = photographs()
    ours = render(images, drawn(images, {"hue": 0.1}), size=96, mean=SETTINGS.mean, std=SETTINGS.std)[0] * 255
    for image, mine in zip(images, ours, strict=True):
        turned = F.adjust_hue(Image.fromarray(image.permute(1, 2, 0).numpy()), 0.1)
        theirs = torch.from_numpy(np.array(turned)).permute(2, 0, 1)
        assert (mine - theirs).abs().mean() < 2


@pytest.fixture(scope="module")
def draws() -> Draws:
    """One view of each of many images."""
    settings = replace(SETTINGS, views_global=1)
    return draw_views(torch.full((N, 2), 64), torch.arange(N), settings, seed=3, epoch=0)


@pytest.fixture(scope="module")
def jitter() -> dict[str, np.ndarray]:
    """What torchvision draws for colour jitter."""
    torch.manual_seed(0)
    s = SETTINGS
    transform = v2.ColorJitter(s.brightness, s.contrast, s.saturation, s.hue)
    rows = [transform.make_params([]) for _ in range(N)]
    return {name: np.array([row[f"{name}_factor"] for row in rows]) for name in FACTORS}


FACTORS = ("brightness", "contrast", "saturation", "hue")


@pytest.mark.parametrize("name", FACTORS)
def test_jitter_is_distributed_as_torchvision_draws_it(draws: Draws, jitter: dict[str, np.ndarray], name: str) -> None:
    ours = getattr(draws, name)[draws.brightness != 1].double().numpy()
    assert stats.ks_2samp(ours, jitter[name]).pvalue > 0.005


def test_blur_is_distributed_as_torchvision_draws_it(draws: Draws) -> None:
    torch.manual_seed(0)
    transform = v2.GaussianBlur(23, SETTINGS.blur_sigma)
    theirs = np.array([transform.make_params([])["sigma"][0] for _ in range(N)])
    assert stats.ks_2samp(draws.sigma[draws.sigma > 0].double().numpy(), theirs).pvalue > 0.005


# Name -> torchvision's transform, which changes the image if it happens.
EVENTS: Mapping[str, Callable[[], v2.Transform]] = {
    "flip": lambda: v2.RandomHorizontalFlip(SETTINGS.flip),
    "jitter": lambda: v2.RandomApply([v2.ColorJitter(brightness=(2.0, 2.0))], SETTINGS.jitter),
    "grey": lambda: v2.RandomGrayscale(SETTINGS.grey),
    "blur": lambda: v2.RandomApply([v2.GaussianBlur(3, (1.0, 1.0))], SETTINGS.blur),
    "solarise": lambda: v2.RandomSolarize(0.5, SETTINGS.solarise),
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_happens_at_random_happens_as_often_as_in_torchvision(draws: Draws, name: str) -> None:
    torch.manual_seed(0)
    image, transform = torch.rand(3, 4, 4), EVENTS[name]()
    theirs = sum(not torch.equal(transform(image), image) for _ in range(N))
    happened = {"jitter": draws.brightness != 1, "blur": draws.sigma > 0}
    ours = int((happened[name] if name in happened else getattr(draws, name)).sum())
    table = [[ours, N - ours], [theirs, N - theirs]]
    assert min(ours, theirs) > 0
    assert stats.chi2_contingency(table).pvalue > 0.005
