"""Batches as global arrays on the mesh, placed two batches ahead of the step that uses them."""

import contextlib
from collections.abc import Iterator
from functools import partial

import grain
from grain.experimental import ThreadPrefetchIterDataset
from jax.sharding import Mesh

from learner_jax.batch import Batch
from learner_jax.data.cached import cached_batches, check_fits
from learner_jax.data.pipeline import Reader, training_batches
from learner_jax.data.samplers import Sampler
from learner_jax.mesh import to_global

_AHEAD = 2  # batches placed while the steps before them compute


def training_stream(reader: Reader, sampler: Sampler, seed: int, start: int, stop: int, mesh: Mesh) -> Iterator[Batch]:
    """Global batches of steps ``start`` to ``stop`` (exclusive).

    They come from the records or, with ``data.cache``, from the devices' memory; either way the same to the bit.

    Raises:
      InputError: the training scans do not fit the devices' memory, or too many of them cannot be read.
    """
    if reader.config.cache == "device":
        check_fits(reader, mesh)
        return _ready(cached_batches(reader, sampler, seed, start, stop, mesh))
    return on_device(training_batches(reader, sampler, seed, start, stop, mesh), mesh)


def on_device(batches: grain.IterDataset[Batch], mesh: Mesh) -> Iterator[Batch]:
    """Place each batch on the mesh while the steps before it compute."""
    return _ready(batches.map(partial(to_global, mesh)))


def _ready(batches: grain.IterDataset[Batch]) -> Iterator[Batch]:
    """The same batches, prepared ahead by a thread: on a busy host they would delay the thread that starts steps."""
    queued = _AHEAD - 1  # one more waits for a place in the queue
    with contextlib.closing(iter(ThreadPrefetchIterDataset(batches, prefetch_buffer_size=queued))) as ahead:
        yield from ahead
