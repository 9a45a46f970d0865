"""Scans as stored -> what a backbone sees, on the device; the same in training, scoring and export."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import DataConfig


def intensity(batch: Batch) -> Float[Array, "b t h w c"]:
    """``scan * scale + offset`` in float32: between 0 and 1."""
    shape = (-1, 1, 1, 1, 1)
    return batch.scan.astype(jnp.float32) * batch.scale.reshape(shape) + batch.offset.reshape(shape)


def normalise(scan: Float[Array, "b t h w c"], config: DataConfig) -> Float[Array, "b t h w c"]:
    """``(intensity - mean) / std`` with the constants of the config."""
    return (scan - config.mean) / config.std
