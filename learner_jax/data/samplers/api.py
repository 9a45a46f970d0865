"""The contract of a sampler, and what samplers draw from and with."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from learner_jax.config import Config
from learner_jax.data.cohort import Cohort
from learner_jax.registry import Registry


@runtime_checkable
class Sampler(Protocol):
    """Rows of the global batch of a step, as a pure function of seed and step, so any host can ask for any step.

    Attributes:
      note: a sentence for the user on scans that are never drawn or come twice in a batch; empty if there are none.
    """

    note: str

    def rows(self, seed: int, step: int) -> np.ndarray:
        """Cohort rows i64 ``[batch_size]`` of the global batch of ``step`` (from 0)."""
        ...


@dataclasses.dataclass(frozen=True)
class Pool:
    """The labeled training scans, one entry each, from which samplers draw."""

    row: np.ndarray  # i64 [n], of the cohort table
    patient: np.ndarray  # i32 [n]; this and the next three as in Cohort
    visit: np.ndarray
    view: np.ndarray
    site: np.ndarray
    score: np.ndarray  # f32 [n], in score units

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: np.ndarray) -> "Pool":
        """The entries at the chosen places, or where a mask is True."""
        return Pool(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    @property
    def n_patients(self) -> int:
        return len(np.unique(self.patient))


samplers: Registry[Callable[[Config, Pool], Sampler]] = Registry("sampler", "config.sampler.name")


def create(config: Config, cohort: Cohort) -> Sampler:
    """The sampler that the config names, over the labeled training scans.

    Raises:
      InputError: the name is unknown, or the training split cannot fill a batch by the sampler's rule.
    """
    rows = cohort.labeled_train
    fields = (cohort.patient, cohort.visit, cohort.view, cohort.site, cohort.score)
    return samplers.get(config.sampler.name)(config, Pool(rows, *(field[rows] for field in fields)))


def list_samplers() -> list[str]:
    """Names for ``config.sampler.name``."""
    return samplers.list()


def random_bits(n: int, seed: int, number: int, purpose: int = 0) -> np.ndarray:
    """u64 ``[n]``, a function of its arguments alone; ``number`` is an epoch or a step, ``purpose`` separates uses.

    Philox's raw words are fixed by its definition. The methods of Generator may change with a NumPy release, and a run
    resumed after an upgrade would then silently continue on another stream.
    """
    return np.random.Philox(key=[seed, number], counter=[0, 0, 0, purpose]).random_raw(n)


def permutation(n: int, seed: int, number: int, purpose: int = 0) -> np.ndarray:
    """``0 … n-1`` in random order."""
    return np.argsort(random_bits(n, seed, number, purpose), kind="stable")


def uniform(n: int, seed: int, number: int, purpose: int = 0) -> np.ndarray:
    """f64 ``[n]`` between 0 and 1."""
    return (random_bits(n, seed, number, purpose) >> np.uint64(11)) * 2.0**-53


class Endless:
    """An endless sequence of independent permutations of ``0 … n-1``, with access to any part of it.

    Args:
      n: length of a permutation.
      purpose: see :func:`random_bits`.
    """

    def __init__(self, n: int, purpose: int = 0):
        self._n = n
        # a permutation of a million takes 0.15 s and 8 MiB: worth caching, but only the newest ones
        self._order = functools.lru_cache(maxsize=2)(lambda seed, epoch: permutation(n, seed, epoch, purpose))

    def __call__(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Elements ``start`` to ``stop`` (exclusive; must be above ``start``) of the sequence, i64."""
        n = self._n
        epochs = range(start // n, -(-stop // n))
        return np.concatenate([self._order(seed, one)[max(start - one * n, 0) : stop - one * n] for one in epochs])
