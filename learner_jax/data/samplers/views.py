"""Batches of one anatomical view: a lung zone is compared with the same zone, a sequence with the same sequence."""

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Pool, permutation, samplers
from learner_jax.data.samplers.deal import Planned, absent, deal
from tfds_builders.errors import InputError
from tfds_builders.wording import plural


@samplers.register("same_view")
def same_view(config: Config, pool: Pool) -> Planned:
    """All scans of a batch are of one view, and of different patients if the view has enough of them.

    Views are drawn in proportion to their scans; those with fewer scans than a batch are not drawn.

    Raises:
      InputError: no view has enough scans for a batch.
    """
    size = config.batch_size
    views, count = np.unique(pool.view, return_counts=True)
    wide = views[count >= size]
    if not len(wide):
        raise InputError(
            f"a batch of {size} scans of one view needs {size} of them, and the fullest of "
            f"{plural(len(views), 'view')} has {count.max()} labeled training scans. "
            f"Set --config.batch_size={count.max()} or less, or another --config.sampler.name"
        )
    parts = [pool.take(pool.view == view) for view in wide]
    batches = [-(-len(part) // size) for part in parts]
    left = len(views) - len(wide)
    few = f"{left} of {len(views)} views have fewer than {size} labeled training scans and are not drawn"

    def plan(seed: int, epoch: int) -> np.ndarray:
        tables = [part.row[_table(part, n, size, seed, epoch)] for part, n in zip(parts, batches, strict=True)]
        return np.concatenate(tables)[permutation(sum(batches), seed, epoch, purpose=10)]

    return Planned(plan, sum(batches), few if left else "")


def _table(part: Pool, batches: int, size: int, seed: int, epoch: int) -> np.ndarray:
    if part.n_patients >= size:
        return deal(part.patient, batches, size, seed, epoch)
    # too few patients: line the scans up patient by patient and deal them, which spreads each patient's scans evenly
    line = np.lexsort((permutation(len(part), seed, epoch), part.patient))
    place = np.arange(len(line))
    table = np.full((batches, size), -1, np.int64)
    table[place % batches, place // batches] = line
    for batch in np.flatnonzero(table[:, -1] < 0).tolist():
        inside = table[batch][table[batch] >= 0]
        more = absent(np.arange(len(part)), inside, size - len(inside), seed, epoch * batches + batch)
        table[batch, len(inside) :] = more
    return table
