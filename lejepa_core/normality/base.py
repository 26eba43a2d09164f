"""What all normality tests share: dtypes, ranks, sample counts, and the anchor that holds mean 0 and variance 1.

Every statistic carries the factor N of the global batch: at N(0, 1) it stays of order one, and off it grows like N.
"""

# N samples, D dims, S columns; L leading dims
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.distributed import all_reduce_sum, gather_samples
from lejepa_core.errors import SettingError


class UnivariateTest(nn.Module):
    """A test of each column of a sample against N(0, 1), with its mean and variance: smaller is nearer.

    A NaN or an infinity among a column's samples makes its value NaN.
    """

    minimum: ClassVar[int] = 2
    """Samples needed, over all ranks."""
    floor: float | None = None
    """Expected value at N(0, 1), in the limit of large N where it depends on N; None without a closed form."""

    def forward(self, u: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The statistic of each column.

        Args:
            u: Samples along the last dim but one; float64 is kept, anything else becomes float32.

        Returns:
            One value per column and leading index; the same on every rank.

        Raises:
            SettingError: If `u` has fewer than two dims, or the ranks hold fewer than `minimum` samples together.
        """
        with torch.autocast(u.device.type, enabled=False):
            return self.statistic(self.collect(prepare(u)))

    def collect(self, x_LND: Tensor) -> Tensor:
        """The samples that `statistic` needs on this rank: its own, unless a subclass gathers."""
        return x_LND

    def statistic(self, u_LNS: Float[Tensor, "*leading n s"]) -> Float[Tensor, "*leading s"]:
        """The statistic of collected samples in float32 or float64."""
        raise NotImplementedError


class GatheringTest(UnivariateTest):
    """A test whose statistic is no function of sums (it sorts): each rank gathers the samples of all."""

    def collect(self, x_LND: Tensor) -> Tensor:
        """The samples of all ranks, in their order."""
        gathered = gather_samples(x_LND)
        require_samples(self, gathered.shape[-2], self.minimum)
        return gathered


class MultivariateTest(nn.Module):
    """A test of a sample's joint distribution against N(0, I): smaller is nearer; each rank gathers all samples.

    A NaN or an infinity among the samples makes the value NaN.
    """

    minimum: ClassVar[int] = 2
    """Samples needed, over all ranks."""
    floor: float | None = None
    """None, as the expected value at N(0, I) depends on D: see `floor_at`."""

    def forward(self, z: Float[Tensor, "*leading n d"], *, step: int | Tensor = 0) -> Float[Tensor, "*leading"]:
        """The statistic of each batch along the leading dims.

        Args:
            z: N samples of D dims per leading index; float64 is kept, anything else becomes float32.
            step: Not used, as there are no directions to draw; so that it stands where `SIGReg` does.

        Returns:
            One value per leading index; the same on every rank.

        Raises:
            SettingError: If `z` has fewer than two dims, or the ranks hold fewer than `minimum` samples together.
        """
        with torch.autocast(z.device.type, enabled=False):
            gathered = gather_samples(prepare(z))
            require_samples(self, gathered.shape[-2], self.minimum)
            return self.statistic(gathered)

    def statistic(self, z_LND: Float[Tensor, "*leading n d"]) -> Float[Tensor, "*leading"]:
        """The statistic of all samples in float32 or float64."""
        raise NotImplementedError

    def floor_at(self, samples: int, dims: int) -> float | None:
        """Expected value at N(0, I); None without a closed form."""
        raise NotImplementedError


def prepare(x: Float[Tensor, "*leading n d"]) -> Float[Tensor, "*leading n d"]:
    """The samples in float32, or float64 if they came so, with NaN in the place of infinities."""
    if x.dim() < 2 or x.shape[-1] < 1:
        raise SettingError(f"samples of shape {tuple(x.shape)} came, (..., N, D) was wanted; add a dim with [:, None]")
    real = x.double() if x.dtype == torch.float64 else x.float()
    return real + real.detach() * 0


def require_samples(test: nn.Module, count: int, minimum: int) -> None:
    """Refuse a sample that is too small for a test.

    Raises:
        SettingError: If `count` < `minimum`.
    """
    if count < minimum:
        raise SettingError(f"{count} samples over all ranks came, {type(test).__name__} needs at least {minimum}")


def global_means(test: UnivariateTest, *x_LNS: Tensor) -> tuple[Tensor, list[Tensor]]:
    """N of all ranks, and the mean over all their samples of each of some tensors of one shape.

    Raises:
        SettingError: If N is less than the test's minimum.
    """
    local, count = x_LNS[0].shape[-2], x_LNS[0].new_full((1,), x_LNS[0].shape[-2])
    sums_LS = torch.stack([x.sum(-2) for x in x_LNS])
    packed = all_reduce_sum(torch.cat([sums_LS.flatten(), count]))
    if local < test.minimum:
        # Only here is the count read from the device: with enough samples of its own, a rank need not know it.
        require_samples(test, int(packed[-1]), test.minimum)
    n = packed[-1]
    return n, list((packed[:-1] / n).view_as(sums_LS).unbind())


def spread(variance: Tensor) -> Tensor:
    """Standard deviation with a gradient that stays finite at 0."""
    return variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()


def floored(variance: Tensor) -> Tensor:
    """A variance to divide by, never below the dtype's epsilon: the shape of a constant column is nothing."""
    return variance.clamp_min(torch.finfo(variance.dtype).eps)


def anchor(n: Tensor | int, mean: Tensor, variance: Tensor) -> Tensor:
    """N·(mean² + (std - 1)²), which holds a column at mean 0 and variance 1; its floor is 3/2 for large N."""
    return n * (mean.square() + (spread(variance) - 1).square())
