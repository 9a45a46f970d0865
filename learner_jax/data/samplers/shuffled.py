"""Every training scan once per epoch, in a new order each time."""

import dataclasses
import functools

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Endless, Pool, samplers


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """Batches may cross the end of an epoch.

    Attributes:
      row: i64 ``[n]`` cohort rows to draw from.
      batch_size: rows per global batch.
    """

    row: np.ndarray
    batch_size: int
    note: str = ""

    def rows(self, seed: int, step: int) -> np.ndarray:
        """See :class:`~learner_jax.data.samplers.api.Sampler`."""
        return self.row[self._endless(step * self.batch_size, (step + 1) * self.batch_size, seed)]

    @functools.cached_property
    def _endless(self) -> Endless:
        return Endless(len(self.row))


@samplers.register("shuffled")
def shuffled(config: Config, pool: Pool) -> Shuffled:
    """The next scans in shuffled order, whatever their patient."""
    size, n = config.batch_size, len(pool)
    more = f"a batch of {size} holds scans more than once, since there are {n} labeled training scans"
    return Shuffled(pool.row, size, note=more if size > n else "")
