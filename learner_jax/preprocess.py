"""Stored scans -> the input of a backbone, on the device; the same in training, scoring and export."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from learner_jax.backbones import weights
from learner_jax.batch import Batch
from learner_jax.config import Config

Constant = float | tuple[float, ...]  # for all channels, or one for each


def intensity(batch: Batch) -> Float[Array, "b t h w c"]:
    """``scan * scale + offset`` in float32: between 0 and 1."""
    shape = (-1, 1, 1, 1, 1)
    return batch.scan.astype(jnp.float32) * batch.scale.reshape(shape) + batch.offset.reshape(shape)


def normalisation(config: Config, channels: int) -> tuple[Constant, Constant]:
    """Mean and std by which intensities are normalised: those of the run's published weights, else the config's.

    For scans of one channel they are averaged over the weights' channels, as
    :func:`learner_jax.backbones.adapt.fold_stem` assumes.
    """
    published = weights.of(config.backbone)
    if published is None or not published.mean:
        return config.data.mean, config.data.std
    if channels == len(published.mean):
        return published.mean, published.std
    return float(np.mean(published.mean)), float(np.mean(published.std))


def normalise(scan: Float[Array, "b t h w c"], mean: Constant, std: Constant) -> Float[Array, "b t h w c"]:
    """``(intensity - mean) / std``, for all channels or for each."""
    mean, std = (jnp.asarray(x, scan.dtype) if isinstance(x, tuple) else x for x in (mean, std))
    return (scan - mean) / std
