"""Parameters of views: distributed as torchvision's, as the settings say, and independent of the batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from lejepa_core.views import Draws, ViewSettings, draw_views

SMALL = ViewSettings(global_size=32, local_size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (300, 300), (120, 300), (64, 400)])
def test_crops_are_distributed_as_torchvision_draws_them(local: bool, height: int, width: int) -> None:
    n = 3000
    settings = replace(SMALL, views_global=1, views_local=1)
    draws = draw_views(
        torch.tensor([height, width]).expand(n, 2), torch.arange(n), settings, seed=1, epoch=0, local=local
    )
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(8, scale=settings.local_scale if local else settings.global_scale)
    image = torch.empty(3, height, width)
    drawn = [crop.make_params([image]) for _ in range(n)]
    theirs = {k: np.array([d[k] for d in drawn], dtype=float) for k in ("top", "left", "height", "width")}
    ours = {k: getattr(draws, k)[0].double().numpy() for k in theirs}
    for box in (ours, theirs):
        assert (box["top"] >= 0).all() and (box["left"] >= 0).all()
        assert (box["top"] + box["height"] <= height).all() and (box["left"] + box["width"] <= width).all()
    summaries = {
        "area": lambda b: b["height"] * b["width"] / (height * width),
        "log ratio": lambda b: np.log(b["width"] / b["height"]),
        "row": lambda b: b["top"] / np.maximum(height - b["height"], 1),
        "column": lambda b: b["left"] / np.maximum(width - b["width"], 1),
    }
    for name, summary in summaries.items():
        assert stats.ks_2samp(summary(ours), summary(theirs)).pvalue > 0.005, name


@pytest.mark.parametrize("shape", [(20, 400), (400, 20), (1, 7)])
def test_an_image_that_no_box_fits_is_cropped_in_its_centre(shape: tuple[int, int]) -> None:
    settings = replace(SMALL, views_global=1, global_scale=(1.0, 1.0))
    draws = draw_views(torch.tensor([shape]), torch.arange(1), settings, seed=0, epoch=0)
    theirs = v2.RandomResizedCrop(8, scale=(1.0, 1.0)).make_params([torch.empty(3, *shape)])
    assert {k: int(getattr(draws, k).item()) for k in theirs} == theirs


def test_probabilities_and_ranges_are_those_asked_for() -> None:
    n = 4000
    settings = replace(SMALL, flip=0.3, jitter=0.6, grey=0.1, blur=0.7, solarise=0.4, global_size=112)
    d = draw_views(torch.full((n, 2), 64), torch.arange(n), settings, seed=2, epoch=0)
    jittered = d.brightness != 1
    events = {"flip": d.flip, "jitter": jittered, "grey": d.grey, "blur": d.sigma > 0, "solarise": d.solarise}
    for name, happened in events.items():
        count = int(happened.sum())
        assert stats.binomtest(count, 2 * n, getattr(settings, name)).pvalue > 0.001, name
    for values, low, high in [
        (d.brightness[jittered], 0.6, 1.4),
        (d.contrast[jittered], 0.6, 1.4),
        (d.saturation[jittered], 0.8, 1.2),
        (d.hue[jittered], -0.1, 0.1),
        (d.sigma[d.sigma > 0], 0.05, 1.0),
    ]:
        assert stats.kstest(values.double().numpy(), stats.uniform(low, high - low).cdf).pvalue > 0.001
    for name in ("brightness", "contrast", "saturation", "hue"):
        assert torch.equal(getattr(d, name) != (0 if name == "hue" else 1), jittered)


def test_parameters_are_independent_of_each_other_and_between_views() -> None:
    n = 4000
    settings = replace(SMALL, jitter=1.0, blur=1.0)
    d = draw_views(torch.full((n, 2), 64), torch.arange(n), settings, seed=2, epoch=0)
    # Positions are left out: rows and columns share the size of the crop.
    names = ("flip", "sigma", "brightness", "contrast", "saturation", "hue", "grey", "solarise", "height")
    rows = [getattr(d, name).float()[v] for name in names for v in (0, 1)]
    correlation = np.corrcoef(torch.stack(rows).numpy()) - np.eye(len(rows))
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


def test_draws_do_not_depend_on_the_batch_bit_for_bit() -> None:
    sizes = torch.tensor([[60, 60], [41, 77], [30, 90], [8, 8], [224, 180], [64, 64], [100, 33]])
    samples = torch.tensor([5, 900, 17, 3, 2**33, 0, 60000])
    whole = draw_views(sizes, samples, SMALL, seed=7, epoch=3)
    order = torch.tensor([4, 2, 6, 0, 1, 5, 3])
    shuffled = draw_views(sizes[order], samples[order], SMALL, seed=7, epoch=3)
    for field in Draws.__slots__:
        expected = getattr(whole, field)
        assert torch.equal(getattr(shuffled, field), expected[:, order])
        for i in range(7):
            alone = draw_views(sizes[i : i + 1], samples[i : i + 1], SMALL, seed=7, epoch=3)
            assert torch.equal(getattr(alone, field), expected[:, i : i + 1])


def test_draws_are_pinned() -> None:
    """Stored results rest on them: whoever has to change these numbers raises the method version."""
    d = draw_views(torch.full((3, 2), 100), torch.arange(3), SMALL, seed=0, epoch=0, local=True)
    boxes = torch.stack((d.top, d.left, d.height, d.width))[:, 0].T
    assert boxes.tolist() == [[1, 9, 57, 51], [1, 49, 55, 44], [3, 1, 43, 43]]
    assert d.flip[0].tolist() == [True, False, False] == d.solarise[0].tolist()
    colours = torch.stack((d.brightness, d.contrast, d.saturation, d.hue, d.sigma))[:, 0, :2]
    expected = [[0.8294, 1.3183], [0.9880, 1.3729], [0.8428, 1.1926], [-0.0797, -0.0093], [0, 0.1474]]
    torch.testing.assert_close(colours, torch.tensor(expected), atol=1e-4, rtol=0)
