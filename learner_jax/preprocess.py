"""Stored scans -> the input of a backbone, on the device; the same in training, scoring and export."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from learner_jax.backbones import weights
from learner_jax.batch import Batch
from learner_jax.config import Config

Constant = float | tuple[float, ...]  # for all channels, or one for each
_EVEN = 1e-4  # of the mean: an SD below it is rounding of a scan of one grey; a step of uint16 is 1.5e-5 of white


def intensity(batch: Batch) -> Float[Array, "b t h w c"]:
    """``scan * scale + offset`` in float32: between 0 and 1."""
    shape = (-1, 1, 1, 1, 1)
    return batch.scan.astype(jnp.float32) * batch.scale.reshape(shape) + batch.offset.reshape(shape)


def normalisation(config: Config, channels: int) -> tuple[Constant, Constant, str]:
    """Mean, std and rule for each scan of :func:`normalise`: those of the run's published weights, else the config's.

    For scans of one channel, mean and std are averaged over the weights' channels, as
    :func:`learner_jax.backbones.adapt.fold_stem` assumes.
    """
    published = weights.of(config.backbone)
    if published is None:
        return config.data.mean, config.data.std, ""
    if published.each_scan:
        return 0.0, 1.0, published.each_scan
    if channels == len(published.mean):
        return published.mean, published.std, ""
    return float(np.mean(published.mean)), float(np.mean(published.std)), ""


def normalise(
    scan: Float[Array, "b t h w c"], mean: Constant, std: Constant, each_scan: str = ""
) -> Float[Array, "b t h w c"]:
    """``(intensity - mean) / std``, for all channels or for each, of intensities as a rule for each scan leaves them.

    Rules, by the scan's own pixels in float32; none of them looks at another scan:

    * ``foreground``: ``(x - m) / s`` with mean ``m`` and SD ``s`` over the pixels above 0; those at 0 stay 0. MONAI's
      ``NormalizeIntensity(nonzero=True)`` for intensities, which are never negative. A scan of one grey becomes 0.
    * ``mean``: ``x / m`` with the mean ``m`` over all pixels. A black scan stays 0.
    """
    if each_scan:
        scan = _RULES[each_scan](scan)
    mean, std = (jnp.asarray(x, scan.dtype) if isinstance(x, tuple) else x for x in (mean, std))
    return (scan - mean) / std


def _by_foreground(scan: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
    seen = scan > 0
    count = jnp.maximum(seen.sum((1, 2, 3, 4), keepdims=True), 1)
    mean = scan.sum((1, 2, 3, 4), keepdims=True, where=seen) / count
    apart = jnp.where(seen, scan - mean, 0.0)
    variance = jnp.square(apart).sum((1, 2, 3, 4), keepdims=True) / count
    even = variance <= (_EVEN * mean) ** 2
    return jnp.where(even, 0.0, apart / jnp.sqrt(jnp.where(even, 1.0, variance)))  # where twice: a finite gradient


def _by_mean(scan: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
    mean = scan.mean((1, 2, 3, 4), keepdims=True)
    return scan / jnp.where(mean > 0, mean, 1.0)


_RULES: dict[str, Callable[[Array], Array]] = {"foreground": _by_foreground, "mean": _by_mean}
