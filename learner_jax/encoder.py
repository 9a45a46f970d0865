"""Batch -> embeddings in training: copy, augment, normalise and encode, at once or chunk by chunk."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from learner_jax.backbones import Backbone
from learner_jax.backbones.layers.remat import remat
from learner_jax.batch import Batch, draws
from learner_jax.config import Config
from learner_jax.mesh import everywhere
from learner_jax.preprocess import intensity, normalisation, normalise
from tfds_builders.errors import InputError

Stats = dict[str, Any]


def copies(batch: Batch, n: int, mesh: Mesh) -> tuple[Batch, Int[Array, " b"]]:
    """Each row ``n`` times, its copies adjacent and on its device; and the number by which each copy is augmented."""
    draw = draws(everywhere(batch.row, mesh), jnp)
    if n == 1:
        return batch, draw

    def spread(x: Array) -> Array:
        return jnp.broadcast_to(x[:, None], (len(x), n, *x.shape[1:])).reshape(-1, *x.shape[1:])

    return jax.tree.map(spread, batch), (draw[:, None] * n + jnp.arange(n, dtype=jnp.int32)).ravel()


def encode(
    config: Config,
    backbone: Backbone,
    augmentation: Callable[..., Array],
    variables: dict[str, Any],
    batch: Batch,
    draw: Array,
    key: jax.Array,
) -> tuple[Float[Array, "b d"], Stats]:
    """Embeddings of a batch as stored, and the backbone's new statistics.

    Args:
      config: of the run.
      backbone: what embeds.
      augmentation: called like :class:`learner_jax.augment.Augmentation`.
      variables: parameters of the backbone, in ``train.compute``, and its statistics.
      batch: the global batch, or a chunk of it.
      draw: i32 ``[b]``; rows with equal numbers are augmented alike.
      key: random key of this step.
    """
    scan = augmentation(intensity(batch), draw, batch.view, jax.random.fold_in(key, 2))
    scan = normalise(scan, *normalisation(config, scan.shape[-1]))
    own = jax.random.fold_in(key, 0)
    with remat(config.train.remat):
        u, stats = backbone.apply(variables, scan.astype(config.train.compute), batch.mask, train=True, rng=own)
    return u.astype(scan.dtype), stats


def encode_in_chunks(encode: Any, params: Any, stats: Stats, rows: Any, size: int, mesh: Mesh) -> tuple[Array, Stats]:
    """Embeddings of a large batch in the memory of a small one, with the gradient of the whole batch.

    Gradient caching, Gao et al., arXiv 2101.06983: the forward pass keeps only the embeddings; the backward pass
    encodes each chunk again and applies the gradient of the objective, taken over the whole batch, at its embeddings.
    Batch norm sees one chunk at a time, so with it the gradient is not that of the whole batch.

    Args:
      encode: ``(variables, rows) -> (u, stats)``.
      params: of the backbone.
      stats: of the backbone.
      rows: tree of arrays ``[b …]``, sharded over the mesh; a chunk takes an equal share of each device's rows.
      size: rows of a chunk, over all devices.
      mesh: of :func:`learner_jax.mesh.make_mesh`.

    Returns:
      (embeddings ``[b d]`` in the order of the rows, statistics after the last chunk).
    """
    devices = mesh.size
    b = len(jax.tree.leaves(rows)[0])

    def split(x: jax.Array) -> jax.Array:  # [devices, chunks, part] -> [chunks, devices, part]: no row moves
        parts = x.reshape(devices, b // size, size // devices, *x.shape[1:]).swapaxes(0, 1)
        return parts.reshape(b // size, size, *x.shape[1:])

    def join(u: jax.Array) -> jax.Array:
        return u.reshape(b // size, devices, size // devices, -1).swapaxes(0, 1).reshape(b, -1)

    def one(stats: Stats, chunk: Any) -> tuple[Stats, jax.Array]:
        u, stats = encode({"params": params, "stats": stats}, chunk)
        return stats, u

    stats, u = jax.lax.scan(jax.checkpoint(one), stats, jax.tree.map(split, rows))
    return join(u), stats


def check_chunk(size: int, rows: int, mesh: Mesh) -> None:
    """Refuse a chunk size that does not divide the batch, or that the devices cannot share.

    Raises:
      InputError: with the sizes that fit.
    """
    devices = mesh.size
    if size and (rows % size or size % devices):
        fitting = [n for n in range(devices, rows + 1, devices) if rows % n == 0]
        raise InputError(
            f"config.train.grad_cache_chunk is {size}, but a step encodes {rows} scans on {devices} devices; "
            f"chunks of {', '.join(map(str, fitting))} fit. Set --config.train.grad_cache_chunk=…"
        )
