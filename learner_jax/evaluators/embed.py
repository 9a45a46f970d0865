"""Embeddings of cohort rows by a jitted forward pass; independent of batch size, order and device count."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from learner_jax.backbones import Backbone
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.data.device import on_device
from learner_jax.data.pipeline import Reader, evaluation_batches
from learner_jax.mesh import replicated
from learner_jax.preprocess import intensity, normalise


def embed_step(backbone: Backbone, config: Config, variables: Any, batch: Batch) -> Float[Array, "b d"]:
    """Embeddings of one batch, without augmentation; rows of padding are computed and thrown away by the caller."""
    u, _ = backbone.apply(variables, normalise(intensity(batch), config.data), batch.mask, train=False)
    return u


class Embedder:
    """``rows -> u``: reads the rows, runs the encoder, puts the embeddings in the order asked for."""

    def __init__(self, backbone: Backbone, config: Config, reader: Reader, mesh: Mesh):
        self._reader, self._mesh, self._batch_size = reader, mesh, config.eval.batch_size
        self._dim = backbone.dim
        self._step = jax.jit(partial(embed_step, backbone, config), out_shardings=replicated(mesh))

    def __call__(self, variables: Any, rows: np.ndarray) -> np.ndarray:
        """Embeddings f32 ``[n d]`` of i64 ``[n]`` cohort rows under ``{"params", "stats"}``."""
        batches = evaluation_batches(self._reader, rows, self._batch_size)
        parts = [np.asarray(self._step(variables, batch)) for batch in on_device(batches, self._mesh)]
        return np.concatenate(parts)[: len(rows)] if parts else np.zeros((0, self._dim), np.float32)
