"""What the augmentation may do to an image."""

from dataclasses import dataclass, fields

from lejepa_core.errors import SettingError

Triple = tuple[float, float, float]
Range = tuple[float, float]

_PROBABILITIES = ("flip", "jitter", "grey", "blur", "solarise")
_COUNTS = {"views_global": 1, "views_local": 0, "global_size": 1, "local_size": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewSettings:
    """Multi-crop augmentation: the defaults are LeJEPA's recipe at 224 and 96 px.

    Raises:
        SettingError: If a setting is outside its range.
    """

    views_global: int = 2
    """Large views per image, at least 1."""
    views_local: int = 6
    """Small views per image; 0 makes none."""
    global_size: int = 224
    """Side of a global view in pixels."""
    local_size: int = 96
    """Side of a local view in pixels."""
    global_scale: Range = (0.3, 1.0)
    """Area of a global crop, as a fraction of the image's."""
    local_scale: Range = (0.05, 0.3)
    """Area of a local crop, as a fraction of the image's."""
    ratio: Range = (3 / 4, 4 / 3)
    """Width over height of a crop."""
    flip: float = 0.5
    """Probability of a horizontal mirror image."""
    jitter: float = 0.8
    """Probability that brightness, contrast, saturation and hue change (all of them together)."""
    brightness: float = 0.4
    """Brightness is multiplied by a factor within 1 ± this, and not below 0."""
    contrast: float = 0.4
    """Contrast is multiplied by a factor within 1 ± this, and not below 0."""
    saturation: float = 0.2
    """Saturation is multiplied by a factor within 1 ± this, and not below 0."""
    hue: float = 0.1
    """Hue turns by up to this fraction of the colour circle either way, at most 0.5."""
    grey: float = 0.2
    """Probability of a grey image."""
    blur: float = 0.5
    """Probability of a Gaussian blur."""
    blur_sigma: Range = (0.1, 2.0)
    """Standard deviation of the blur in pixels if global views had 224; scaled by `global_size / 224`."""
    solarise: float = 0.2
    """Probability that channels of at least one half are inverted."""
    mean: Triple
    """Mean of the data set's channels, red, green, blue, in [0, 1]; subtracted last."""
    std: Triple
    """Standard deviation of the data set's channels; divided by last."""

    def __post_init__(self) -> None:
        """Refuse what no image could be made from."""
        for name, least in _COUNTS.items():
            _want(self, name, getattr(self, name) >= least, f"at least {least}")
        for name in _PROBABILITIES:
            _want(self, name, 0 <= getattr(self, name) <= 1, "a probability in [0, 1]")
        for name in ("brightness", "contrast", "saturation"):
            _want(self, name, getattr(self, name) >= 0, "0 or more")
        _want(self, "hue", 0 <= self.hue <= 0.5, "a fraction of the colour circle in [0, 0.5]")
        for name in ("global_scale", "local_scale"):
            _want(
                self,
                name,
                _ordered(getattr(self, name)) and getattr(self, name)[1] <= 1,
                "0 < low <= high <= 1",
            )
        for name in ("ratio", "blur_sigma"):
            _want(self, name, _ordered(getattr(self, name)), "0 < low <= high")
        _want(self, "mean", len(self.mean) == 3, "three numbers")
        _want(self, "std", len(self.std) == 3 and min(self.std) > 0, "three numbers above 0")


def _ordered(bounds: Range) -> bool:
    return len(bounds) == 2 and 0 < bounds[0] <= bounds[1]


def _want(settings: ViewSettings, name: str, fits: bool, wanted: str) -> None:
    if not fits:
        default = {field.name: field.default for field in fields(ViewSettings)}[name]
        advice = "" if name in ("mean", "std") else f"; the default is {default}"
        raise SettingError(f"view setting {name}={getattr(settings, name)!r}: wanted {wanted}{advice}")
