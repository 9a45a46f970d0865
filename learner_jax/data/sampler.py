"""Which rows of the cohort make up the batch of a step: a pure function of seed and step."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """Every training row once per epoch, each epoch in a new order; batches run on over the end of an epoch.

    Attributes:
      pool: i64 ``[n]`` cohort rows to draw from.
      batch_size: rows per global batch.
    """

    pool: np.ndarray
    batch_size: int

    def rows(self, seed: int, step: int) -> np.ndarray:
        """Cohort rows i64 ``[batch_size]`` of the global batch of ``step`` (from 0)."""
        n = len(self.pool)
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = positions // n
        order = {epoch: _permutation(n, seed, epoch) for epoch in np.unique(epochs).tolist()}
        return self.pool[[order[e][p] for e, p in zip(epochs.tolist(), (positions % n).tolist(), strict=True)]]


def host_slice(rows: np.ndarray, process: int, n_processes: int) -> np.ndarray:
    """The contiguous part ``[p·B/n, (p+1)·B/n)`` of a global batch that process ``p`` of ``n`` reads."""
    part = len(rows) // n_processes
    return rows[process * part : (process + 1) * part]


def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    # Philox's raw words are fixed by its definition; Generator.permutation may change with a NumPy release, and then an
    # upgraded library would resume on another stream without a word.
    return np.argsort(np.random.Philox(key=[seed, epoch]).random_raw(n), kind="stable")
