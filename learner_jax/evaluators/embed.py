"""Embeddings of cohort rows by a jitted forward pass; independent of batch size, order and device count."""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, Int

from learner_jax import programs
from learner_jax.backbones import Backbone
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.data.device import on_device
from learner_jax.data.pipeline import Reader, evaluation_batches
from learner_jax.mesh import everywhere, replicated
from learner_jax.preprocess import intensity, normalisation, normalise

T = TypeVar("T")

_IN_FLIGHT = 2  # batches given to the device before the embeddings of an earlier one are fetched

Encoder = Callable[[Any, Batch], Float[Array, "b d"]]  # (variables, batch) -> embeddings


def encoder_of(backbone: Backbone, config: Config) -> Encoder:
    """The backbone as scoring uses it: no augmentation, running statistics."""
    return _encoder(backbone, programs.key_of(config))


@functools.lru_cache(maxsize=programs.KEPT)
def _encoder(backbone: Backbone, key: str) -> Encoder:
    config = programs.config_of(key)

    def encode(variables: Any, batch: Batch) -> Float[Array, "b d"]:
        scan = normalise(intensity(batch), *normalisation(config, batch.scan.shape[-1]))
        return backbone.apply(variables, scan, batch.mask, train=False)[0]

    return encode


@functools.lru_cache(maxsize=programs.KEPT)
def jitted(encoder: Encoder, mesh: Mesh) -> Callable[[Any, Batch], tuple[Array, Array]]:
    """The encoder as a program over the devices of the mesh: ``(variables, batch) -> (u, mask)``, whole on each.

    The mask comes back as well: what one process could not read all of them must leave out.
    """
    both = lambda variables, batch: (encoder(everywhere(variables, mesh), batch), batch.mask)  # noqa: E731
    return jax.jit(both, out_shardings=replicated(mesh), compiler_options=compiler_options())


class Embedder:
    """``rows -> u``: reads the rows, runs an encoder, gives the embeddings in the order asked for.

    ``between`` is called once for each batch.
    """

    def __init__(
        self,
        encoder: Encoder,
        reader: Reader,
        mesh: Mesh,
        batch_size: int,
        between: Callable[[], None] = lambda: None,
    ):
        self._encode, self._between = jitted(encoder, mesh), between
        self._reader, self._mesh, self._batch_size = reader, mesh, batch_size

    def __call__(self, variables: Any, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Embeddings of cohort rows under ``variables``; rows of padding are computed and dropped.

        Those of rows that cannot be read mean nothing: afterwards ``reader.damage`` knows them, on all processes.

        Raises:
          InputError: more of the rows than ``data.max_bad_fraction`` cannot be read.
        """
        n, b = len(rows), self._batch_size
        if not n:
            return np.zeros((0, self._width(variables)), np.float32)
        batches = on_device(evaluation_batches(self._reader, rows, b, self._mesh), self._mesh)
        running = (self._encode(variables, batch) for batch in batches)
        u = None
        for at, (found, readable) in zip(range(0, n, b), late(running, _IN_FLIGHT), strict=True):
            u = np.empty((n, found.shape[1]), np.float32) if u is None else u
            u[at : at + b] = np.asarray(found)[: n - at]
            these = rows[at : at + b]
            self._reader.damage.count(these[~np.asarray(readable)[: n - at]], rows, "evaluated")
            self._between()
        return u

    def _width(self, variables: Any) -> int:
        batch = self._reader.shapes(self._batch_size, self._mesh)
        return jax.eval_shape(self._encode, variables, batch)[0].shape[1]


def late(started: Iterable[T], by: int) -> Iterator[T]:
    """The same in the same order, each once ``by`` more were asked for.

    A computation begins when it is asked for, so whoever waits for one leaves work behind it.
    """
    waiting: collections.deque[T] = collections.deque()
    for one in started:
        waiting.append(one)
        if len(waiting) > by:
            yield waiting.popleft()
    yield from waiting
