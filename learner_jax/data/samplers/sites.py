"""The same number of scans of each site in every batch, however large the sites are."""

import dataclasses

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Pool, endless, samplers
from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class SiteBalanced:
    """Each site is walked through in an order of its own, again and again: small ones come more often.

    Where the batch does not divide by the sites, the further scans go round from site to site.
    """

    sites: tuple[np.ndarray, ...]  # cohort rows of each
    batch_size: int
    note: str = ""

    def rows(self, seed: int, step: int) -> np.ndarray:
        """See :class:`~learner_jax.data.samplers.api.Sampler`."""
        parts = []
        for site, row in enumerate(self.sites):
            start, stop = self._drawn(site, step), self._drawn(site, step + 1)
            parts.append(row[endless(len(row), start, stop, seed, purpose=site)])
        return np.concatenate(parts)

    def _drawn(self, site: int, step: int) -> int:
        """Scans of the site in all steps before ``step``."""
        whole, further = divmod(self.batch_size, len(self.sites))
        return whole * step + (further * step - site + len(self.sites) - 1) // len(self.sites)


@samplers.register("site_balanced")
def site_balanced(config: Config, pool: Pool) -> SiteBalanced:
    """Sites in equal parts.

    Raises:
      InputError: more sites than a batch has scans.
    """
    sites = np.unique(pool.site)
    if len(sites) > config.batch_size:
        raise InputError(
            f"a batch of {config.batch_size} scans cannot hold each of the {len(sites)} sites of the training split. "
            f"Set --config.batch_size={len(sites)} or more, or another --config.sampler.name"
        )
    return SiteBalanced(tuple(pool.row[pool.site == site] for site in sites), config.batch_size)
