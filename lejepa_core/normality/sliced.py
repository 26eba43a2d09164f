"""A univariate test made multivariate by random directions, as SIGReg does it with Epps-Pulley (LeJEPA, Lemma 3)."""

# N samples, D dims, S slices; L leading dims
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.directions import Directions
from lejepa_core.normality.base import UnivariateTest, prepare


class Sliced(nn.Module):
    """The mean over slices of a univariate test; it stands where `SIGReg` does.

    Across ranks: a test of sums reduces those of its slices; a test that sorts gathers the samples before they are
    sliced, D numbers each and not S.
    """

    def __init__(self, test: UnivariateTest, *, directions: Directions) -> None:
        """Join a test and directions.

        Args:
            test: The test of each slice.
            directions: The directions of each step, the same on every rank.
        """
        super().__init__()
        self.test, self.directions = test, directions

    @property
    def floor(self) -> float | None:
        """Expected value at N(0, I): the test's own, as every slice of N(0, I) is N(0, 1)."""
        return self.test.floor

    def forward(self, z: Float[Tensor, "*leading n d"], *, step: int | Tensor) -> Float[Tensor, "*leading"]:
        """The statistic of each batch along the leading dims.

        Args:
            z: N samples of D dims per leading index; float64 is kept, anything else becomes float32.
            step: Global step, for the directions.

        Returns:
            One value per leading index, averaged over slices; the same on every rank.

        Raises:
            SettingError: If `z` has fewer than two dims, or the ranks hold too few samples for the test.
        """
        with torch.autocast(z.device.type, enabled=False):
            z_LND = self.test.collect(prepare(z))
            u_LNS = z_LND @ self.directions(z.shape[-1], step, z_LND)
            return self.test.statistic(u_LNS).mean(-1)
