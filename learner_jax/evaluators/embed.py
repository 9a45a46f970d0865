"""Embeddings of cohort rows by a jitted forward pass, independent of batch size, order and device count."""

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

_IN_FLIGHT = 2  # batches on the device before the embeddings of the first are fetched

Encoder = Callable[[Any, Batch], Float[Array, "b d"]]  # (variables, batch) -> embeddings


def encoder_of(backbone: Backbone, config: Config) -> Encoder:
    """The backbone as scoring uses it: without augmentation, with running statistics."""
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
    """The encoder as a program over the devices of the mesh: ``(variables, batch) -> (u, mask)``, replicated.

    The mask is returned too, since all processes must leave out what one of them could not read.
    """
    both = lambda variables, batch: (encoder(everywhere(variables, mesh), batch), batch.mask)  # noqa: E731
    return jax.jit(both, out_shardings=replicated(mesh), compiler_options=compiler_options())


class Embedder:
    """Reads cohort rows and runs an encoder on them; embeddings come in the order of the rows.

    ``between`` is called once per batch.
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
        """Embeddings of cohort rows under ``variables``.

        Embeddings of rows that cannot be read are meaningless; ``reader.damage`` lists these rows afterwards, on all
        processes.

        Raises:
          InputError: more than ``data.max_bad_fraction`` of the rows cannot be read.
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
    """The same elements in the same order, each yielded only once ``by`` more have been started.

    JAX starts a computation when it is called, so while the consumer waits for one the device has the next.
    """
    waiting: collections.deque[T] = collections.deque()
    for one in started:
        waiting.append(one)
        if len(waiting) > by:
            yield waiting.popleft()
    yield from waiting
