"""The same number of scans of each site in every batch, whatever the sizes of the sites."""

import dataclasses
import functools

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Endless, Pool, samplers
from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class SiteBalanced:
    """Cycles through each site in an order of its own, so scans of small sites occur more often.

    If the number of sites does not divide the batch, the sites take turns with the remaining scans.
    """

    sites: tuple[np.ndarray, ...]  # cohort rows of each
    batch_size: int
    note: str = ""

    def rows(self, seed: int, step: int) -> np.ndarray:
        """See :class:`~learner_jax.data.samplers.api.Sampler`."""
        parts = []
        for site, (row, endless) in enumerate(zip(self.sites, self._endless, strict=True)):
            parts.append(row[endless(self._drawn(site, step), self._drawn(site, step + 1), seed)])
        return np.concatenate(parts)

    @functools.cached_property
    def _endless(self) -> list[Endless]:
        return [Endless(len(row), purpose=site) for site, row in enumerate(self.sites)]

    def _drawn(self, site: int, step: int) -> int:
        """Scans of the site in all steps before ``step``."""
        whole, further = divmod(self.batch_size, len(self.sites))
        return whole * step + (further * step - site + len(self.sites) - 1) // len(self.sites)


@samplers.register("site_balanced")
def site_balanced(config: Config, pool: Pool) -> SiteBalanced:
    """Sites in equal parts.

    Raises:
      InputError: there are more sites than scans in a batch.
    """
    sites = np.unique(pool.site)
    if len(sites) > config.batch_size:
        raise InputError(
            f"a batch of {config.batch_size} scans cannot hold each of the {len(sites)} sites of the training split. "
            f"Set --config.batch_size={len(sites)} or more, or another --config.sampler.name"
        )
    return SiteBalanced(tuple(pool.row[pool.site == site] for site in sites), config.batch_size)
