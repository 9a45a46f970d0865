"""An epoch as a table of batches in which no owner occurs twice: units (scans or groups of scans) dealt like cards."""

import functools
import threading
from collections.abc import Callable

import numpy as np

from learner_jax.data.samplers.api import permutation, random_bits


class Planned:
    """A sampler that plans whole epochs, all with the same number of batches.

    Args:
      plan: ``(seed, epoch)`` -> cohort rows i64 ``[batches, batch_size]``.
      batches: in an epoch.
      note: a sentence for the user, see :class:`~learner_jax.data.samplers.api.Sampler`.
    """

    def __init__(self, plan: Callable[[int, int], np.ndarray], batches: int, note: str = ""):
        self._plan = functools.lru_cache(maxsize=2)(plan)  # two, as reading ahead crosses the end of an epoch
        self._planning = threading.Lock()  # one thread plans a new epoch, 6 s for a million scans; the others wait
        self._batches, self.note = batches, note

    def rows(self, seed: int, step: int) -> np.ndarray:
        """See :class:`~learner_jax.data.samplers.api.Sampler`."""
        with self._planning:
            plan = self._plan(seed, step // self._batches)
        return plan[step % self._batches]


def deal(owner: np.ndarray, batches: int, size: int, seed: int, epoch: int) -> np.ndarray:
    """Deal units into batches: no owner twice in a batch, and every unit at least once, unless its owner has too many.

    Units are lined up owner by owner in random order and dealt to the batches in turn, so two units of an owner can
    only meet if it has more units than there are batches. Such an owner gives one unit to each batch, and other units
    in the next epoch. Batches that come out short are filled with units of owners that they lack.

    Args:
      owner: int ``[n]`` of each unit; at least ``size`` different ones.
      batches: at least n / size.
      size: units in a batch.
      seed: of the run.
      epoch: counted from 0.

    Returns:
      i64 ``[batches, size]``, units in random order.
    """
    n = len(owner)
    owners, of = np.unique(owner, return_inverse=True)
    count = np.bincount(of)
    # a fixed order of each owner's units, of which successive epochs take successive parts
    first = np.lexsort((random_bits(n, seed, 0, purpose=1), of))
    rank = np.empty(n, np.int64)
    rank[first] = np.arange(n) - np.repeat(np.cumsum(count) - count, count)
    kept = (rank - epoch * batches) % count[of] < batches
    turn = permutation(len(owners), seed, epoch, purpose=2)[of]
    line = np.lexsort((random_bits(n, seed, epoch, purpose=3), turn))
    line = line[kept[line]]

    table = np.full((batches, size), -1, np.int64)
    place = np.arange(len(line))
    table[place % batches, place // batches] = line
    filled = np.bincount(place % batches, minlength=batches)
    for batch in np.flatnonzero(filled < size).tolist():
        held = int(filled[batch])
        inside = of[table[batch, :held]]
        table[batch, held:] = absent(of, inside, size - held, seed, epoch * batches + batch)
    mix = np.argsort(random_bits(table.size, seed, epoch, purpose=4).reshape(table.shape), axis=1, kind="stable")
    return np.take_along_axis(table, mix, axis=1)[permutation(batches, seed, epoch, purpose=5)]


def absent(owner: np.ndarray, present: np.ndarray, wanted: int, seed: int, number: int) -> np.ndarray:
    """``wanted`` random units of different owners, none of them in ``present``."""
    chosen: dict[int, int] = {}
    taken = set(present.tolist())
    for unit in (random_bits(4 * wanted + 16, seed, number, purpose=6) % np.uint64(len(owner))).tolist():
        mine = int(owner[unit])
        if mine not in taken and mine not in chosen and len(chosen) < wanted:
            chosen[mine] = unit
    if len(chosen) == wanted:
        return np.array(list(chosen.values()), np.int64)
    # few owners are left, so look at all units: 10 ms for 100,000
    order = permutation(len(owner), seed, number, purpose=6)
    order = order[~np.isin(owner[order], present)]
    _, first = np.unique(owner[order], return_index=True)
    return order[np.sort(first)[:wanted]]
